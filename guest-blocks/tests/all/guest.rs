//! A guest with a memory, with or without a write barrier.

use std::ops::Range;

use guest_blocks::{BlockTable, GuestMemory, Limits, Pages, Violation, Written};

use crate::bytes::Bytes;

/// Bytes of a card of the barrier.
const CARD: usize = 256;

/// How far from a card that is marked the guest may have written.
const SLACK: usize = 64;

/// Bytes of the memory.
pub(crate) const MEMORY: usize = 256 << 10;

/// Where the storage is that the guest offers first.
pub(crate) const STORAGE: u32 = 64 << 10;

/// Bytes of that storage: a place for six small blocks.
pub(crate) const STORAGE_SIZE: u32 = 6 * 4096 + 4095 + 2 * 128;

/// Bytes of the storage of a guest whose blocks are mapped.
const MAPPED_STORAGE_SIZE: u32 = 128 << 10;

/// How a guest has blocks attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// By copying, and nobody knows where it writes.
    Plain,
    /// By copying, with a write barrier.
    Barrier,
    /// By mapping whatever can be mapped, with a write barrier. By copying where the system has no memory files.
    Mapped,
}

impl Way {
    pub(crate) const ALL: [Self; 3] = [Self::Plain, Self::Barrier, Self::Mapped];
}

/// The memory of a guest.
#[derive(Clone)]
pub(crate) struct Memory {
    pub(crate) bytes: Bytes,
    /// Marks of the cards, if there is a barrier.
    marks: Option<Vec<bool>>,
    is_mappable: bool,
}

impl Memory {
    fn new(way: Way) -> Self {
        let mut bytes = Bytes::new(MEMORY);
        bytes.fill(0xEE);
        if way == Way::Mapped {
            bytes[STORAGE as usize..(STORAGE + MAPPED_STORAGE_SIZE) as usize].fill(0);
        }
        let marks = (way != Way::Plain).then(|| vec![false; MEMORY / CARD]);
        Self { bytes, marks, is_mappable: way == Way::Mapped }
    }

    /// A store of the guest.
    pub(crate) fn store(&mut self, at: usize, bytes: &[u8]) {
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
        if let Some(marks) = &mut self.marks
            && !bytes.is_empty()
        {
            marks[at / CARD..=(at + bytes.len() - 1) / CARD].fill(true);
        }
    }
}

impl GuestMemory for Memory {
    fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn place(&mut self, address: usize, bytes: &[u8]) {
        self.bytes[address..address + bytes.len()].copy_from_slice(bytes);
    }

    fn forget_written(&mut self, range: Range<usize>) {
        if let Some(marks) = &mut self.marks {
            marks[certain(range)].fill(false);
        }
    }

    fn written(&self, range: Range<usize>) -> Written {
        let Some(marks) = &self.marks else { return Written::Unknown };
        let cards = range.start.saturating_sub(SLACK) / CARD..(range.end + SLACK).div_ceil(CARD).min(marks.len());
        let card = |card: usize| {
            let start = (card * CARD).saturating_sub(SLACK).max(range.start);
            start..((card + 1) * CARD + SLACK).min(range.end)
        };
        Written::Ranges(cards.filter(|card| marks[*card]).map(card).filter(|range| range.start < range.end).collect())
    }

    fn has_written(&self, range: Range<usize>) -> bool {
        self.marks.as_ref().is_some_and(|marks| marks[certain(range)].contains(&true))
    }

    fn pages(&mut self, range: Range<usize>) -> Option<Pages<'_>> {
        if self.is_mappable { self.bytes.pages(range) } else { None }
    }
}

/// The cards whose marks stand for writes in a range alone.
fn certain(range: Range<usize>) -> Range<usize> {
    let first = (range.start + SLACK).div_ceil(CARD);
    first..(range.end.saturating_sub(SLACK) / CARD).max(first)
}

/// A guest that has begun, and its memory then.
pub(crate) struct Guest {
    pub(crate) memory: Memory,
    pub(crate) table: BlockTable,
    pristine: Memory,
}

impl Guest {
    pub(crate) fn new(way: Way) -> Self {
        let memory = Memory::new(way);
        let mut limits = Limits::default();
        let size = if way == Way::Mapped { MAPPED_STORAGE_SIZE } else { STORAGE_SIZE };
        limits.mapped_from = if way == Way::Mapped { 0 } else { u32::MAX };
        let mut table = BlockTable::new(limits);
        table.add_storage(&memory, STORAGE, size, &[]).unwrap().unwrap();
        table.snapshot(&memory);
        Self { pristine: memory.clone(), memory, table }
    }

    /// Ends a call as a host does: checks it, and restores the instance in any case.
    pub(crate) fn end(&mut self) -> Result<(), Violation> {
        let checked = self.table.end_call(&self.memory);
        self.restore();
        checked
    }

    pub(crate) fn restore(&mut self) {
        self.table.restore(&mut self.memory, false).unwrap();
        // Pages of a ring are no part of the guest's state.
        let mut from = 0;
        for ring in self.table.rings().chain(std::iter::once(MEMORY..MEMORY)) {
            self.memory.bytes[from..ring.start].copy_from_slice(&self.pristine.bytes[from..ring.start]);
            from = ring.end;
        }
        self.memory.marks.clone_from(&self.pristine.marks);
    }
}
