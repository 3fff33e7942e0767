//! Allocations with a header in front of them.
//!
//! talc's blocks begin at multiples of 16 and what is handed out must too, so the header takes 16 bytes of the block, or as
//! many as the alignment where that is larger.
#![expect(unsafe_code, reason = "`HeaderAlloc` is an unsafe trait, and blocks are raw memory")]

use crate::FreelistAllocator;
use alloc_core::{ControlBlock, HEADED_ALIGN, HeaderAlloc, Memory, account, claim::refuse, header_size};
use core::{alloc::Layout, ptr};

const _: () = assert!(header_size(HEADED_ALIGN) as usize <= HEADED_ALIGN);

/// The block that holds an allocation of this layout, which lies as far behind its beginning as it is aligned. `None`, if
/// there cannot be one.
#[inline]
fn block_of(size: usize, align: usize) -> Option<Layout> {
    Layout::from_size_align(size.checked_add(align)?, align).ok()
}

// SAFETY: blocks are the heap's, as for `GlobalAlloc`; each has room for its header and, behind that, for the layout. Its
// beginning is aligned as the layout is, so what follows after as many bytes is too.
unsafe impl<M: Memory> HeaderAlloc for FreelistAllocator<M> {
    fn control_block(&self) -> &ControlBlock {
        // SAFETY: no other reference is alive, as said where `GlobalAlloc` is implemented.
        unsafe { self.heap() }.source().control_block()
    }

    #[inline]
    unsafe fn alloc_headed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: no other reference is alive, as said where `GlobalAlloc` is implemented.
        let heap = unsafe { self.heap() };
        let block = match block_of(layout.size(), layout.align()) {
            // SAFETY: a block is at least as long as it is aligned, so not of size 0.
            Some(block) => unsafe { heap.take(block) },
            None => ptr::null_mut(),
        };
        let control = heap.source().control_block();
        if block.is_null() {
            return refuse(control, layout.size(), layout.align());
        }
        account::requested(control, layout.size());
        account::count(&control.allocations);
        block.wrapping_add(layout.align())
    }

    unsafe fn alloc_zeroed_headed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the same contract.
        let pointer = unsafe { self.alloc_headed(layout) };
        if !pointer.is_null() {
            // SAFETY: it is as long as the layout says.
            unsafe { pointer.write_bytes(0, layout.size()) };
        }
        pointer
    }

    #[inline]
    unsafe fn dealloc_headed(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: no other reference is alive, as said where `GlobalAlloc` is implemented.
        let heap = unsafe { self.heap() };
        if let Some(block) = block_of(layout.size(), layout.align()) {
            // SAFETY: the block was taken with this layout, and is given up.
            unsafe { heap.give_back(pointer.wrapping_sub(layout.align()), block) };
        }
        account::deallocated(heap.source().control_block(), layout.size());
    }

    unsafe fn realloc_headed(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        let (old_size, align) = (layout.size(), layout.align());
        // SAFETY: no other reference is alive, as said where `GlobalAlloc` is implemented.
        let heap = unsafe { self.heap() };
        let (Some(block), Some(new_block)) = (block_of(old_size, align), block_of(new_size, align)) else {
            return refuse(heap.source().control_block(), new_size, align);
        };
        let from = pointer.wrapping_sub(align);
        // SAFETY: the block was taken with this layout; the new size is that of a layout and not 0.
        let to = unsafe { heap.resize(from, block, new_block.size()) };
        if to.is_null() {
            return refuse(heap.source().control_block(), new_size, align);
        }
        let result = to.wrapping_add(align);
        if to != from {
            // SAFETY: both hold at least the old size, and are different blocks.
            unsafe { ptr::copy_nonoverlapping(pointer, result, old_size) };
            // SAFETY: the block was taken with this layout, and is given up.
            unsafe { heap.give_back(from, block) };
        }
        let control = heap.source().control_block();
        match new_size.checked_sub(old_size) {
            Some(growth) => account::requested(control, growth),
            None => account::shrunk(control, old_size.wrapping_sub(new_size)),
        }
        account::count(&control.reallocations);
        result
    }
}
