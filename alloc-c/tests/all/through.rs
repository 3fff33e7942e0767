//! The interface, put where the runner of random programs expects a `GlobalAlloc`.
#![expect(unsafe_code, reason = "implements `GlobalAlloc`")]

use alloc_c::{HeaderAlloc, Interface};
use alloc_core::testing::{Operation, programs};
use core::alloc::{GlobalAlloc, Layout};
use proptest::prelude::*;

/// Calls the functions of C that a layout stands for, and sees that the sizes which they remember are those of the layouts.
pub(crate) struct Through<A>(pub(crate) A);

impl<A: HeaderAlloc> Through<A> {
    fn check_size(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the runner's allocations are this interface's, and alive.
        assert_eq!(unsafe { Interface(&self.0).usable_size(pointer) }, layout.size(), "usable size");
    }
}

// SAFETY: the interface hands out what the allocator does, aligned as it is asked for.
unsafe impl<A: HeaderAlloc> GlobalAlloc for Through<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match layout.align() {
            16 => Interface(&self.0).malloc(layout.size()),
            align => Interface(&self.0).aligned_alloc(align, layout.size()),
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if layout.align() == 16 {
            let count = if layout.size().is_multiple_of(4) { 4 } else { 1 };
            return Interface(&self.0).calloc(count, layout.size() / count);
        }
        // SAFETY: as the caller's.
        let pointer = unsafe { self.alloc(layout) };
        if !pointer.is_null() {
            // SAFETY: it has just been allocated with this layout.
            unsafe { pointer.write_bytes(0, layout.size()) };
        }
        pointer
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        self.check_size(pointer, layout);
        // SAFETY: as the caller's.
        unsafe { Interface(&self.0).free(pointer) };
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        self.check_size(pointer, layout);
        // SAFETY: as the caller's.
        unsafe { Interface(&self.0).realloc(pointer, new_size) }
    }
}

/// Random programs in which nothing is aligned to less than C aligns it, nor to more than `most`.
pub(crate) fn programs_of_c(steps: usize, most: usize) -> impl Strategy<Value = Vec<Operation>> {
    programs(steps).prop_map(move |mut program| {
        for operation in &mut program {
            if let Operation::Allocate { align, .. } = operation {
                *align = (*align).clamp(16, most);
            }
        }
        program
    })
}
