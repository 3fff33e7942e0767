//! Integration tests over a fake memory.

mod programs;
mod resets;

use alloc_bump_reset::BumpResetAllocator;
use alloc_core::{
    ADDRESS_END, AllocatorKind, Memory,
    testing::{ResetCalls, Rules},
};

fn rules<M: Memory>() -> Rules<BumpResetAllocator<M>> {
    Rules {
        kind: AllocatorKind::BumpReset,
        heap_end: ADDRESS_END,
        overhead: 0,
        resets: Some(ResetCalls { mark: BumpResetAllocator::mark, reset: BumpResetAllocator::reset }),
    }
}
