//! Rings: blocks in pages that stay mapped into all guests that write or read them.

use std::io;
use std::sync::{Arc, Weak};

use crate::block::{Block, Writing};
use crate::content::Content;
use crate::error::Refused;
use crate::slots::{InSlot, RingInner};
use crate::state::State;
use crate::sys::PAGE;

/// Slots for blocks, in pages that stay mapped into the guests that [join](crate::BlockTable::join) it: no byte is copied, and an attachment
/// costs the same whatever its size.
///
/// A slot is a [`Block`] like others. A guest that has not joined reads a copy, and cannot write it.
///
/// The guest that writes could write into a slot at any time. The write barrier finds that at the end of its call, and then
/// nothing of the ring can be read any more. So that nobody has read torn bytes until then, guests that read a ring must not run while
/// the one that writes it does: [`Ring`] does not see to that, and the host does.
///
/// Cheap to clone: each clone is the same ring.
#[derive(Debug, Clone)]
pub struct Ring {
    pub(crate) inner: Arc<RingInner>,
}

impl Ring {
    /// Makes a ring with this number of slots. Each slot has `size` bytes, rounded up to whole pages.
    ///
    /// # Errors
    /// If there are no slots, or the system has no memory files, or refuses one; always without the feature `map`.
    pub fn new(slots: usize, size: u32) -> io::Result<Self> {
        let size = size.checked_next_multiple_of(PAGE as u32).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { inner: Arc::new(RingInner::new(slots, size.max(PAGE as u32))?) })
    }

    /// A free slot as a block. `None` while all slots have blocks.
    ///
    /// All its bytes count as published and not consumed, so that a guest which attaches it for writing hears how many there are. Its
    /// writer finds the bytes of the block that was in the slot before; nobody reads it until something is published.
    #[must_use]
    pub fn slot(&self) -> Option<Block> {
        let slot = self.inner.take()?;
        let (index, size) = (slot.index, self.inner.size());
        let block = Block::of(Content::Slot(slot), size, State::fresh(size));
        let in_slot: Weak<dyn InSlot> = Arc::downgrade(&block.inner) as _;
        self.inner.occupy(index, in_slot);
        Some(block)
    }

    /// Attaches a block that is in a slot for writing, on the host's side. See [`Block::write`].
    ///
    /// Guests that have joined the ring see what is written at once: none of them runs meanwhile.
    ///
    /// # Errors
    /// As for [`Block::write`], and [`Refused::Internal`] for a block that is in no slot of the ring.
    pub fn write(&self, block: &Block, shared: bool) -> Result<Writing, Refused> {
        match block.slot() {
            Some(slot) if Arc::ptr_eq(&slot.ring, &self.inner) => block.write_anywhere(shared),
            _ => Err(Refused::Internal),
        }
    }

    /// All its bytes, as the host sees them: the slots in their order, each with a free page on either side.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        self.inner.read_all()
    }

    /// Bytes of a slot.
    #[must_use]
    pub fn slot_size(&self) -> u32 {
        self.inner.size()
    }

    /// Bytes of storage that a guest needs to join: all slots, each with a free page on either side.
    #[must_use]
    pub fn storage_size(&self) -> usize {
        self.inner.bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::{Storage, bytes_for};

    /// The guide and the SDK tell guests to offer so much.
    #[test]
    fn storage_for_one_slot_more_with_two_pages_more_serves_wherever_it_begins() {
        for (slots, size) in [(1, 1), (1, 3796), (2, 4096), (3, 4097), (3, 8000), (7, 200_000), (40, 12_000)] {
            let Ok(ring) = Ring::new(slots, size) else { return };
            let count = u32::try_from(slots).unwrap();
            for is_mapped in [false, true] {
                let bytes = bytes_for(count + 1, size + 8192, is_mapped) as usize;
                for start in [PAGE, PAGE + 1, 2 * PAGE - 129, 2 * PAGE - 128, 2 * PAGE - 127, 2 * PAGE - 1] {
                    let mut storage = Storage::default();
                    assert!(storage.offer(start..start + bytes));
                    storage.find_zeros(&vec![0; start + bytes]);
                    assert!(storage.take_pages(ring.storage_size()).is_some(), "{slots} x {size} from {start}");
                }
            }
        }
    }
}
