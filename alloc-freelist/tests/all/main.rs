//! Integration tests over a fake memory.

mod heap;
mod programs;

use alloc_core::{AllocatorKind, testing::Rules};
use alloc_freelist::HEAP_END;

/// The bytes that the freelist may need beyond a request: its records and rounding.
const OVERHEAD: u64 = 1024;

fn rules<A>() -> Rules<A> {
    Rules { kind: AllocatorKind::Freelist, heap_end: HEAP_END, overhead: OVERHEAD, resets: None }
}
