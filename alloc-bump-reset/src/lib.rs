//! A global allocator for WebAssembly guests: a bump pointer, a mark, and a reset that the host performs.
//!
//! As `alloc-leaking`, with two differences: `dealloc` of the newest allocation gives its bytes back, and all that was
//! allocated since the mark can be given back at once.
//!
//! ```
//! # #[cfg(target_arch = "wasm32")]
//! #[global_allocator]
//! static ALLOCATOR: alloc_bump_reset::BumpResetAllocator = alloc_bump_reset::BumpResetAllocator::new();
//! ```
//!
//! # How a host resets
//!
//! When it takes its snapshot it writes the control block's `top` to `mark`. To reset, it puts the guest's statics
//! back, and with them the control block; it puts back the heap below the mark, which a call may have changed, or freed
//! and used for something else; and it writes `mark` to `top`. Then, as it prefers,
//! - it zeroes from the mark to what `max(high_water, top)` was before, or
//! - it leaves the bytes and writes what `max(high_water, top)` was before to `high_water`, so that `alloc_zeroed`
//!   knows that they are not zero.
//!
//! For hosts that call instead there are the exports `__alloc_mark` and `__alloc_reset`, unless the feature `exports`,
//! which is on by default, is off. They take and give nothing. A reset without a mark does nothing; with one it gives
//! back what lies above, leaves the bytes and raises `high_water` itself. Statics, and heap below the mark, are still
//! the host's to put back.
//!
//! All state is in the control block. See [`alloc_core`] for what the allocator assumes: one thread, and all pages its
//! own. Natively the type exists, but has no memory unless it is given one, as the tests do, and cannot be a `static`.
#![no_std]
#![expect(unsafe_code, reason = "`GlobalAlloc` is an unsafe trait, and a reset is a promise of the caller")]

use alloc_core::{AllocatorKind, ControlBlock, HeaderAlloc, LinearMemory, Memory, bump, header_size};
use core::alloc::{GlobalAlloc, Layout};

#[cfg(all(target_arch = "wasm32", feature = "exports"))]
mod exports;

const KIND: AllocatorKind = AllocatorKind::BumpReset;

/// A bump pointer with a mark to reset to. See the [crate](self).
#[derive(Debug, Default)]
pub struct BumpResetAllocator<M = LinearMemory> {
    memory: M,
}

impl BumpResetAllocator {
    /// The allocator of this module's linear memory.
    #[must_use]
    pub const fn new() -> Self {
        Self::over(LinearMemory::new())
    }
}

impl<M> BumpResetAllocator<M> {
    /// An allocator of another memory, for tests.
    #[must_use]
    pub const fn over(memory: M) -> Self {
        Self { memory }
    }
}

impl<M: Memory> BumpResetAllocator<M> {
    /// Sets the mark: what has been allocated until now stays at a [`reset`](Self::reset).
    pub fn mark(&self) {
        bump::mark(&self.memory);
    }

    /// Gives back everything that was allocated since the [`mark`](Self::mark). Without a mark, does nothing.
    ///
    /// # Safety
    /// No allocation made since the mark, and no part that an older one has grown by since, may be used any more.
    pub unsafe fn reset(&self) {
        // SAFETY: the caller gives up everything above the mark.
        unsafe { bump::reset(&self.memory) }
    }
}

// SAFETY: `bump` hands out memory between `top` and `limit` only. `top` is lowered to no less than where an allocation
// begins that the caller gives up, or ends that the caller shortens, if it is the newest, or to the mark, above which
// the caller of `reset` has given everything up; so allocations do not overlap, are aligned, and stay where they are.
// It does not unwind.
unsafe impl<M: Memory> GlobalAlloc for BumpResetAllocator<M> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        bump::alloc(&self.memory, KIND, 0, layout)
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the same contract, and every pointer of this allocator is from this memory.
        unsafe { bump::dealloc_newest(&self.memory, 0, pointer, layout) };
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
unsafe impl<M: Memory> HeaderAlloc for BumpResetAllocator<M> {
    fn control_block(&self) -> &ControlBlock {
        self.memory.control_block()
    }

    unsafe fn alloc_headed(&self, layout: Layout) -> *mut u8 {
        bump::alloc(&self.memory, KIND, header_size(layout.align()), layout)
    }

    unsafe fn alloc_zeroed_headed(&self, layout: Layout) -> *mut u8 {
        bump::alloc_zeroed(&self.memory, KIND, header_size(layout.align()), layout)
    }

    unsafe fn dealloc_headed(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the same contract, and every pointer of this allocator is from this memory.
        unsafe { bump::dealloc_newest(&self.memory, header_size(layout.align()), pointer, layout) };
    }

    unsafe fn realloc_headed(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller keeps the same contract, and every pointer of this allocator is from this memory.
        unsafe { bump::realloc(&self.memory, KIND, header_size(layout.align()), pointer, layout, new_size) }
    }
}
