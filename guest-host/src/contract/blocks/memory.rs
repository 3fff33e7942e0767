//! The memory of an instance, as blocks need it.

use std::ops::Range;

#[cfg(all(feature = "map", target_os = "linux"))]
use guest_blocks::Pages;
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
    /// Whether its pages may be replaced by mappings.
    #[cfg_attr(not(all(feature = "map", target_os = "linux")), expect(dead_code, reason = "nothing is mapped"))]
    pub(super) is_mappable: bool,
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

    fn discard_written(&mut self, range: Range<usize>) -> Option<Range<usize>> {
        match self.memory.cards_mut() {
            Some(cards) => cards.forget(range),
            None => Some(range),
        }
    }

    #[cfg(all(feature = "map", target_os = "linux"))]
    #[expect(unsafe_code, reason = "pages of the guest are replaced by mappings")]
    fn pages(&mut self, range: Range<usize>) -> Option<Pages<'_>> {
        if !self.is_mappable || self.memory.cards().is_none() {
            return None;
        }
        let bytes = self.memory.replaced(range)?;
        // SAFETY: the memory is one that the engine has mapped for this instance alone (`is_mappable`), readable and writable as far as
        // it reaches, with addresses for all that it may grow to, so that it does not move. The engine unmaps it as a whole when the
        // instance ends. `bytes` is exclusive while pages are replaced.
        // Only a `RingGroup` lets an instance join a ring. It owns the instances, lends none of them exclusively, and is borrowed exclusively
        // for as long as one of them runs or the host has a block of the ring attached for writing: so references to the memory of another
        // one cannot exist meanwhile.
        unsafe { Pages::new(bytes) }
    }
}
