//! The blocks of one guest, and the functions of the contract.

mod attached;
mod entries;
mod places;

use std::collections::HashMap;
use std::iter;
use std::ops::Range;

use crate::block::{Block, End, Mode};
use crate::error::{JoinError, Refused, Violation};
use crate::memory::GuestMemory;
use crate::ranges::{joined, overlap};
use crate::ring::Ring;
use crate::state::Attachment;
use crate::storage::{bytes_for, first_byte, guarded, mapped};
use attached::{Attached, Holds, Place, check_read, collect};
use entries::{Entries, Entry, MOST};
use places::{Places, check_untouched, leave_bytes, settle, unmap, unmap_keeping};

/// The flag of an attachment, or of a part, that writes.
const WRITE: u32 = 1;

/// The flag of blocks that many may read.
const SHARED: u32 = 2;

/// How much a guest may have at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// References to blocks. At most 65,535.
    pub blocks: usize,
    /// Bytes of the blocks that it made itself and still has.
    pub bytes: u64,
    /// Bytes from which a block is mapped and not copied, where the memory and the block allow it.
    pub mapped_from: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { blocks: 1024, bytes: 64 << 20, mapped_from: Block::MAPPED_FROM }
    }
}

/// The attachments of a guest so far, and the bytes that were handed over and copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Attachments that were made.
    pub attached: u64,
    /// Bytes that were published, or given to be read.
    pub handed_over: u64,
    /// Bytes that were copied for it.
    pub copied: u64,
    /// Attachments for which pages were mapped.
    pub mapped: u64,
}

/// Where a block is attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Area {
    /// The address of its first byte.
    pub address: u32,
    /// For a reader the bytes that it may read; for a writer those that were published before and not consumed.
    pub bytes: u32,
}

/// The blocks that one guest has, by the ids that it knows them by, and the storage that it has offered.
///
/// Its methods are the functions of the contract. The outer error of those that can fail in both ways is a [`Violation`], which ends
/// the call; the guest gets the inner one.
#[derive(Debug)]
pub struct BlockTable {
    limits: Limits,
    entries: Entries,
    places: Places,
    /// Bytes of the blocks that the guest made and still has.
    own_bytes: u64,
    /// The same by block, with the number of references and parts by which the guest has its bytes.
    charges: HashMap<usize, Charge>,
}

/// A block that counts as the guest's own.
#[derive(Debug, Clone, Copy)]
struct Charge {
    bytes: u32,
    references: u32,
}

impl Default for BlockTable {
    fn default() -> Self {
        Self::new(Limits::default())
    }
}

