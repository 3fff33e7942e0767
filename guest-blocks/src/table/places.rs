//! The parts of a guest's memory in which blocks are attached.

use std::ops::Range;
use std::sync::Arc;
use std::{io, mem};

use super::address;
use super::attached::{Attached, Holds, Place};
use super::entries::Entry;
use super::{Area, Counts};
use crate::block::{Block, End};
use crate::error::{JoinError, Refused, Violation};
use crate::memory::{GUARD, GuestMemory, Written};
use crate::ranges::{overlap, without};
use crate::slots::{RingInner, Slot};
use crate::storage::{Storage, bytes_for, first_byte, guarded, mapped};
use crate::sys::PAGE;

/// The storage of a guest, the rings that it has joined, and what was attached there.
#[derive(Debug)]
pub(super) struct Places {
    /// Bytes from which a block is mapped.
    mapped_from: u32,
    pub(super) storage: Storage,
    /// Free places that had an attachment: a guest that writes there uses one that it has given up.
    pub(super) left: Vec<Range<usize>>,
    /// The storage as restores put it back; `None` while the guest is initialised.
    pub(super) kept: Option<Storage>,
    /// The rings that are mapped into the guest, for as long as it lives.
    pub(super) rings: Vec<Joined>,
    pub(super) counts: Counts,
}

/// A ring that is mapped into a guest.
#[derive(Debug)]
pub(super) struct Joined {
    ring: Arc<RingInner>,
    /// The part of the storage that it takes.
    pub(super) place: Range<usize>,
    /// Whether the guest writes blocks of the ring, or reads them.
    writes: bool,
}

/// Ends an attachment that reads, which nothing keeps yet: whatever goes wrong, others can have the block then.
struct EndsRead<'b>(&'b Block);

impl Drop for EndsRead<'_> {
    fn drop(&mut self) {
        self.0.end_read(0);
    }
}

/// The same of an attachment that writes, in this way.
struct EndsWrite<'b>(&'b Block, End);

impl Drop for EndsWrite<'_> {
    fn drop(&mut self) {
        self.0.end_write(self.1);
    }
}

impl Places {
    pub(super) fn new(mapped_from: u32) -> Self {
        let storage = Storage::default();
        Self { mapped_from, storage, left: Vec::new(), kept: None, rings: Vec::new(), counts: Counts::default() }
    }

    /// Whether blocks of this size are mapped.
    pub(super) fn maps(&self, size: u32) -> bool {
        size >= self.mapped_from && self.mapped_from != u32::MAX
    }

    /// Attaches a block for writing.
    #[inline]
    pub(super) fn attach_writing(
        &mut self,
        memory: &mut impl GuestMemory,
        entry: &mut Entry,
        shares: bool,
    ) -> Result<Result<Area, Refused>, Violation> {
        let block = &entry.block;
        // The place comes first: a writer that gives up leaves nothing to be read.
        let Some(place) = self.place(memory, block, block.size(), entry.local.as_ref(), true) else {
            return Ok(Err(Refused::NoStorage));
        };
        let begun = match &place {
            Place::Slot(_) => block.begin_write_anywhere(shares),
            _ => block.begin_write(shares),
        };
        let unconsumed = match begun {
            Ok(unconsumed) => unconsumed,
            Err(refused) => {
                self.give_up(place);
                return Ok(Err(refused));
            }
        };
        let mut unless_kept = EndsWrite(block, End::Abandon);
        let Some(place) = self.fill_for_writing(memory, block, place)? else {
            unless_kept.1 = End::Cancel;
            return Ok(Err(Refused::NoStorage));
        };
        // The entry keeps it from here on.
        mem::forget(unless_kept);
        let area = Area { address: address(place.start()), bytes: unconsumed };
        entry.attached = Some(Attached::new(place, Holds::Writing));
        Ok(Ok(area))
    }

    /// Gives the bytes of a block to a guest that writes it. `None` if there is no place for them.
    #[inline]
    fn fill_for_writing(
        &mut self,
        memory: &mut impl GuestMemory,
        block: &Block,
        place: Place,
    ) -> Result<Option<Place>, Violation> {
        let place = match place {
            Place::Mapped(place) => match self.map(memory, block, place, block.size(), true)? {
                Some(place) => place,
                None => return Ok(None),
            },
            place => place,
        };
        if let Place::Storage(place) = &place {
            self.check_left(memory, place)?;
            self.counts.copied += block.bytes(&(0..block.size()), |bytes| placed(memory, first_byte(place), bytes));
        }
        Ok(Some(place))
    }

