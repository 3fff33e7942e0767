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
    /// How often it had an entry before. One that has had as many as there are numbers is not used again.
    uses: u32,
    entry: Option<Entry>,
}

/// Numbers of a slot.
const NUMBERS: u32 = 1 << (u32::BITS - INDEX_BITS);

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
        self.uses << INDEX_BITS | (u32::from(index) + 1)
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
        let slot = self.slots.get(index(id)).filter(|slot| slot.uses == id >> INDEX_BITS);
        slot.and_then(|slot| slot.entry.as_ref()).ok_or(Violation::UnknownBlock { id })
    }

    #[inline]
    pub(super) fn get_mut(&mut self, id: u32) -> Result<&mut Entry, Violation> {
        let slot = self.slots.get_mut(index(id)).filter(|slot| slot.uses == id >> INDEX_BITS);
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
        slot.uses += 1;
        // A slot without a number left is not used again: an old id must not name another block.
        if slot.uses < NUMBERS {
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
        // So that the next numbers depend on how often each slot was used, and on nothing else.
        self.free.sort_unstable_by(|one, other| other.cmp(one));
    }

    /// How often each slot was used, where there are no entries.
    pub(super) fn uses(&self) -> impl Iterator<Item = u32> {
        self.slots.iter().map(|slot| slot.uses)
    }

    /// Goes on where another guest's entries stopped, of which there were none any more.
    pub(super) fn continue_from(&mut self, uses: &[u32]) {
        self.clear();
        self.slots = uses.iter().map(|uses| Slot { uses: *uses, entry: None }).collect();
        let usable = (0..=u16::MAX).zip(uses).filter(|(_, uses)| **uses < NUMBERS);
        self.free = usable.map(|(index, _)| index).rev().collect();
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

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        Entry::new(Block::new(1), None)
    }

    #[test]
    fn entries_go_on_with_the_numbers_of_others() {
        let mut entries = Entries::default();
        let ids: Vec<u32> = (0..4).map(|_| entries.add(entry()).unwrap()).collect();
        for id in [ids[2], ids[0]] {
            entries.remove(id).unwrap();
        }
        let again = entries.add(entry()).unwrap();
        entries.remove_all();
        let uses: Vec<u32> = entries.uses().collect();
        assert_eq!(uses, [2, 1, 1, 1]);
        let mut others = Entries::default();
        others.add(entry()).unwrap();
        others.continue_from(&uses);
        assert_eq!((others.count(), others.uses().collect::<Vec<_>>()), (0, uses));
        for id in ids.into_iter().chain([again]) {
            assert!(others.get(id).is_err());
        }
        for _ in 0..6 {
            assert_eq!(others.add(entry()), entries.add(entry()));
        }
    }

    #[test]
    fn a_number_is_used_once() {
        let mut entries = Entries::default();
        entries.continue_from(&[NUMBERS - 1, NUMBERS, 7]);
        let last = entries.add(entry()).unwrap();
        assert_eq!(last, (NUMBERS - 1) << INDEX_BITS | 1);
        entries.remove(last).unwrap();
        assert!(entries.get(last).is_err());
        assert_eq!(entries.add(entry()), Some(7 << INDEX_BITS | 3), "two slots have no number left");
        entries.remove_all();
        assert_eq!(entries.uses().collect::<Vec<_>>(), [NUMBERS, NUMBERS, 8]);
        entries.continue_from(&[NUMBERS; MOST]);
        assert_eq!(entries.add(entry()), None);
    }
}
