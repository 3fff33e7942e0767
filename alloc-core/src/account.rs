//! The counters of the control block. Without the feature `counters` these functions compile to nothing.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use guest_abi::{ControlBlock, control_block::FLAG_COUNTERS};

/// Value of [`ControlBlock::flags`] in this build.
pub(crate) const FLAGS: u32 = if cfg!(feature = "counters") { FLAG_COUNTERS } else { 0 };

/// Counts bytes that were requested and served, and raises the peak to them.
#[inline]
pub fn requested(block: &ControlBlock, size: usize) {
    if cfg!(feature = "counters") {
        let allocated = add(&block.allocated_bytes, size as u64);
        let live = allocated.wrapping_sub(block.freed_bytes.load(Relaxed));
        if live > block.peak_live_bytes.load(Relaxed) {
            block.peak_live_bytes.store(live, Relaxed);
        }
    }
}

/// Counts a call that was served. `calls` is the control block's `allocations` or `reallocations`. [`requested`] and
/// [`shrunk`] count its bytes.
#[inline]
pub fn count(calls: &AtomicU64) {
    if cfg!(feature = "counters") {
        add(calls, 1);
    }
}

/// Counts a `dealloc` of `size` bytes.
#[inline]
pub fn deallocated(block: &ControlBlock, size: usize) {
    if cfg!(feature = "counters") {
        add(&block.deallocations, 1);
        shrunk(block, size);
    }
}

/// Counts bytes that were given back.
#[inline]
pub fn shrunk(block: &ControlBlock, size: usize) {
    if cfg!(feature = "counters") {
        add(&block.freed_bytes, size as u64);
    }
}

/// Counts a successful `memory.grow`.
#[inline]
pub(crate) fn grown(block: &ControlBlock) {
    if cfg!(feature = "counters") {
        block.grows.store(block.grows.load(Relaxed).wrapping_add(1), Relaxed);
    }
}

/// Adds by a load and a store, as there is one thread. Returns the new value.
#[inline]
fn add(counter: &AtomicU64, by: u64) -> u64 {
    let sum = counter.load(Relaxed).wrapping_add(by);
    counter.store(sum, Relaxed);
    sum
}