    /// Attaches a block for reading.
    #[inline]
    pub(super) fn attach_reading(
        &mut self,
        memory: &mut impl GuestMemory,
        entry: &mut Entry,
    ) -> Result<Result<Area, Refused>, Violation> {
        let block = &entry.block;
        let (range, is_shared) = match block.begin_read() {
            Ok(begun) => begun,
            Err(refused) => return Ok(Err(refused)),
        };
        let unless_kept = EndsRead(block);
        let Some(place) = self.fill_for_reading(memory, block, &range, entry.local.as_ref())? else {
            return Ok(Err(Refused::NoStorage));
        };
        // The entry keeps it from here on.
        mem::forget(unless_kept);
        let bytes = range.end - range.start;
        self.counts.handed_over += u64::from(bytes);
        let area = Area { address: address(place.first_to_read(&range)), bytes };
        entry.attached = Some(Attached::new(place, Holds::Reading { range, is_shared }));
        Ok(Ok(area))
    }

    /// Gives a range of a block to a guest that reads it. `None` if there is no place for it.
    #[inline]
    fn fill_for_reading(
        &mut self,
        memory: &mut impl GuestMemory,
        block: &Block,
        range: &Range<u32>,
        local: Option<&Range<usize>>,
    ) -> Result<Option<Place>, Violation> {
        let bytes = range.end - range.start;
        let local = local.map(|local| local.start + range.start as usize..local.start + range.end as usize);
        let place = match self.place(memory, block, bytes, local.as_ref(), false) {
            Some(Place::Mapped(place)) => self.map(memory, block, place, bytes, false)?,
            place => place,
        };
        if let Some(Place::Storage(place)) = &place {
            self.check_left(memory, place)?;
            self.counts.copied += block.bytes(range, |bytes| placed(memory, first_byte(place), bytes));
        }
        Ok(place)
    }

    /// A place for an attachment of a block, of which `bytes` bytes are needed.
    #[inline]
    fn place(
        &mut self,
        memory: &mut impl GuestMemory,
        block: &Block,
        bytes: u32,
        local: Option<&Range<usize>>,
        writes: bool,
    ) -> Option<Place> {
        if let Some(local) = local {
            return Some(Place::Local(local.clone()));
        }
        if let Some(slot) = block.slot()
            && let Some(joined) = self.joined(slot)
            && (joined.writes || !writes)
        {
            let (first, slot) = (mapped(&joined.place).start, slot.ring.range(slot.index));
            return Some(Place::Slot(first + slot.start..first + slot.end));
        }
        if self.maps(bytes)
            && block.is_mappable()
            && memory.pages(0..PAGE).is_some()
            && let Some(place) = self.storage.take_pages(block.size() as usize)
        {
            return Some(Place::Mapped(place));
        }
        self.storage.take(bytes).map(Place::Storage)
    }

    /// A place that was taken and is not used.
    fn give_up(&mut self, place: Place) {
        if let Place::Storage(place) | Place::Mapped(place) = place {
            self.storage.release(place);
        }
    }

    /// A place that had an attachment is free again.
    pub(super) fn leave(&mut self, place: Range<usize>) {
        self.storage.release(place.clone());
        self.left.push(place);
    }

    /// Maps a block over the pages of a place. If the system refuses, the place is free again, and the block gets one for a copy of
    /// `bytes` bytes; `None` if there is none.
    fn map(
        &mut self,
        memory: &mut impl GuestMemory,
        block: &Block,
        place: Range<usize>,
        bytes: u32,
        writes: bool,
    ) -> Result<Option<Place>, Violation> {
        self.check_left(memory, &place)?;
        if memory.has_written(guarded(&place)) {
            // Bytes that the guest has left there come back with the restore.
            memory.forget_written(guarded(&place));
        }
        let map = |mut pages| match writes {
            true => block.content().share(&mut pages),
            false => block.content().copy_on_write(&mut pages),
        };
        match memory.pages(mapped(&place)).map(map) {
            Some(Ok(())) => {
                self.counts.mapped += 1;
                Ok(Some(Place::Mapped(place)))
            }
            _ => {
                self.storage.release(place);
                Ok(self.storage.take(bytes).map(Place::Storage))
            }
        }
    }

