//! The allocator: `alloc-bump-reset` with the pointer somewhere else. The crate that has this module says where.
#![expect(unsafe_code, reason = "a global allocator, and the place where it keeps its pointer")]

use core::alloc::{GlobalAlloc, Layout};
use core::sync::atomic::Ordering::Relaxed;

use alloc_bump_reset::BumpResetAllocator;
use alloc_core::{LinearMemory, Memory};

/// Top and limit.
const KEPT: *mut [u32; 2] = core::ptr::without_provenance_mut(crate::KEPT_AT);

struct PointerOutside(BumpResetAllocator);

/// Runs `step` with top and limit as they were after the step before, whatever the control block says.
fn with_kept<R>(step: impl FnOnce() -> R) -> R {
    crate::prepare();
    let memory = LinearMemory::new();
    let block = memory.control_block();
    // SAFETY: the crate names a place that exists and where nothing else lies.
    let [top, limit] = unsafe { KEPT.read_volatile() };
    if top != 0 {
        block.top.store(top, Relaxed);
        block.limit.store(limit, Relaxed);
    }
    let result = step();
    let kept = [block.top.load(Relaxed), block.limit.load(Relaxed)];
    // SAFETY: as above.
    unsafe { KEPT.write_volatile(kept) };
    result
}

// SAFETY: as sound as the allocator within as long as nobody restores: it sees its own top and limit.
unsafe impl GlobalAlloc for PointerOutside {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        with_kept(|| unsafe { self.0.alloc(layout) })
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        with_kept(|| unsafe { self.0.dealloc(pointer, layout) });
    }
}

#[global_allocator]
static ALLOCATOR: PointerOutside = PointerOutside(BumpResetAllocator::new());
