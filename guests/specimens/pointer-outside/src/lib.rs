//! Broken on purpose: the allocator keeps its bump pointer in the dead part of the shadow stack.
//!
//! A restore that copies the statics back and sets `top` in the control block does not reach it there, so the guest goes
//! on where the call before ended. A comparison of memory that leaves out the dead stack does not see it either; what
//! shows it is what the guest does.

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
mod allocator;

/// In the lowest bytes of the shadow stack, which grows down towards them: this guest's does not get that deep.
#[cfg(target_arch = "wasm32")]
const KEPT_AT: usize = 16;

/// The place is there from the beginning.
#[cfg(target_arch = "wasm32")]
fn prepare() {}
