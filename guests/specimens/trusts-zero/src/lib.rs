//! Broken on purpose: the allocator serves `alloc_zeroed` without filling.
//!
//! Fresh memory is zero, so the first call is fine. After a reset that keeps residue it is not, and the guest sees what
//! the call before has written.

use std::hint::black_box;

use guest_sdk::{Context, KeyBuilder, Result, extension, storage};

/// Does not allocate.
#[extension]
fn do_nothing(_cx: &mut Context) -> Result<()> {
    Ok(())
}

/// Leaves the sum of 4096 bytes that were asked for as zero, and overwrites them.
#[extension]
fn sum_of_zeros(cx: &mut Context) -> Result<()> {
    let mut zeros = black_box(vec![0_u8; 4096]);
    let sum: i64 = zeros.iter().copied().map(i64::from).sum();
    zeros.fill(1);
    black_box(zeros);
    cx.new_value(&KeyBuilder::new(storage::RESULT, ""))?.put_i64("Sum", sum);
    Ok(())
}

#[cfg(target_arch = "wasm32")]
mod allocator {
    #![expect(unsafe_code, reason = "a global allocator")]

    use core::alloc::{GlobalAlloc, Layout};

    use alloc_bump_reset::BumpResetAllocator;

    struct TrustsZero(BumpResetAllocator);

    // SAFETY: not sound, and that is what it is for: after a reset its zeroed memory is not zero. All else is as in the
    // allocator within.
    unsafe impl GlobalAlloc for TrustsZero {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            // SAFETY: the caller's promise.
            unsafe { self.0.alloc(layout) }
        }

        unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
            // SAFETY: the caller's promise.
            unsafe { self.0.dealloc(pointer, layout) };
        }

        unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
            // SAFETY: the caller's promise.
            unsafe { self.0.alloc(layout) }
        }

        unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
            // SAFETY: the caller's promise.
            unsafe { self.0.realloc(pointer, layout, new_size) }
        }
    }

    #[global_allocator]
    static ALLOCATOR: TrustsZero = TrustsZero(BumpResetAllocator::new());
}