    /// Checks a place that is used again, which counts as left no more.
    fn check_left(&mut self, memory: &impl GuestMemory, place: &Range<usize>) -> Result<(), Violation> {
        let (again, left): (Vec<_>, Vec<_>) =
            mem::take(&mut self.left).into_iter().partition(|left| overlap(left, place));
        self.left = left;
        for left in again {
            check_untouched(memory, &left, first_byte(&left))?;
            self.left.extend(without(left, [place.clone()]));
        }
        Ok(())
    }

    /// Maps a ring into the guest.
    pub(super) fn join(
        &mut self,
        memory: &mut impl GuestMemory,
        ring: &Arc<RingInner>,
        writes: bool,
    ) -> Result<(), JoinError> {
        if self.kept.as_ref().is_none_or(|kept| *kept != self.storage) {
            return Err(JoinError::NotPristine);
        }
        if memory.pages(0..PAGE).is_none() {
            return Err(JoinError::NotMappable);
        }
        let bytes = ring.bytes();
        let mut storage = self.storage.clone();
        let place = storage.take_pages(bytes).ok_or_else(|| JoinError::NoStorage {
            // Wherever the storage begins.
            bytes: bytes_for(1, u32::try_from(bytes).unwrap_or(u32::MAX), true) as usize,
        })?;
        map_ring(memory, ring, &place, writes).map_err(JoinError::System)?;
        discard_marks(memory, &mapped(&place), mapped(&place));
        (self.storage, self.kept) = (storage.clone(), Some(storage));
        self.rings.push(Joined { ring: Arc::clone(ring), place, writes });
        Ok(())
    }

    /// The ring that a slot is in, if the guest has joined it.
    #[inline]
    fn joined(&self, slot: &Slot) -> Option<&Joined> {
        self.rings.iter().find(|joined| Arc::ptr_eq(&joined.ring, &slot.ring))
    }

    /// Checks that the guest has written to no page of a ring but those of slots that it has attached for writing, and the free ones beside
    /// them: a mark there may stand for the first or the last bytes of the slot. Nor to the pages beside the ring: a mark there may stand
    /// for the first or the last bytes of the ring.
    #[inline]
    pub(super) fn check_rings<'e, I: Iterator<Item = &'e Entry>>(
        &self,
        memory: &impl GuestMemory,
        entries: impl Fn() -> I,
    ) -> Result<(), Violation> {
        for Joined { ring, place, writes } in &self.rings {
            if !memory.has_written(guarded(place)) {
                continue;
            }
            let pages = mapped(place);
            let written = entries().filter_map(|entry| match &entry.attached {
                Some(Attached { place: Place::Slot(_), holds: Holds::Writing, .. }) => {
                    let slot = entry.block.slot().filter(|slot| Arc::ptr_eq(&slot.ring, ring))?;
                    Some(around(&pages, &ring.range(slot.index)))
                }
                _ => None,
            });
            for rest in without(place.clone(), written) {
                if memory.has_written(guarded(&rest)) {
                    let address = address(first_written(memory, rest));
                    let mut read = entries().filter_map(|entry| match &entry.attached {
                        Some(Attached { place: Place::Slot(slot), holds: Holds::Reading { .. }, .. }) => Some(slot),
                        _ => None,
                    });
                    return Err(match *writes && !read.any(|slot| memory.has_written(guarded(slot))) {
                        true => Violation::WroteAfterDetach { address },
                        false => Violation::WroteWhileReading { address },
                    });
                }
            }
        }
        Ok(())
    }

    /// A guest has written where it must not: nobody reads what it may have spoiled, and its own copies of pages go away.
    pub(super) fn spoil_rings(&self, memory: &mut impl GuestMemory) -> Result<(), Violation> {
        for Joined { ring, place, writes } in &self.rings {
            match writes {
                true => ring.revoke(),
                false => map_ring(memory, ring, place, false).map_err(|_| Violation::NotUnmapped)?,
            }
            discard_marks(memory, &mapped(place), mapped(place));
        }
        Ok(())
    }

