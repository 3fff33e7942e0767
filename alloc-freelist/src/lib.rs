//! A global allocator for WebAssembly guests that frees, built to be restored.
//!
//! The freelist is [talc]'s: first fit by size class, neighbours coalesce, `realloc` works in place where it can, any
//! alignment. In front of it are lists of small blocks that were freed, so that most requests need not look for a gap;
//! before memory grows they are given back to talc. The memory comes from this crate's own source, which adopts pages that exist before it grows, and claims
//! in steps of [`CLAIM_STEP`] bytes while pages are added geometrically, so that a host which zeroes what was claimed
//! since its snapshot has little to zero.
//!
//! ```
//! # #[cfg(target_arch = "wasm32")]
//! #[global_allocator]
//! static ALLOCATOR: alloc_freelist::FreelistAllocator = alloc_freelist::FreelistAllocator::new();
//! ```
//!
//! # State
//!
//! In the control block `top` is the end of the claimed heap; nothing above it has been written, so it is the
//! high-water mark too. `high_water` itself stays as the host left it. The rest of the state is in the allocator's
//! static and, between allocations, in the heap: a restore must put back both.
//!
//! # Limits
//!
//! The heap ends 1 MiB below 4 GiB. talc 5.1 adds a request's size to addresses without looking for an overflow, so a
//! request is refused, even if a gap could hold it, when the claimed heap's end plus size and alignment exceeds 4 GiB.
//! (Unguarded, a request of 1.3 times the size of a gap that ends at 4 GiB is "served" from that gap.) No request
//! larger than [`LARGEST_REQUEST`] is served.
//!
//! See [`alloc_core`] for what the allocator assumes: one thread, and all pages its own. Natively the type exists, but
//! has no memory unless it is given one, as the tests do, and cannot be a `static`.
#![no_std]
#![expect(unsafe_code, reason = "`GlobalAlloc` is an unsafe trait, and talc's heap is raw memory")]

mod headed;
mod heap;
mod source;

use alloc_core::{AllocatorKind, LinearMemory, Memory, account, claim::refuse};
use core::{
    alloc::{GlobalAlloc, Layout},
    cell::UnsafeCell,
    fmt, ptr,
};
use heap::Heap;
use source::PageSource;

pub use source::{CLAIM_STEP, HEAP_END, LARGEST_REQUEST};

/// A freelist over a guest's memory. See the [crate](self).
pub struct FreelistAllocator<M: Memory = LinearMemory> {
    heap: UnsafeCell<Heap<M>>,
}

impl FreelistAllocator {
    /// The allocator of this module's linear memory.
    #[must_use]
    pub const fn new() -> Self {
        Self::over(LinearMemory::new())
    }
}

impl Default for FreelistAllocator {
    fn default() -> Self {
        Self::new()
    }
}

impl<M: Memory> FreelistAllocator<M> {
    /// An allocator of another memory, for tests.
    #[must_use]
    pub const fn over(memory: M) -> Self {
        Self::of_kind(memory, AllocatorKind::Freelist)
    }

    /// An allocator that calls itself by another name in the control block: for drop-ins that are built on this one.
    #[must_use]
    pub const fn of_kind(memory: M, kind: AllocatorKind) -> Self {
        Self { heap: UnsafeCell::new(Heap::new(PageSource::new(memory, kind))) }
    }

    /// The heap.
    ///
    /// # Safety
    /// No other reference to it may be alive.
    #[expect(clippy::mut_from_ref, reason = "the cell is what makes it sound, and the caller's promise")]
    #[inline]
    unsafe fn heap(&self) -> &mut Heap<M> {
        // SAFETY: the caller holds no other reference. The type is `Sync` only where there is one thread.
        unsafe { &mut *self.heap.get() }
    }
}

// SAFETY: wasm32 without `atomics`, which `alloc-core` insists on, has one thread, so no two calls are in progress at
// the same time.
#[cfg(target_arch = "wasm32")]
unsafe impl Sync for FreelistAllocator<LinearMemory> {}

impl<M: Memory> fmt::Debug for FreelistAllocator<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FreelistAllocator").finish_non_exhaustive()
    }
}

// SAFETY: the heap hands out disjoint, aligned parts of what its source claimed, keeps its own records outside of them,
// and takes back only what `dealloc` and `realloc` name. The references to it below live for one call each, and
// neither it nor its source calls anything that allocates. It does not unwind.
unsafe impl<M: Memory> GlobalAlloc for FreelistAllocator<M> {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: no other reference is alive, as said above.
        let heap = unsafe { self.heap() };
        // SAFETY: the caller promises a size that is not 0.
        let pointer = unsafe { heap.take(layout) };
        let block = heap.source().control_block();
        if pointer.is_null() {
            return refuse(block, layout.size(), layout.align());
        }
        account::requested(block, layout.size());
        account::count(&block.allocations);
        pointer
    }

    #[inline]
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: no other reference is alive, as said above.
        let heap = unsafe { self.heap() };
        // SAFETY: the caller promises that the pointer is from this allocator, with this layout, and gives it up.
        unsafe { heap.give_back(pointer, layout) };
        account::deallocated(heap.source().control_block(), layout.size());
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        let (old_size, align) = (layout.size(), layout.align());
        // SAFETY: no other reference is alive, as said above.
        let heap = unsafe { self.heap() };
        // SAFETY: the caller promises pointer and layout, and a new size that is not 0 and that of a layout.
        let result = unsafe { heap.resize(pointer, layout, new_size) };
        if result.is_null() {
            return refuse(heap.source().control_block(), new_size, align);
        }
        if result != pointer {
            // SAFETY: both are allocations of at least the old size, and different ones.
            unsafe { ptr::copy_nonoverlapping(pointer, result, old_size) };
            // SAFETY: the caller promises pointer and layout, and gives the old allocation up.
            unsafe { heap.give_back(pointer, layout) };
        }
        let block = heap.source().control_block();
        match new_size.checked_sub(old_size) {
            Some(growth) => account::requested(block, growth),
            None => account::shrunk(block, old_size.wrapping_sub(new_size)),
        }
        account::count(&block.reallocations);
        result
    }
}
