//! The blocks that a guest has, by the numbers that it knows them by.

use std::ops::Range;

use super::attached::{Attached, Holds};
use crate::block::{Block, End};
use crate::error::Violation;

/// Bits of an id that say which slot it is. The others say how often the slot was used before.
const INDEX_BITS: u32 = 16;

/// The most entries of a guest.
pub(super) const MOST: usize = u16::MAX as usize;

/// The entries of one guest. Those that are dropped end their attachments.
#[derive(Debug, Default)]
pub(super) struct Entries {
    slots: Vec<Slot>,
    /// Slots without an entry, but those that have no number left.
    free: Vec<u16>,
    /// Slots with an entry.
    live: usize,
}

#[derive(Debug, Default)]
struct Slot {
    /// How often it had an entry before.
    generation: u16,
    entry: Option<Entry>,
}

/// A block that the guest has.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) block: Block,
    /// Where the bytes of a local block are.
    pub(super) local: Option<Range<usize>>,
    /// Its holder ends it: [`Block::end_read`] or [`Block::end_write`].
    pub(super) attached: Option<Attached>,
}

impl Entry {
    pub(super) fn new(block: Block, local: Option<Range<usize>>) -> Self {
        Self { block, local, attached: None }
    }

    /// Ends the attachment, if there is one. Nothing is published or consumed.
    fn give_back(&mut self) {
        match self.attached.take().map(|attached| attached.holds) {
            Some(Holds::Writing) => self.block.end_write(End::Abandon),
            Some(Holds::Reading { .. }) => self.block.end_read(0),
            None => {}
        }
    }
}

impl Slot {
    /// The number by which the guest knows the entry of the slot with this index. None is 0.
    fn id(&self, index: u16) -> u32 {
        u32::from(self.generation) << INDEX_BITS | (u32::from(index) + 1)
    }
}

impl Entries {
    #[inline]
    pub(super) fn count(&self) -> usize {
        self.live
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.slots.iter().filter_map(|slot| slot.entry.as_ref())
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Entry> {
        self.slots.iter_mut().filter_map(|slot| slot.entry.as_mut())
    }

    /// The entries with their numbers.
    pub(super) fn numbered(&self) -> impl Iterator<Item = (u32, &Entry)> {
        (0..).zip(&self.slots).filter_map(|(index, slot)| Some((slot.id(index), slot.entry.as_ref()?)))
    }

    /// Adds an entry, and returns its number. `None` if every number has been used since they began again.
    #[inline]
    pub(super) fn add(&mut self, entry: Entry) -> Option<u32> {
        let index = match self.free.pop() {
            Some(index) => index,
            None => {
                let index = u16::try_from(self.slots.len()).ok().filter(|index| usize::from(*index) < MOST)?;
                self.slots.push(Slot::default());
                index
            }
        };
        self.live += 1;
        let slot = &mut self.slots[usize::from(index)];
        slot.entry = Some(entry);
        Some(slot.id(index))
    }

    #[inline]
    pub(super) fn get(&self, id: u32) -> Result<&Entry, Violation> {
        let slot = self.slots.get(index(id)).filter(|slot| u32::from(slot.generation) == id >> INDEX_BITS);
        slot.and_then(|slot| slot.entry.as_ref()).ok_or(Violation::UnknownBlock { id })
    }

    #[inline]
    pub(super) fn get_mut(&mut self, id: u32) -> Result<&mut Entry, Violation> {
        let slot = self.slots.get_mut(index(id)).filter(|slot| u32::from(slot.generation) == id >> INDEX_BITS);
        slot.and_then(|slot| slot.entry.as_mut()).ok_or(Violation::UnknownBlock { id })
    }

    /// Removes an entry that is not attached. Its number names nothing any more.
    #[inline]
    pub(super) fn remove(&mut self, id: u32) -> Result<Entry, Violation> {
        if self.get(id)?.attached.is_some() {
            return Err(Violation::Attached { id });
        }
        self.vacate(index(id)).ok_or(Violation::UnknownBlock { id })
    }

    /// Takes the entry of a slot, whose number names nothing any more.
    #[inline]
    fn vacate(&mut self, index: usize) -> Option<Entry> {
        let slot = &mut self.slots[index];
        let entry = slot.entry.take()?;
        self.live -= 1;
        // A slot without a number left is not used again: an old id must not name another block.
        if let Some(generation) = slot.generation.checked_add(1) {
            slot.generation = generation;
            // There are fewer.
            self.free.push(u16::try_from(index).unwrap_or(u16::MAX));
        }
        Some(entry)
    }

    /// Removes all, one after the other. Their numbers name nothing any more.
    pub(super) fn remove_all(&mut self) {
        for index in 0..self.slots.len() {
            self.slots[index].entry.iter_mut().for_each(Entry::give_back);
            drop(self.vacate(index));
        }
    }

    /// Removes all, one after the other, and numbers begin again.
    pub(super) fn clear(&mut self) {
        for slot in &mut self.slots {
            slot.entry.iter_mut().for_each(Entry::give_back);
            slot.entry = None;
        }
        self.slots.clear();
        self.free.clear();
        self.live = 0;
    }
}

impl Drop for Entries {
    fn drop(&mut self) {
        self.clear();
    }
}

/// The index of the slot that an id names; for those that name none, one that there never is.
#[inline]
fn index(id: u32) -> usize {
    ((id & ((1 << INDEX_BITS) - 1)) as usize).wrapping_sub(1)
}
