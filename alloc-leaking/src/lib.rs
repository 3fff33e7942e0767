//! A global allocator for WebAssembly guests that never frees.
//!
//! An allocation is an addition and a comparison. `dealloc` only counts; the memory comes back when the host restores
//! the instance. `realloc` of the newest allocation grows or shrinks it where it is, so a single growing vector costs
//! no more than its size; any other allocation that grows is copied and its old bytes are lost until the restore.
//!
//! ```
//! # #[cfg(target_arch = "wasm32")]
//! #[global_allocator]
//! static ALLOCATOR: alloc_leaking::LeakingAllocator = alloc_leaking::LeakingAllocator::new();
//! ```
//!
//! All state is in the control block, so whoever rewinds the guest's statics has rewound the allocator. See
//! [`alloc_core`] for what it assumes: one thread, and all pages its own.
//!
//! Natively the type exists, but has no memory unless it is given one, as the tests do, and cannot be a `static`.
//!
//! Do not use it for a guest that lives long without restores: it runs out of memory by design.
#![no_std]
#![expect(unsafe_code, reason = "`GlobalAlloc` is an unsafe trait")]

use alloc_core::{AllocatorKind, ControlBlock, HeaderAlloc, LinearMemory, Memory, account, bump, header_size};
use core::alloc::{GlobalAlloc, Layout};

const KIND: AllocatorKind = AllocatorKind::Leaking;

/// A bump pointer that never frees. See the [crate](self).
#[derive(Debug, Default)]
pub struct LeakingAllocator<M = LinearMemory> {
    memory: M,
}

impl LeakingAllocator {
    /// The allocator of this module's linear memory.
    #[must_use]
    pub const fn new() -> Self {
        Self::over(LinearMemory::new())
    }
}

impl<M> LeakingAllocator<M> {
    /// An allocator of another memory, for tests.
    #[must_use]
    pub const fn over(memory: M) -> Self {
        Self { memory }
    }
}

// SAFETY: `bump` hands out memory above all that it handed out before and, apart from the newest allocation that
// `realloc` was asked to shorten, never takes any back; so allocations do not overlap, are aligned, and stay where
// they are. It does not unwind.
unsafe impl<M: Memory> GlobalAlloc for LeakingAllocator<M> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        bump::alloc(&self.memory, KIND, 0, layout)
    }

    unsafe fn dealloc(&self, _pointer: *mut u8, layout: Layout) {
        account::deallocated(self.memory.control_block(), layout.size());
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        bump::alloc_zeroed(&self.memory, KIND, 0, layout)
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller keeps the same contract, and every pointer of this allocator is from this memory.
        unsafe { bump::realloc(&self.memory, KIND, 0, pointer, layout, new_size) }
    }
}

// SAFETY: as above, with the header's bytes taken in front of each allocation; an allocation of no bytes ends above its own
// header, so apart from every other.
unsafe impl<M: Memory> HeaderAlloc for LeakingAllocator<M> {
    fn control_block(&self) -> &ControlBlock {
        self.memory.control_block()
    }

    unsafe fn alloc_headed(&self, layout: Layout) -> *mut u8 {
        bump::alloc(&self.memory, KIND, header_size(layout.align()), layout)
    }

    unsafe fn alloc_zeroed_headed(&self, layout: Layout) -> *mut u8 {
        bump::alloc_zeroed(&self.memory, KIND, header_size(layout.align()), layout)
    }

    unsafe fn dealloc_headed(&self, _pointer: *mut u8, layout: Layout) {
        account::deallocated(self.memory.control_block(), layout.size());
    }

    unsafe fn realloc_headed(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller keeps the same contract, and every pointer of this allocator is from this memory.
        unsafe { bump::realloc(&self.memory, KIND, header_size(layout.align()), pointer, layout, new_size) }
    }
}
