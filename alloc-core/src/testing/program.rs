//! Programs for allocators, and random ones.

use proptest::{collection::vec, prelude::*};
use std::vec::Vec;

/// Treatment of the bytes above the mark in a reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Residue {
    /// Zeroed bytes.
    Scrub,
    /// Bytes that stay; the high-water mark covers them.
    Keep,
}

/// A step of a program. The runner skips a step that is not possible when its turn comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// An `alloc` or `alloc_zeroed`.
    Allocate {
        /// Size in bytes.
        size: usize,
        /// Alignment, a power of two.
        align: usize,
        /// Whether the bytes must be zero.
        zeroed: bool,
    },
    /// A `dealloc` of a live allocation, by its index from the newest, modulo the number of live ones.
    Deallocate(usize),
    /// A `realloc` of a live allocation.
    Reallocate {
        /// Index, as for [`Deallocate`](Self::Deallocate).
        which: usize,
        /// New size in bytes.
        size: usize,
    },
    /// Setting the mark, by the host.
    Mark,
    /// Setting the mark, by the allocator's own function.
    MarkByCall,
    /// A reset to the mark, by the host.
    Reset(Residue),
    /// A reset to the mark, by the allocator's own function.
    ResetByCall,
    /// A snapshot of everything.
    Snapshot,
    /// A restore to the snapshot.
    Restore {
        /// Whether the host virtualises growth, so that `memory.size` goes back too.
        virtual_growth: bool,
    },
    /// A limit on further growth, in pages.
    LimitPages(u32),
}

/// Random programs of at most `steps` steps.
pub fn programs(steps: usize) -> impl Strategy<Value = Vec<Operation>> {
    vec(operation(), 1..=steps)
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        20 => (size(), align(), any::<bool>())
            .prop_map(|(size, align, zeroed)| Operation::Allocate { size, align, zeroed }),
        8 => which().prop_map(Operation::Deallocate),
        10 => (which(), size()).prop_map(|(which, size)| Operation::Reallocate { which, size }),
        1 => Just(Operation::Mark),
        1 => Just(Operation::MarkByCall),
        2 => prop_oneof![Just(Residue::Scrub), Just(Residue::Keep)].prop_map(Operation::Reset),
        1 => Just(Operation::ResetByCall),
        1 => Just(Operation::Snapshot),
        2 => any::<bool>().prop_map(|virtual_growth| Operation::Restore { virtual_growth }),
        1 => (0_u32..8).prop_map(Operation::LimitPages),
    ]
}

/// Mostly one of the newest.
fn which() -> impl Strategy<Value = usize> {
    prop_oneof![2 => Just(0), 1 => 0_usize..4, 1 => 0_usize..64]
}

fn size() -> impl Strategy<Value = usize> {
    prop_oneof![
        12 => 1_usize..=64,
        6 => 65_usize..=2048,
        2 => 2049_usize..=200_000,
        1 => prop::sample::select(EDGES),
    ]
}

fn align() -> impl Strategy<Value = usize> {
    prop_oneof![
        12 => (0_u32..=4).prop_map(|log| 1 << log),
        2 => (5_u32..=12).prop_map(|log| 1 << log),
        1 => prop::sample::select(&[1_usize << 16, 1 << 20][..]),
    ]
}

/// Sizes around a page, around what an address holds, and around what a `Layout` holds.
const EDGES: &[usize] = &[
    (1 << 16) - 1,
    1 << 16,
    (1 << 16) + 1,
    1 << 20,
    i32::MAX as usize - 15,
    i32::MAX as usize,
    1 << 31,
    u32::MAX as usize - 15,
    u32::MAX as usize,
    u32::MAX as usize + 1,
    isize::MAX as usize - 4095,
];
