//! Attachments, and the bytes that a guest writes where it has one.

use std::ops::Range;

use super::address;
use crate::block::Block;
use crate::error::Violation;
use crate::memory::{GuestMemory, Written};
use crate::ranges::without;
use crate::storage::{first_byte, guarded, mapped};

/// An attachment.
#[derive(Debug)]
pub(super) struct Attached {
    pub(super) place: Place,
    pub(super) holds: Holds,
    /// Ranges of the parts that a writer has made, in ascending order. The writer may not write there, even after a part is gone, because the
    /// holder of the part may have written there.
    pub(super) handed_out: Vec<Range<u32>>,
}

impl Attached {
    #[inline]
    pub(super) fn new(place: Place, holds: Holds) -> Self {
        Self { place, holds, handed_out: Vec::new() }
    }
}

/// Where a block is attached.
#[derive(Debug, Clone)]
pub(super) enum Place {
    /// In this part of the storage.
    Storage(Range<usize>),
    /// In pages of this part of the storage that are mapped. What a writer writes there are the block's bytes.
    Mapped(Range<usize>),
    /// In pages that were mapped, and have a copy now.
    Demoted(Range<usize>),
    /// In pages of a ring, which stay mapped.
    Slot(Range<usize>),
    /// Where a local block is.
    Local(Range<usize>),
}

/// The access that an attachment gives.
#[derive(Debug)]
pub(super) enum Holds {
    Writing,
    Reading {
        /// The bytes of the block that it reads.
        range: Range<u32>,
        /// Whether others may read them, too, and nobody consumes them.
        is_shared: bool,
    },
}

impl Place {
    /// The address of the first byte of the block.
    #[inline]
    pub(super) fn start(&self) -> usize {
        match self {
            Self::Storage(place) => first_byte(place),
            Self::Mapped(place) | Self::Demoted(place) => mapped(place).start,
            Self::Slot(slot) => slot.start,
            Self::Local(local) => local.start,
        }
    }

    /// The address of the first byte that a reader of this range reads.
    #[inline]
    pub(super) fn first_to_read(&self, range: &Range<u32>) -> usize {
        match self {
            // The whole block is there.
            Self::Mapped(_) | Self::Slot(_) => self.start() + range.start as usize,
            Self::Storage(_) | Self::Demoted(_) | Self::Local(_) => self.start(),
        }
    }

    /// The range in which writes count.
    pub(super) fn watched(&self) -> Range<usize> {
        match self {
            Self::Storage(place) | Self::Mapped(place) | Self::Demoted(place) => guarded(place),
            Self::Slot(slot) => slot.clone(),
            Self::Local(local) => local.clone(),
        }
    }
}

/// The ranges in which the guest may have written: all of it, where nobody knows.
fn written(memory: &impl GuestMemory, range: Range<usize>) -> Vec<Range<usize>> {
    match memory.written(range.clone()) {
        Written::Unknown => vec![range],
        Written::Ranges(ranges) => ranges,
    }
}

/// Copies what a writer has written in `range` of its block, which is attached at `first`, to the block. Returns how many bytes were
/// copied.
pub(super) fn collect(
    memory: &impl GuestMemory,
    first: usize,
    range: Range<u32>,
    handed_out: &[Range<u32>],
    block: &Block,
) -> Result<u64, Violation> {
    let at = |range: &Range<u32>| first + range.start as usize..first + range.end as usize;
    for handed_out in handed_out.iter().map(at) {
        if memory.has_written(handed_out.clone()) {
            return Err(Violation::WroteHandedOut { address: address(handed_out.start) });
        }
    }
    let handed_out: Vec<_> = handed_out.iter().map(at).collect();
    let mut copied = 0;
    for range in written(memory, at(&range)) {
        let behind = handed_out.partition_point(|part| part.end <= range.start);
        let over = handed_out[behind..].iter().take_while(|part| part.start < range.end).cloned();
        for range in without(range.clone(), over) {
            let offset = |at: usize| address(at - first);
            let bytes = &memory.bytes()[range.clone()];
            block.bytes_mut(&(offset(range.start)..offset(range.end)), |block| {
                if !block.is_empty() {
                    block.copy_from_slice(bytes);
                    copied += bytes.len() as u64;
                }
            });
        }
    }
    Ok(copied)
}

/// Checks that a reader of this range has left its bytes as they were. Where no barrier knows it, they are compared.
pub(super) fn check_read(
    memory: &impl GuestMemory,
    place: &Place,
    block: &Block,
    range: &Range<u32>,
) -> Result<(), Violation> {
    let watched = place.watched();
    let ranges = match memory.written(0..0) {
        Written::Ranges(_) if !memory.has_written(watched.clone()) => return Ok(()),
        Written::Ranges(_) => written(memory, watched),
        Written::Unknown => Vec::new(),
    };
    let first = place.first_to_read(range);
    let differs = match place {
        Place::Local(_) => None,
        _ => block.bytes(range, |bytes| {
            let now = &memory.bytes()[first..][..bytes.len()];
            now.iter().zip(bytes).position(|(now, before)| now != before)
        }),
    };
    let near = ranges.first().map(|range| range.start.max(first));
    match differs.map(|at| first + at).or(near) {
        Some(at) => Err(Violation::WroteWhileReading { address: address(at) }),
        None => Ok(()),
    }
}