    /// A writer leaves a slot: there are no marks any more, and no bytes in the free pages beside it.
    #[inline]
    pub(super) fn leave_slot(&self, memory: &mut impl GuestMemory, slot: &Slot) {
        let Some(joined) = self.joined(slot) else { return };
        let (pages, own) = (mapped(&joined.place), slot.ring.range(slot.index));
        let area = around(&pages, &own);
        let own = pages.start + own.start..pages.start + own.end;
        let (is_before, is_behind) = match discard_marks(memory, &pages, area) {
            Some(written) => (written.start < own.start, own.end < written.end),
            None => (false, false),
        };
        slot.ring.clear_around(slot.index, is_before, is_behind);
    }
}

/// About where the guest has written first in a range.
fn first_written(memory: &impl GuestMemory, range: Range<usize>) -> usize {
    match memory.written(range.clone()) {
        Written::Ranges(ranges) => ranges.first().map_or(range.start, |first| first.start),
        Written::Unknown => range.start,
    }
}

/// Copies bytes into memory, and returns how many there are.
fn placed(memory: &mut impl GuestMemory, at: usize, bytes: &[u8]) -> u64 {
    memory.place(at, bytes);
    bytes.len() as u64
}

/// Checks that a place was not written since it was left.
pub(super) fn check_untouched(memory: &impl GuestMemory, place: &Range<usize>, first: usize) -> Result<(), Violation> {
    match memory.has_written(guarded(place)) {
        true => Err(Violation::WroteAfterDetach { address: address(first) }),
        false => Ok(()),
    }
}

/// Leaves no mark in pages that were mapped until now, as no restore puts back what was written there. A mark may stand for bytes beside
/// them: these are put back.
pub(super) fn settle(memory: &mut impl GuestMemory, place: &Range<usize>) {
    let pages = mapped(place);
    memory.discard_written(guarded(&pages));
    memory.forget_written(guarded(&(place.start..pages.start)));
    memory.forget_written(guarded(&(pages.end..place.end)));
}

/// The pages of a slot, and the free one on either side; by address, where the ring has these `pages`.
#[inline]
fn around(pages: &Range<usize>, slot: &Range<usize>) -> Range<usize> {
    pages.start + slot.start - PAGE..pages.start + slot.end + PAGE
}

/// Leaves no mark in a part of a ring, which has these `pages`. Returns a range that has all bytes in which there were marks.
///
/// A mark at an end of the ring may stand for bytes beside the ring: these are put back, and nothing of the ring, which stays mapped.
fn discard_marks(memory: &mut impl GuestMemory, pages: &Range<usize>, part: Range<usize>) -> Option<Range<usize>> {
    let written = memory.discard_written(guarded(&part))?;
    if written.start < pages.start + GUARD {
        memory.forget_written(pages.start - GUARD..pages.start);
    }
    if pages.end < written.end + GUARD {
        memory.forget_written(pages.end..pages.end + GUARD);
    }
    Some(written)
}

/// Ends the mapping of a block. Its pages are 0 then.
pub(super) fn unmap(memory: &mut impl GuestMemory, place: &Range<usize>, block: &Block) -> Result<(), Violation> {
    match memory.pages(mapped(place)).map(|mut pages| block.content().take_back(&mut pages)) {
        Some(Ok(())) => Ok(()),
        _ => Err(Violation::NotUnmapped),
    }
}

/// Ends the mapping of a block that is being written, and leaves a copy of its bytes.
pub(super) fn unmap_keeping(
    memory: &mut impl GuestMemory,
    place: &Range<usize>,
    block: &Block,
) -> Result<(), Violation> {
    unmap(memory, place, block)?;
    leave_bytes(memory, place, block, &Holds::Writing);
    // The copy is no write of the guest's, and comes back with the restore. What it wrote before is in the block.
    memory.forget_written(guarded(place));
    Ok(())
}

/// Leaves what was seen of a mapped block where it was.
pub(super) fn leave_bytes(memory: &mut impl GuestMemory, place: &Range<usize>, block: &Block, holds: &Holds) {
    let range = match holds {
        Holds::Writing => 0..block.size(),
        Holds::Reading { range, .. } => range.clone(),
    };
    let first = mapped(place).start + range.start as usize;
    block.bytes(&range, |bytes| memory.place(first, bytes));
}

/// Maps a ring over the pages of a place.
fn map_ring(memory: &mut impl GuestMemory, ring: &RingInner, place: &Range<usize>, writes: bool) -> io::Result<()> {
    let mut pages = memory.pages(mapped(place)).ok_or(io::ErrorKind::Unsupported)?;
    if writes { ring.share(&mut pages) } else { ring.copy_on_write(&mut pages) }
}
