//! The guest's allocator, which prints a line when it has no memory left.
//!
//! In the native contract the allocator records the request that failed in the control block. Hosts of this contract do not
//! read that: they recognise a memory overflow by the line that TinyGo's allocator prints.
#![expect(unsafe_code, reason = "`GlobalAlloc` is an unsafe trait")]

use core::alloc::{GlobalAlloc, Layout};

use guest_sdk_core::allocator::{Chosen, chosen};

use crate::output;

/// An allocator that prints a line for each request that it could not serve.
///
/// An extension that uses `try_reserve` and goes on without the memory prints the line too. The line is a failure only if the
/// call traps afterwards.
struct Global<A>(A);

#[global_allocator]
static ALLOCATOR: Global<Chosen> = Global(chosen());

#[inline]
fn told(pointer: *mut u8) -> *mut u8 {
    if pointer.is_null() {
        output::out_of_memory();
    }
    pointer
}

// SAFETY: everything is handed on to an allocator as it is.
unsafe impl<A: GlobalAlloc> GlobalAlloc for Global<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        told(unsafe { self.0.alloc(layout) })
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { self.0.dealloc(pointer, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        told(unsafe { self.0.alloc_zeroed(layout) })
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller's promise.
        told(unsafe { self.0.realloc(pointer, layout, new_size) })
    }
}
