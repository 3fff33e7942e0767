//! The memory of an instance, as blocks need it.

use std::ops::Range;

use guest_blocks::Written;

#[cfg(feature = "specimens")]
use super::BlockSpecimen;
use super::Unmarked;
use crate::host::dirty_ranges::DirtyRanges;
use crate::host::guest_memory::GuestMemory;

/// The memory that a guest sees.
pub(super) struct Memory<'a, 'm> {
    pub(super) memory: &'a mut GuestMemory<'m>,
    pub(super) dirty_ranges: &'a mut DirtyRanges,
    pub(super) unmarked: &'a mut Unmarked,
    #[cfg(feature = "specimens")]
    pub(super) specimen: Option<BlockSpecimen>,
}

impl guest_blocks::GuestMemory for Memory<'_, '_> {
    fn bytes(&self) -> &[u8] {
        self.memory.read()
    }

    fn place(&mut self, address: usize, bytes: &[u8]) {
        #[cfg(feature = "specimens")]
        if self.specimen == Some(BlockSpecimen::StaleView) {
            return;
        }
        self.memory.write(address..address + bytes.len(), self.dirty_ranges).copy_from_slice(bytes);
    }

    fn forget_written(&mut self, range: Range<usize>) {
        if let Some(cards) = self.memory.cards_mut() {
            cards.forget(range.clone());
            self.unmarked.add(range);
        }
    }

    fn written(&self, range: Range<usize>) -> Written {
        #[cfg(feature = "specimens")]
        if self.specimen == Some(BlockSpecimen::LosesCopy) {
            return Written::Ranges(Vec::new());
        }
        match self.memory.cards() {
            Some(cards) => Written::Ranges(cards.written(range)),
            None => Written::Unknown,
        }
    }

    fn has_written(&self, range: Range<usize>) -> bool {
        self.memory.cards().is_some_and(|cards| cards.is_written(range))
    }
}
