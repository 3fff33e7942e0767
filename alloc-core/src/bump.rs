//! The mechanics of a bump pointer, as functions. [`BumpAllocator`](crate::BumpAllocator) is the allocator over them.
//!
//! All state is in the control block: `top` is the next free byte, `limit` the end of the memory adopted. `top` never
//! lies below `heap_base` and never above `limit`, and `limit` never above [`ADDRESS_END`](crate::ADDRESS_END).
//!
//! # Memory that is known to be zero
//!
//! Everything above `max(high_water, top)`. An allocation writes below `top` only, so nothing needs to be recorded
//! while `top` rises. Code that lowers `top` raises `high_water` first. A host that lowers `top` itself either zeroes the
//! bytes above it or raises `high_water` likewise.
//!
//! # Headers
//!
//! Each function takes the number of bytes directly in front of an allocation that belong to it. It is 0, or the size of
//! the header of a caller that remembers no layouts. Headers are neither counted nor aligned.
#![expect(unsafe_code, reason = "fills and copies memory that it hands out")]

use crate::{
    Memory, account,
    claim::{claim, refuse},
};
use core::{
    alloc::Layout,
    hint, ptr,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};
use guest_abi::{AllocatorKind, ControlBlock};

/// Serves `GlobalAlloc::alloc`.
#[inline]
pub fn alloc<M: Memory>(memory: &M, kind: AllocatorKind, header: u32, layout: Layout) -> *mut u8 {
    let counter = &memory.control_block().allocations;
    take(memory, kind, header, layout.size(), layout.align(), layout.size(), counter)
}

/// Serves `GlobalAlloc::alloc_zeroed`.
#[inline]
pub fn alloc_zeroed<M: Memory>(memory: &M, kind: AllocatorKind, header: u32, layout: Layout) -> *mut u8 {
    let pointer = alloc(memory, kind, header, layout);
    // SAFETY: this is what `alloc` has just given.
    unsafe { fill(memory, pointer, layout.size()) };
    pointer
}

/// Fills an allocation that [`alloc`] has just returned with zeros, as far as it lies below the high-water mark. The rest
/// is zero already.
///
/// # Safety
/// `pointer` is null or the newest allocation of this memory, of at least `size` bytes.
#[inline]
pub unsafe fn fill<M: Memory>(memory: &M, pointer: *mut u8, size: usize) {
    if !pointer.is_null() {
        // The allocation began at `top` or above, so of the mark in force only `high_water` can lie inside it.
        let high_water = memory.control_block().high_water.load(Relaxed);
        let dirty = high_water.saturating_sub(memory.address(pointer)) as usize;
        if dirty != 0 {
            // SAFETY: no more than the allocation is filled, and the caller has not given it away yet.
            unsafe { pointer.write_bytes(0, dirty.min(size)) };
        }
    }
}

/// Serves `GlobalAlloc::dealloc` for an allocator that gives the newest allocation's bytes back.
///
/// # Safety
/// As `GlobalAlloc::dealloc`, of an allocator that serves `pointer` from this memory, with this header.
#[inline]
pub unsafe fn dealloc_newest<M: Memory>(memory: &M, header: u32, pointer: *mut u8, layout: Layout) {
    let block = memory.control_block();
    account::deallocated(block, layout.size());
    let address = memory.address(pointer);
    if end_of(address, layout.size()) == block.top.load(Relaxed) {
        // The header is in front of it, so above `heap_base`.
        lower(block, address.wrapping_sub(header));
    }
}

