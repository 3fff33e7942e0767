#![doc = include_str!("../README.md")]
#![deny(missing_docs)]
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
///
/// ```
/// use alloc_freelist::FreelistAllocator;
///
/// // The initial value of the static in a guest.
/// const ALLOCATOR: FreelistAllocator = FreelistAllocator::new();
/// ```
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

    /// An allocator that shows another kind in the control block, for drop-ins that are built on this one.
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
