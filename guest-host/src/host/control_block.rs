//! The allocator's control block in a guest's memory. Nothing else in the host knows where its words lie.
//!
//! [`ControlBlock`] documents the words. The guest may write anything there, so this module trusts none of them.

use std::mem::offset_of;
use std::ops::Range;

use guest_abi::control_block::{self, offset};
use guest_abi::{AllocatorKind, ControlBlock, ControlBlockImage};

use crate::host::memory_location::{Exclusive, memory_and_data};

/// A control block that was read from a guest's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ControlBlockAt {
    /// Its address.
    pub address: usize,
    /// Its words at that moment.
    pub image: ControlBlockImage,
}

impl ControlBlockAt {
    /// Reads the control block at `address`.
    pub(crate) fn read(memory: &[u8], address: usize) -> Result<Self, control_block::ParseError> {
        let bytes = memory.get(address..).unwrap_or_default();
        Ok(Self { address, image: ControlBlockImage::parse(bytes)? })
    }

    /// Reads the control block at `address` in the memory of the store's instance; `None` if there is none.
    pub(crate) fn of<S: Exclusive>(store: &mut S, address: usize) -> Option<Self> {
        let (memory, _) = memory_and_data(store)?;
        Self::read(memory.read(), address).ok()
    }

    /// Writes what the host keeps in the control block at `address`, and returns the block for the snapshot; `None` if there is
    /// none. `keeps_lowest_stack` says that the guest was prepared to keep its lowest stack pointer there.
    pub(crate) fn begin(memory: &mut [u8], address: usize, keeps_lowest_stack: bool) -> Option<Self> {
        let found = Self::read(memory, address).ok()?;
        if found.image.allocator() == Some(AllocatorKind::BumpReset) {
            write_word(memory, address + offset::MARK, found.image.top);
        }
        memory[refused_request(address)].fill(0);
        // Until a pointer is lower.
        write_word(memory, address + offset::LOWEST_STACK, if keeps_lowest_stack { u32::MAX } else { 0 });
        Self::read(memory, address).ok()
    }
}

/// The words of a control block that a restore needs, as the calls since the last one left them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HeapWords {
    /// The high-water mark in force.
    pub(crate) high_water: u32,
    /// End of the memory that the allocator has adopted.
    pub(crate) limit: u32,
    /// Lowest value of the shadow-stack pointer; 0 where it is not kept.
    pub(crate) lowest_stack: u32,
}

impl HeapWords {
    /// Reads them from the control block at `address`; `None` if that reaches beyond memory. Four words, not the whole block:
    /// this runs on every restore.
    #[inline(always)]
    pub(crate) fn read(memory: &[u8], address: usize) -> Option<Self> {
        let words = memory.get(address..)?.first_chunk::<{ offset::LOWEST_STACK + 4 }>()?;
        let word = |at: usize| u32::from_le_bytes([words[at], words[at + 1], words[at + 2], words[at + 3]]);
        Some(Self {
            high_water: word(offset::HIGH_WATER).max(word(offset::TOP)),
            limit: word(offset::LIMIT),
            lowest_stack: word(offset::LOWEST_STACK),
        })
    }
}

/// The bytes of the control block at `address`.
pub(crate) fn whole(address: usize) -> Range<usize> {
    address..address + control_block::SIZE
}

/// The bytes of its high-water mark.
pub(crate) fn high_water(address: usize) -> Range<usize> {
    address + offset::HIGH_WATER..address + offset::HIGH_WATER + 4
}

/// The bytes of the request that could not be served.
#[inline]
pub(crate) fn refused_request(address: usize) -> Range<usize> {
    address + offset_of!(ControlBlock, failed_size)..address + offset_of!(ControlBlock, failed_align) + 4
}

/// Writes the high-water mark.
#[inline]
pub(crate) fn write_high_water(memory: &mut [u8], address: usize, value: u32) {
    write_word(memory, address + offset::HIGH_WATER, value);
}

#[inline]
fn write_word(memory: &mut [u8], at: usize, value: u32) {
    memory[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A memory with this control block at an address that is no multiple of 4.
    fn memory_with(change: impl FnOnce(&mut ControlBlock)) -> (Vec<u8>, usize) {
        let (mut block, address) = (ControlBlock::new(), 102);
        change(&mut block);
        let mut memory = vec![0; 400];
        let words = [
            (offset_of!(ControlBlock, magic), *block.magic.get_mut()),
            (offset::TOP, *block.top.get_mut()),
            (offset::HIGH_WATER, *block.high_water.get_mut()),
            (offset::LIMIT, *block.limit.get_mut()),
            (offset_of!(ControlBlock, failed_size), *block.failed_size.get_mut()),
            (offset_of!(ControlBlock, failed_align), *block.failed_align.get_mut()),
        ];
        for (at, value) in words {
            write_word(&mut memory, address + at, value);
        }
        for (at, value) in [
            (offset_of!(ControlBlock, version), *block.version.get_mut()),
            (offset_of!(ControlBlock, kind), *block.kind.get_mut()),
        ] {
            memory[address + at..][..2].copy_from_slice(&value.to_le_bytes());
        }
        (memory, address)
    }

    #[test]
    fn a_snapshot_has_the_mark_of_a_bump_allocator_and_no_refused_request() {
        for (kind, marked) in [(AllocatorKind::BumpReset, 300), (AllocatorKind::Freelist, 0)] {
            let (mut memory, address) = memory_with(|block| {
                *block.kind.get_mut() = kind as u16;
                *block.top.get_mut() = 300;
                *block.failed_size.get_mut() = 9;
                *block.failed_align.get_mut() = 4;
            });
            let begun = ControlBlockAt::begin(&mut memory, address, true).expect("it is there");
            assert_eq!(
                (begun.image.mark, begun.image.failed_size, begun.image.failed_align),
                (marked, 0, 0),
                "{kind:?}"
            );
            let words = HeapWords::read(&memory, address).expect("it lies in memory");
            assert_eq!((words.high_water, words.limit, words.lowest_stack), (300, 0, u32::MAX));
            ControlBlockAt::begin(&mut memory, address, false).expect("it is still there");
            assert_eq!(HeapWords::read(&memory, address).map(|words| words.lowest_stack), Some(0));
        }
    }

    #[test]
    fn the_mark_in_force_is_the_higher_one() {
        let (mut memory, address) =
            memory_with(|block| (*block.top.get_mut(), *block.high_water.get_mut()) = (200, 300));
        assert_eq!(HeapWords::read(&memory, address).map(|words| words.high_water), Some(300));
        write_high_water(&mut memory, address, 100);
        assert_eq!(HeapWords::read(&memory, address).map(|words| words.high_water), Some(200));
    }

    #[test]
    fn what_is_no_control_block_is_left_alone() {
        let (memory, address) = memory_with(|block| *block.magic.get_mut() += 1);
        for at in [address, 399, 400, usize::MAX] {
            let mut changed = memory.clone();
            assert_eq!(ControlBlockAt::begin(&mut changed, at, true), None);
            assert_eq!(changed, memory);
        }
        assert!(HeapWords::read(&memory, 399).is_none() && HeapWords::read(&memory, usize::MAX).is_none());
    }
}
