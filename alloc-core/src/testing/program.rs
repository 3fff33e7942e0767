//! Programs that an allocator is put through, and random ones of them.

use proptest::{collection::vec, prelude::*};
use std::vec::Vec;

/// What is done about the bytes above the mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Residue {
    /// They are zeroed.
    Scrub,
    /// They stay, and the high-water mark tells the allocator.
    Keep,
}

/// A step of a program. Whatever cannot be done when its turn comes is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// `alloc`, or `alloc_zeroed`.
    Allocate {
        /// Bytes.
        size: usize,
        /// A power of two.
        align: usize,
        /// Whether the bytes must be zero.
        zeroed: bool,
    },
    /// `dealloc` of a live allocation: the newest is 0, counted modulo how many there are.
    Deallocate(usize),
    /// `realloc` of one, counted likewise.
    Reallocate {
        /// Which.
        which: usize,
        /// The new size.
        size: usize,
    },
    /// The host sets the mark.
    Mark,
    /// The allocator's own function sets the mark.
    MarkByCall,
    /// The host resets to the mark.
    Reset(Residue),
    /// The allocator's own function resets to the mark.
    ResetByCall,
    /// The host saves everything.
    Snapshot,
    /// The host puts everything back, with virtual growth or without.
    Restore {
        /// Whether the guest is told of as many pages as there were.
        virtual_growth: bool,
    },
    /// From now on the memory has so many pages to spare.
    LimitPages(u32),
}

/// Random programs of at most so many steps.
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
