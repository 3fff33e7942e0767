//! Integration tests over a fake memory.

mod edges;
mod programs;

use alloc_core::{ADDRESS_END, AllocatorKind, testing::Rules};

fn rules<A>() -> Rules<A> {
    Rules { kind: AllocatorKind::Leaking, heap_end: ADDRESS_END, overhead: 0, resets: None }
}