impl BlockTable {
    /// The table of a guest that is initialised now.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        let limits = Limits { blocks: limits.blocks.min(MOST), ..limits };
        let places = Places::new(limits.mapped_from);
        Self { limits, entries: Entries::default(), places, own_bytes: 0, charges: HashMap::new() }
    }

    /// The guest is initialised: restores keep the storage that it has offered until now.
    pub fn snapshot(&mut self, memory: &impl GuestMemory) {
        self.places.storage.find_zeros(memory.bytes());
        self.places.kept = Some(self.places.storage.clone());
    }

    /// Ends all attachments and forgets all blocks, before the memory is restored. What was being written is not published. `is_checked`
    /// says that [`end_call`](Self::end_call) has found nothing since the last restore: of a call that failed nobody knows how it left
    /// rings.
    ///
    /// # Errors
    /// [`Violation::NotUnmapped`] if the system cannot end a mapping. The guest must not run again then.
    pub fn restore(&mut self, memory: &mut impl GuestMemory, is_checked: bool) -> Result<(), Violation> {
        if !is_checked && self.places.check_rings(memory, || self.entries.iter()).is_err() {
            self.places.spoil_rings(memory)?;
        }
        self.detach_all(memory, false)?;
        // Ids begin again, too: the guest sees those that a fresh instance would see.
        self.entries.clear();
        // Most calls give back all places, and then there is nothing to copy.
        let Places { storage, kept, .. } = &mut self.places;
        if let Some(kept) = kept.as_ref().filter(|kept| *kept != storage) {
            storage.clone_from(kept);
        }
        Ok(())
    }

    /// Ends all attachments and forgets all blocks, after a call that no restore follows.
    ///
    /// The guest keeps its memory, and perhaps numbers and addresses of what it had. So its old numbers name nothing until the next restore, and
    /// the place of an attachment that it has not detached stays as it is, and is not used again.
    ///
    /// # Errors
    /// As for [`restore`](Self::restore).
    pub fn end_attachments(&mut self, memory: &mut impl GuestMemory) -> Result<(), Violation> {
        self.detach_all(memory, true)?;
        self.entries.remove_all();
        Ok(())
    }

    /// Ends all attachments, perhaps leaving the bytes of mapped ones where they were.
    fn detach_all(&mut self, memory: &mut impl GuestMemory, leaves_bytes: bool) -> Result<(), Violation> {
        for Entry { block, attached, .. } in self.entries.iter_mut() {
            let Some(Attached { place, holds, .. }) = attached else { continue };
            match (place, holds) {
                (Place::Mapped(place), holds) => {
                    unmap(memory, place, block)?;
                    settle(memory, place);
                    if leaves_bytes {
                        leave_bytes(memory, place, block, holds);
                    }
                }
                (Place::Slot(_), Holds::Writing) => {
                    block.slot().into_iter().for_each(|slot| self.places.leave_slot(memory, slot));
                }
                (Place::Storage(_) | Place::Demoted(_) | Place::Slot(_) | Place::Local(_), _) => {}
            }
        }
        self.places.left.clear();
        self.charges.clear();
        self.own_bytes = 0;
        Ok(())
    }

    /// Whether the guest has offered storage since it was initialised.
    #[must_use]
    pub fn has_new_storage(&self) -> bool {
        self.places.kept.as_ref().is_some_and(|kept| !kept.is_of_same_areas(&self.places.storage))
    }

    /// Whether the guest has blocks, or storage keeps the bytes of an attachment that a call left and that no restore followed.
    #[must_use]
    pub fn has_left_blocks(&self) -> bool {
        !self.is_empty() || self.places.kept.as_ref().is_some_and(|kept| *kept != self.places.storage)
    }

    /// How often each number of a block was used since the last restore, for a guest without blocks: none of these numbers names anything
    /// until the next restore. It is part of what a guest can see, as the next numbers depend on it.
    pub fn uses(&self) -> impl Iterator<Item = u32> {
        self.entries.uses()
    }

    /// The guest, which was just restored, is put into the state of one whose numbers were used as often as [`uses`](Self::uses) said.
    /// Of more slots or uses than there can be the surplus counts as used up.
    pub fn continue_from(&mut self, uses: &[u32]) {
        self.entries.continue_from(&uses[..uses.len().min(MOST)]);
    }

    /// Checks that a range is not storage.
    ///
    /// # Errors
    /// [`Violation::Overlaps`] with the use of the range.
    pub fn check_free(&self, with: &'static str, range: &Range<usize>) -> Result<(), Violation> {
        match self.places.storage.overlapping(range) {
            Some(area) => Err(Violation::Overlaps { address: address(area.start), size: address(area.len()), with }),
            None => Ok(()),
        }
    }

    /// Forgets the places that had an attachment: the host cannot tell any more whether the guest writes there.
    pub fn forget_left(&mut self) {
        self.places.left.clear();
    }

    /// Goes on counting where the table of an instance stopped that this one takes the place of.
    pub fn count_from(&mut self, counts: Counts) {
        self.places.counts = counts;
    }

    /// The attachments so far, and their bytes.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.places.counts
    }

    /// Whether the guest has no blocks.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.count() == 0
    }

    /// Numbers of the blocks that are attached, with their bytes.
    pub fn attached(&self) -> impl Iterator<Item = (u32, u32)> {
        let attached = self.entries.numbered().filter(|(_, entry)| entry.attached.is_some());
        attached.map(|(id, entry)| (id, entry.block.size()))
    }

    /// Gives the guest a block. Returns the id by which it knows the block.
    ///
    /// # Errors
    /// [`Violation::TooMany`], and [`Violation::Initialising`].
    pub fn insert(&mut self, block: Block) -> Result<u32, Violation> {
        self.enter(Entry::new(block, None))
    }

    /// Takes a block from the guest.
    ///
    /// # Errors
    /// [`Violation::UnknownBlock`], [`Violation::Attached`] and [`Violation::Local`].
    pub fn take(&mut self, id: u32) -> Result<Block, Violation> {
        if self.entries.get(id)?.local.is_some() {
            return Err(Violation::Local { id });
        }
        self.remove(id).map(|entry| entry.block)
    }

    /// `[constructor]memory-block`.
    ///
    /// # Errors
    /// [`Violation::TooLarge`], [`Violation::TooMany`] and [`Violation::Initialising`].
    pub fn create(&mut self, size: u32) -> Result<u32, Violation> {
        self.check_room(size)?;
        let block = Block::new_in(size, self.places.maps(size));
        let content = block.content_id();
        let id = self.enter(Entry::new(block, None))?;
        self.charges.insert(content, Charge { bytes: size, references: 1 });
        self.own_bytes += u64::from(size);
        Ok(id)
    }

    /// `[method]memory-block.minimum-size`.
    ///
    /// # Errors
    /// [`Violation::UnknownBlock`].
    pub fn minimum_size(&self, id: u32) -> Result<u32, Violation> {
        Ok(self.optimum_size(1, self.entries.get(id)?.block.size()))
    }

    /// `[static]memory-block.optimum-size`.
    #[must_use]
    pub fn optimum_size(&self, count: u32, size: u32) -> u32 {
        bytes_for(count, size, self.places.maps(size))
    }

    /// `[static]memory-block.add-storage`. `taken` are the ranges of the memory that are something else, with what they are.
    ///
    /// # Errors
    /// [`Violation::Outside`] and [`Violation::Overlaps`]; the guest gets [`Refused::WrongSize`].
    pub fn add_storage(
        &mut self,
        memory: &impl GuestMemory,
        address: u32,
        size: u32,
        taken: &[(&'static str, Range<usize>)],
    ) -> Result<Result<(), Refused>, Violation> {
        let range = self.own_range(memory, address, size, taken)?;
        Ok(if self.places.storage.offer(range) { Ok(()) } else { Err(Refused::WrongSize) })
    }

    /// `[method]memory-block.attach`.
    ///
    /// # Errors
    /// [`Violation::UnknownBlock`], [`Violation::Flags`] and [`Violation::WroteAfterDetach`]; the guest gets [`Refused::NoStorage`],
    /// [`Refused::Busy`] and [`Refused::Internal`].
    pub fn attach(
        &mut self,
        memory: &mut impl GuestMemory,
        id: u32,
        flags: u32,
    ) -> Result<Result<Area, Refused>, Violation> {
        if flags & !(WRITE | SHARED) != 0 {
            return Err(Violation::Flags { flags });
        }
        let entry = self.entries.get_mut(id)?;
        if entry.attached.is_some() {
            return Ok(Err(Refused::Busy));
        }
        let area = match flags & WRITE != 0 {
            true => self.places.attach_writing(memory, entry, flags & SHARED != 0)?,
            false => self.places.attach_reading(memory, entry)?,
        };
        if let (Ok(_), Some(Attached { place, .. })) = (&area, &entry.attached) {
            // The end of the call sees to rings. To look at all marks of a slot takes longer than everything else. There are none where
            // pages were mapped.
            if !matches!(place, Place::Slot(_) | Place::Mapped(_)) {
                memory.forget_written(place.watched());
            }
            self.places.counts.attached += 1;
        }
        Ok(area)
    }

    /// `[method]memory-block.detach`: a writer publishes its first `bytes`, and a reader has consumed its first `bytes`.
    ///
    /// # Errors
    /// [`Violation::UnknownBlock`], [`Violation::NotAttached`], [`Violation::Length`], [`Violation::WroteWhileReading`] and
    /// [`Violation::WroteHandedOut`].
    pub fn detach(&mut self, memory: &mut impl GuestMemory, id: u32, bytes: u32) -> Result<(), Violation> {
        let Entry { block, attached, .. } = self.entries.get_mut(id)?;
        let Some(Attached { place, holds, handed_out }) = attached else { return Err(Violation::NotAttached { id }) };
        let mut copied = 0;
        let most = match holds {
            Holds::Writing => {
                let most = block.size();
                if bytes <= most && !matches!(place, Place::Mapped(_) | Place::Slot(_)) {
                    copied = collect(memory, place.start(), 0..most, handed_out, block)?;
                }
                most
            }
            Holds::Reading { range, is_shared } => {
                if !matches!(place, Place::Slot(_)) {
                    check_read(memory, place, block, range)?;
                }
                if *is_shared { 0 } else { range.end - range.start }
            }
        };
        if bytes > most {
            return Err(Violation::Length { id, bytes, most });
        }
        // Before others can have the block.
        if let Place::Mapped(place) = place {
            unmap(memory, place, block)?;
            settle(memory, place);
        }
        let Places { counts, .. } = &mut self.places;
        counts.copied += copied;
        match holds {
            Holds::Writing => {
                counts.handed_over += u64::from(bytes);
                if let (Some(slot), Place::Slot(_)) = (block.slot(), &*place) {
                    // From now on a mark is one of a write that must not be.
                    self.places.leave_slot(memory, slot);
                }
                block.end_write(End::Publish(bytes));
            }
            Holds::Reading { .. } => block.end_read(bytes),
        }
        let Some(Attached { place, .. }) = attached.take() else { return Ok(()) };
        match place {
            Place::Storage(place) | Place::Demoted(place) => {
                memory.forget_written(guarded(&place));
                self.places.leave(place);
            }
            Place::Mapped(place) => self.places.leave(place),
            Place::Slot(_) | Place::Local(_) => {}
        }
        Ok(())
    }

    /// `[method]memory-block.clone`.
    ///
    /// # Errors
    /// [`Violation::UnknownBlock`] and [`Violation::TooMany`].
    pub fn duplicate(&mut self, id: u32) -> Result<u32, Violation> {
        let Entry { block, local, .. } = self.entries.get(id)?;
        let entry = Entry::new(block.clone(), local.clone());
        self.enter(entry)
    }

    /// `[static]memory-block.create-local`: a block whose bytes stay where they are. `taken` are the ranges of the memory that are
    /// something else, with what they are.
    ///
    /// # Errors
    /// [`Violation::Outside`], [`Violation::Overlaps`], [`Violation::TooMany`] and [`Violation::Initialising`].
    pub fn create_local(
        &mut self,
        memory: &impl GuestMemory,
        address: u32,
        size: u32,
        taken: &[(&'static str, Range<usize>)],
    ) -> Result<u32, Violation> {
        let range = self.own_range(memory, address, size, taken)?;
        self.enter(Entry::new(Block::local(size), Some(range)))
    }

    /// `[method]memory-block.create-partition`: the flags say whether the part can be written, and whether many may read it.
    ///
    /// # Errors
    /// [`Violation::UnknownBlock`], [`Violation::Flags`], [`Violation::NoPart`], [`Violation::PartInUse`] and [`Violation::TooMany`].
    pub fn create_partition(
        &mut self,
        memory: &mut impl GuestMemory,
        id: u32,
        start: u32,
        size: u32,
        flags: u32,
    ) -> Result<u32, Violation> {
        let mode = match flags {
            0 => Mode::Read,
            SHARED => Mode::ReadShared,
            flags if flags & !(WRITE | SHARED) == 0 => Mode::Write,
            flags => return Err(Violation::Flags { flags }),
        };
        let most_ranges = self.limits.blocks;
        let entry = self.entries.get_mut(id)?;
        let most = entry.block.size();
        let end = start.checked_add(size).filter(|end| *end <= most);
        let end = end.ok_or(Violation::NoPart { id, start, size, most })?;
        let by = match entry.attached.as_ref().map(|attached| &attached.holds) {
            None => Attachment::None,
            Some(Holds::Reading { .. }) => Attachment::Reads,
            Some(Holds::Writing) => Attachment::Writes,
        };
        let mut copied = 0;
        if let Some(Attached { place: at, holds: Holds::Writing, .. }) = &mut entry.attached
            && let Place::Mapped(place) = &*at
        {
            let place = place.clone();
            // Others may write the part from now on, and neither must see the other's bytes.
            unmap_keeping(memory, &place, &entry.block)?;
            *at = Place::Demoted(place);
            copied += u64::from(most);
        }
        let part = entry.block.part_by(start..end, mode, by).map_err(|refused| match refused {
            Refused::Busy => Violation::PartInUse { id, start, size },
            _ => Violation::NotParted { id },
        })?;
        // The bytes of a slot are the block's as soon as they are written.
        if let Some(Attached { place, holds: Holds::Writing, handed_out }) = &mut entry.attached {
            let with_this = joined(handed_out.iter().cloned().chain(iter::once(start..end)).collect());
            if with_this.len() > most_ranges {
                return Err(Violation::TooMany { most: most_ranges });
            }
            if !matches!(place, Place::Slot(_)) {
                // The holder of the part finds the bytes that the writer has written so far.
                let first = place.start();
                copied += collect(memory, first, start..end, handed_out, &entry.block)?;
                // With what it touches: a mark that may stand for bytes of two parts stands for writes before.
                let with_near = with_this.iter().find(|range| range.start <= start && end <= range.end);
                if let Some(range) = with_near {
                    memory.forget_written(first + range.start as usize..first + range.end as usize);
                }
            }
            *handed_out = with_this;
        }
        self.places.counts.copied += copied;
        self.insert(part)
    }

    /// `[resource-drop]memory-block`.
    ///
    /// # Errors
    /// [`Violation::UnknownBlock`] and [`Violation::Attached`].
    pub fn drop_block(&mut self, id: u32) -> Result<(), Violation> {
        self.remove(id).map(drop)
    }

    /// Checks at the end of a call that the guest has kept to its attachments.
    ///
    /// # Errors
    /// [`Violation::WroteWhileReading`] and [`Violation::WroteAfterDetach`].
    pub fn end_call(&self, memory: &impl GuestMemory) -> Result<(), Violation> {
        for Entry { block, attached, .. } in self.entries.iter() {
            if let Some(Attached { place, holds: Holds::Reading { range, .. }, .. }) = attached
                && !matches!(place, Place::Slot(_))
            {
                check_read(memory, place, block, range)?;
            }
        }
        self.places.left.iter().try_for_each(|place| check_untouched(memory, place, first_byte(place)))?;
        self.places.check_rings(memory, || self.entries.iter())
    }

    /// Joins a ring: its pages are mapped into the guest for as long as that lives, so that blocks of the ring are attached without a
    /// copy. A guest joins either to write blocks and read them, or to read them alone.
    ///
    /// # Errors
    /// [`JoinError`]; nothing has changed then.
    pub fn join(&mut self, memory: &mut impl GuestMemory, ring: &Ring, writes: bool) -> Result<(), JoinError> {
        if !self.is_empty() {
            return Err(JoinError::NotPristine);
        }
        self.places.join(memory, &ring.inner, writes)
    }

    /// The parts of the memory that belong to rings. They are no part of the guest's state: a snapshot does not have them, and no restore
    /// writes them.
    pub fn rings(&self) -> impl Iterator<Item = Range<usize>> {
        self.places.rings.iter().map(|joined| mapped(&joined.place))
    }

    /// A range of the memory that is the guest's own, and nothing else yet.
    fn own_range(
        &self,
        memory: &impl GuestMemory,
        address: u32,
        size: u32,
        taken: &[(&'static str, Range<usize>)],
    ) -> Result<Range<usize>, Violation> {
        let range = address as usize..address as usize + size as usize;
        if range.end > memory.bytes().len() {
            return Err(Violation::Outside { address, size });
        }
        let overlaps = |taken: &Range<usize>| overlap(taken, &range);
        let locals = self.entries.iter().filter_map(|entry| entry.local.as_ref());
        let with = match taken.iter().find(|(_, taken)| overlaps(taken)) {
            Some((with, _)) => with,
            None if self.places.storage.overlapping(&range).is_some() => "other storage",
            None if locals.into_iter().any(overlaps) => "a local block",
            None => return Ok(range),
        };
        Err(Violation::Overlaps { address, size, with })
    }

    fn check_room(&self, size: u32) -> Result<(), Violation> {
        let left = self.limits.bytes.saturating_sub(self.own_bytes);
        if u64::from(size) > left {
            return Err(Violation::TooLarge { bytes: size, left });
        }
        Ok(())
    }

    fn enter(&mut self, entry: Entry) -> Result<u32, Violation> {
        if self.places.kept.is_none() {
            return Err(Violation::Initialising);
        }
        let too_many = Violation::TooMany { most: self.limits.blocks };
        if self.entries.count() >= self.limits.blocks {
            return Err(too_many);
        }
        // Another reference to bytes that count already, or a part of them.
        let content = entry.block.content_id();
        let id = self.entries.add(entry).ok_or(too_many)?;
        if let Some(charge) = self.charges.get_mut(&content) {
            charge.references += 1;
        }
        Ok(id)
    }

    fn remove(&mut self, id: u32) -> Result<Entry, Violation> {
        let entry = self.entries.remove(id)?;
        let content = entry.block.content_id();
        if let Some(charge) = self.charges.get_mut(&content) {
            charge.references -= 1;
            if charge.references == 0 {
                self.own_bytes -= u64::from(charge.bytes);
                self.charges.remove(&content);
            }
        }
        Ok(entry)
    }
}

/// A number of bytes in a memory, which has 32 bits.
fn address(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}
