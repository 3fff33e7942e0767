//! Allocation for callers that pass no layout when they free, such as C's `malloc`.
//!
//! Such a caller keeps the layout in a header, directly in front of the allocation, and the allocator leaves room for it: a
//! bump pointer as little as the header needs, a freelist as much as keeps its blocks aligned. Headers are not counted.
#![expect(unsafe_code, reason = "the trait is a promise about raw memory")]

use crate::ControlBlock;
use core::alloc::Layout;

/// Smallest alignment in bytes of an allocation that has a header: that of C's `max_align_t` on wasm32. Allocations of this
/// alignment have the shortest header.
pub const HEADED_ALIGN: usize = 16;

/// Size in bytes of the header in front of an allocation of this alignment.
#[must_use]
#[inline]
pub const fn header_size(align: usize) -> u32 {
    if align > HEADED_ALIGN { 8 } else { 4 }
}

/// An allocator that leaves room for headers.
///
/// ```
/// # #[cfg(feature = "testing")] {
/// use core::alloc::Layout;
///
/// use alloc_core::testing::FakeMemory;
/// use alloc_core::{BumpAllocator, HEADED_ALIGN, HeaderAlloc, Leaking, Memory, header_size};
///
/// let memory = FakeMemory::new(0x10_0000, 1);
/// let allocator = BumpAllocator::<Leaking, _>::over(&memory);
/// let layout = Layout::from_size_align(100, HEADED_ALIGN)?;
/// // SAFETY: the alignment is one that may be asked for.
/// let pointer = unsafe { allocator.alloc_headed(layout) };
/// // The first multiple of 16 with room for a header of four bytes in front of it.
/// assert_eq!((header_size(HEADED_ALIGN), memory.address(pointer)), (4, 0x10_0010));
/// # }
/// # Ok::<(), core::alloc::LayoutError>(())
/// ```
///
/// # Safety
///
/// As for [`GlobalAlloc`](core::alloc::GlobalAlloc), with these differences: [`header_size`] bytes in front of each
/// allocation belong to it too. They are not initialised, are not copied when the allocation moves, and are aligned to 4.
/// The counters of the control block count the layouts alone.
pub unsafe trait HeaderAlloc {
    /// Control block of the memory that it allocates from.
    fn control_block(&self) -> &ControlBlock;

    /// Allocates. If that fails, records the request and returns the null pointer.
    ///
    /// # Safety
    /// The alignment is at least [`HEADED_ALIGN`] and at most 2^30. The size may be 0; such an allocation has an address of
    /// its own.
    unsafe fn alloc_headed(&self, layout: Layout) -> *mut u8;

    /// Allocates zeroed memory. If that fails, records the request and returns the null pointer.
    ///
    /// # Safety
    /// As for [`alloc_headed`](Self::alloc_headed).
    unsafe fn alloc_zeroed_headed(&self, layout: Layout) -> *mut u8;

    /// Frees an allocation.
    ///
    /// # Safety
    /// This allocator has made it by a function of this trait, with this layout, and nothing uses it any more.
    unsafe fn dealloc_headed(&self, pointer: *mut u8, layout: Layout);

    /// Changes the size of an allocation and keeps its alignment. If that fails, records the request, returns the null
    /// pointer and leaves the allocation as it is.
    ///
    /// # Safety
    /// This allocator has made it by a function of this trait, with this layout. The new size makes a layout too.
    unsafe fn realloc_headed(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8;
}
