//! Broken on purpose: the allocator keeps its bump pointer in memory above all that it hands out.
//!
//! A restore that goes by the high-water mark does not reach it there, whether or not it scrubs, so the guest goes on
//! where the call before ended. A comparison of all memory sees it too.

use std::hint::black_box;

use guest_sdk::{Context, KeyBuilder, Result, extension, storage};

/// Does not allocate.
#[extension]
fn do_nothing(_cx: &mut Context) -> Result<()> {
    Ok(())
}

/// Leaves the address of a new box of 1000 bytes, which is never freed.
#[extension]
fn address_of_a_box(cx: &mut Context) -> Result<()> {
    let address = Box::leak(black_box(Box::new([7_u8; 1000]))).as_ptr().addr();
    cx.new_value(&KeyBuilder::new(storage::RESULT, ""))?.put_i64("Address", i64::try_from(address)?);
    Ok(())
}

#[cfg(target_arch = "wasm32")]
#[path = "../../pointer-outside/src/allocator.rs"]
mod allocator;

/// Pages that there are from the first allocation on.
#[cfg(target_arch = "wasm32")]
const PAGES: usize = 64;

/// The end of those pages, which the calls that this guest is made for do not come near.
#[cfg(target_arch = "wasm32")]
const KEPT_AT: usize = PAGES * 65_536 - 16;

/// Makes sure that the place is there.
#[cfg(target_arch = "wasm32")]
fn prepare() {
    let pages = core::arch::wasm32::memory_size::<0>();
    if pages < PAGES {
        core::arch::wasm32::memory_grow::<0>(PAGES - pages);
    }
}