/// Serves `GlobalAlloc::realloc`. The newest allocation grows and shrinks in place. Any other shrinks in place and is copied
/// to grow, without its header.
///
/// # Safety
/// As `GlobalAlloc::realloc`, of an allocator that serves `pointer` from this memory, with this header.
#[inline]
pub unsafe fn realloc<M: Memory>(
    memory: &M,
    kind: AllocatorKind,
    header: u32,
    pointer: *mut u8,
    layout: Layout,
    new_size: usize,
) -> *mut u8 {
    let block = memory.control_block();
    let (old_size, align) = (layout.size(), layout.align());
    let address = memory.address(pointer);
    let newest = end_of(address, old_size) == block.top.load(Relaxed);
    let mut result = pointer;
    if new_size <= old_size {
        account::shrunk(block, old_size.wrapping_sub(new_size));
        account::count(&block.reallocations);
        if newest {
            lower(block, end_of(address, new_size));
        }
    } else {
        // To grow the newest allocation is to take the difference, unaligned, from where it ends.
        let growth = new_size.wrapping_sub(old_size);
        let (header, size, align_of_size) = if newest { (0, growth, 1) } else { (header, new_size, align) };
        let taken = take(memory, kind, header, size, align_of_size, growth, &block.reallocations);
        if taken.is_null() {
            return refuse(block, new_size, align);
        }
        if !newest {
            result = taken;
            // SAFETY: the caller's allocation is `old_size` bytes long; what was just taken is longer and lies in
            // free memory, so apart from it.
            unsafe { ptr::copy_nonoverlapping(pointer, result, old_size) };
        }
    }
    result
}

/// Sets the mark that [`reset`] returns to. Everything below it stays.
#[inline]
pub fn mark<M: Memory>(memory: &M) {
    let block = memory.control_block();
    block.mark.store(block.top.load(Relaxed), Relaxed);
}

/// Returns to the mark; without one, does nothing.
///
/// # Safety
/// Nothing that reaches above the mark may be used any more.
#[inline]
pub unsafe fn reset<M: Memory>(memory: &M) {
    let block = memory.control_block();
    let mark = block.mark.load(Relaxed);
    if mark != 0 {
        lower(block, mark);
    }
}

/// Takes bytes off the free memory. If there are too few, records the request and returns the null pointer.
///
/// `requested` goes to the byte counters, and `counter` counts the calls that are served.
fn take<M: Memory>(
    memory: &M,
    kind: AllocatorKind,
    header: u32,
    size: usize,
    align: usize,
    requested: usize,
    counter: &AtomicU64,
) -> *mut u8 {
    let block = memory.control_block();
    // A `Layout` of wasm32 is within these bounds, natively it may exceed every memory that there is.
    #[cfg(not(target_pointer_width = "32"))]
    if size > i32::MAX as usize || align > 1 << 30 {
        return refuse(block, size, align);
    }
    let top = block.top.load(Relaxed);
    // The bounds of a `Layout`, size below 2^31 and alignment at most 2^30, and of a header, which is shorter than what is
    // never allocated below 4 GiB, keep the sums below 2^32; `top` is never above `limit`, so nothing here wraps but the
    // negation, which is meant to.
    let padding = top.wrapping_add(header).wrapping_neg() & (align as u32).wrapping_sub(1);
    let before = header.wrapping_add(padding);
    let needed = before.wrapping_add(size as u32);
    if needed > block.limit.load(Relaxed).wrapping_sub(top) && !make_room(memory, kind, needed) {
        return refuse(block, size, align);
    }
    block.top.store(top.wrapping_add(needed), Relaxed);
    account::requested(block, requested);
    account::count(counter);
    let address = top.wrapping_add(before);
    // SAFETY: `top` is at least `heap_base`, which is not 0, and its sum with `needed` is an address, so none with the
    // padding wraps.
    unsafe { hint::assert_unchecked(address != 0) };
    memory.pointer(address)
}

/// Adopts pages for `needed` bytes above `top`.
#[cold]
#[inline(never)]
fn make_room<M: Memory>(memory: &M, kind: AllocatorKind, needed: u32) -> bool {
    claim(memory, kind, needed)
}

/// Lowers `top` and records how high it was.
#[inline(never)]
fn lower(block: &ControlBlock, new_top: u32) {
    let high_water = block.high_water.load(Relaxed).max(block.top.load(Relaxed));
    block.high_water.store(high_water, Relaxed);
    block.top.store(new_top, Relaxed);
}

/// Where an allocation ends. It exists, so its end is an address.
#[inline]
fn end_of(address: u32, size: usize) -> u32 {
    address.wrapping_add(size as u32)
}
