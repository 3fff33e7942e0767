//! A guest with a memory, with or without a write barrier.

use std::ops::Range;

use guest_blocks::{BlockTable, GuestMemory, Limits, Violation, Written};

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

/// The memory of a guest.
#[derive(Clone)]
pub(crate) struct Memory {
    pub(crate) bytes: Vec<u8>,
    /// Marks of the cards, if there is a barrier.
    marks: Option<Vec<bool>>,
}

impl Memory {
    fn new(has_barrier: bool) -> Self {
        Self { bytes: vec![0xEE; MEMORY], marks: has_barrier.then(|| vec![false; MEMORY / CARD]) }
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
    pub(crate) fn new(has_barrier: bool) -> Self {
        let memory = Memory::new(has_barrier);
        let mut table = BlockTable::new(Limits::default());
        table.add_storage(&memory, STORAGE, STORAGE_SIZE, &[]).unwrap().unwrap();
        table.snapshot();
        Self { pristine: memory.clone(), memory, table }
    }

    /// Ends a call as a host does: checks it, and restores the instance in any case.
    pub(crate) fn end(&mut self) -> Result<(), Violation> {
        let checked = self.table.end_call(&self.memory);
        self.restore();
        checked
    }

    pub(crate) fn restore(&mut self) {
        self.table.restore();
        self.memory.clone_from(&self.pristine);
    }
}
