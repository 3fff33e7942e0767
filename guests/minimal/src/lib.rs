//! The smallest guest that allocates. What it is larger by with an allocator, the allocator weighs.
//!
//! With the feature `alloc-none` its allocator always fails: the baseline.
//! Without the feature `std` it is `no_std`, and smaller.
#![cfg_attr(all(target_arch = "wasm32", not(feature = "std")), no_std)]

extern crate alloc;

use alloc::boxed::Box;
use core::hint::black_box;

#[cfg(not(feature = "exttinygo"))]
use guest_sdk as sdk;
#[cfg(feature = "exttinygo")]
use guest_sdk_exttinygo as sdk;
use sdk::{Context, Result, extension};

/// Allocates once.
#[extension]
fn allocate_once(_cx: &mut Context) -> Result<()> {
    black_box(Box::new(black_box(1_u64)));
    Ok(())
}

macro_rules! not_with_none {
    ($($other:literal)+) => {$(
        #[cfg(all(feature = "alloc-none", feature = $other))]
        compile_error!(concat!("minimal: the features `alloc-none` and `", $other, "` are both on: leave out one"));
    )+};
}

not_with_none!("alloc-leaking" "alloc-bump-reset" "alloc-freelist" "alloc-wee");

#[cfg(all(
    target_arch = "wasm32",
    any(feature = "alloc-none", not(feature = "std")),
    not(any(
        feature = "alloc-leaking",
        feature = "alloc-bump-reset",
        feature = "alloc-freelist",
        feature = "alloc-wee"
    ))
))]
mod no_allocator {
    //! An allocator that always fails.
    #![expect(unsafe_code, reason = "`GlobalAlloc` is an unsafe trait")]

    use core::alloc::{GlobalAlloc, Layout};

    struct NoAllocator;

    /// Null, in a way that the compiler cannot see: what follows an allocation must not become unreachable, or the baseline
    /// would lack more than the allocator.
    #[inline(never)]
    fn nothing() -> *mut u8 {
        core::hint::black_box(core::ptr::null_mut())
    }

    // SAFETY: it hands nothing out.
    unsafe impl GlobalAlloc for NoAllocator {
        unsafe fn alloc(&self, _layout: Layout) -> *mut u8 {
            nothing()
        }

        unsafe fn dealloc(&self, _pointer: *mut u8, _layout: Layout) {}

        unsafe fn alloc_zeroed(&self, _layout: Layout) -> *mut u8 {
            nothing()
        }

        unsafe fn realloc(&self, _pointer: *mut u8, _layout: Layout, _new_size: usize) -> *mut u8 {
            nothing()
        }
    }

    #[global_allocator]
    static ALLOCATOR: NoAllocator = NoAllocator;
}

#[cfg(test)]
mod tests {
    use crate::sdk::testing::{Host, MemoryState};

    #[test]
    fn it_succeeds() {
        Host::new(MemoryState::new()).call(super::allocate_once).unwrap();
    }
}
