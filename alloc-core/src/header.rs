//! Allocation for callers that do not say, when they free, what they had asked for: C's `malloc` and its like.
//!
//! Such a caller keeps the layout in a header, directly in front of the allocation. The allocator leaves room for it, so
//! that neither has to guess: a bump pointer as little as the header needs, a freelist as much as keeps its blocks
//! aligned. Headers are not counted.
#![expect(unsafe_code, reason = "the trait is a promise about raw memory")]

use crate::ControlBlock;
use core::alloc::Layout;

/// Least alignment of an allocation that has a header, and the only one for which that is as short as it can be: what C
/// calls `max_align_t`, 16 bytes on wasm32.
pub const HEADED_ALIGN: usize = 16;

/// Bytes in front of an allocation of this alignment that are its caller's.
#[must_use]
#[inline]
pub const fn header_size(align: usize) -> u32 {
    if align > HEADED_ALIGN { 8 } else { 4 }
}

/// An allocator that leaves room for headers.
///
/// # Safety
///
/// As for [`GlobalAlloc`](core::alloc::GlobalAlloc), with these differences: [`header_size`] bytes in front of each
/// allocation belong to it too; they are not initialised, not moved along, and of alignment 4. The counters of the control
/// block are those of the layouts.
pub unsafe trait HeaderAlloc {
    /// The control block of the memory that it allocates from.
    fn control_block(&self) -> &ControlBlock;

    /// Allocates, or gives the null pointer and records the request.
    ///
    /// # Safety
    /// The alignment is at least [`HEADED_ALIGN`] and at most 2^30. The size may be 0: an allocation has an address of its
    /// own all the same.
    unsafe fn alloc_headed(&self, layout: Layout) -> *mut u8;

    /// The same, of zeros.
    ///
    /// # Safety
    /// As for [`alloc_headed`](Self::alloc_headed).
    unsafe fn alloc_zeroed_headed(&self, layout: Layout) -> *mut u8;

    /// Takes an allocation back.
    ///
    /// # Safety
    /// It is this allocator's, from a function of this trait, has this layout, and is given up.
    unsafe fn dealloc_headed(&self, pointer: *mut u8, layout: Layout);

    /// Gives an allocation another size and keeps its alignment, or gives the null pointer, records the request and changes
    /// nothing.
    ///
    /// # Safety
    /// It is this allocator's, from a function of this trait, and has this layout; the new size makes a layout too.
    unsafe fn realloc_headed(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8;
}
