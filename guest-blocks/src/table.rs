//! The blocks of one guest, and the functions of the contract.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::{io, iter, mem};

use crate::block::{Block, Mode, Reading, Writing};
use crate::error::{JoinError, Refused, Violation};
use crate::memory::{GUARD, GuestMemory, Written};
use crate::ranges::{joined, overlap, without};
use crate::ring::Ring;
use crate::slots::RingInner;
use crate::state::Attachment;
use crate::storage::{Storage, bytes_for, first_byte, guarded, mapped};
use crate::sys::PAGE;

/// The flag of an attachment, or of a part, that writes.
const WRITE: u32 = 1;

/// The flag of blocks that many may read.
const SHARED: u32 = 2;

/// Bits of an id that say which entry it is. The others say how often the entry was used before.
const INDEX_BITS: u32 = 16;

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
#[derive(Debug, Default)]
pub struct BlockTable {
    limits: Limits,
    slots: Vec<Slot>,
    /// Slots without an entry, but those that have no number left.
    free: Vec<u16>,
    /// Slots with an entry.
    live: usize,
    storage: Storage,
    /// Free places that had an attachment: a guest that writes there uses one that it has given up.
    left: Vec<Range<usize>>,
    /// The storage as restores put it back; `None` while the guest is initialised.
    kept: Option<Storage>,
    /// Bytes of the blocks that the guest made and still has.
    own_bytes: u64,
    /// The same by block, with the number of references and parts by which the guest has its bytes.
    charges: HashMap<usize, Charge>,
    /// The rings that are mapped into the guest, for as long as it lives.
    rings: Vec<Joined>,
    counts: Counts,
}

/// A ring that is mapped into a guest.
#[derive(Debug)]
struct Joined {
    ring: Arc<RingInner>,
    /// The part of the storage that it takes.
    place: Range<usize>,
    /// Whether the guest writes blocks of the ring, or reads them.
    writes: bool,
}

#[derive(Debug, Default)]
struct Slot {
    /// How often it had an entry before.
    generation: u16,
    entry: Option<Entry>,
}

impl Slot {
    /// The number by which the guest knows the entry of the slot with this index. None is 0.
    fn id(&self, index: u16) -> u32 {
        u32::from(self.generation) << INDEX_BITS | (u32::from(index) + 1)
    }
}

/// A block that counts as the guest's own.
#[derive(Debug, Clone, Copy)]
struct Charge {
    bytes: u32,
    references: u32,
}

#[derive(Debug)]
struct Entry {
    block: Block,
    /// Where the bytes of a local block are.
    local: Option<Range<usize>>,
    attached: Option<Attached>,
}

/// An attachment.
#[derive(Debug)]
struct Attached {
    place: Place,
    holds: Holds,
    /// Ranges of the parts that a writer has made, in ascending order. The writer may not write there, even after a part is gone, because the
    /// holder of the part may have written there.
    handed_out: Vec<Range<u32>>,
}

impl Attached {
    fn new(place: Place, holds: Holds) -> Self {
        Self { place, holds, handed_out: Vec::new() }
    }
}

/// Where a block is attached.
#[derive(Debug, Clone)]
enum Place {
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

impl Place {
    /// The address of the first byte of the block.
    fn start(&self) -> usize {
        match self {
            Self::Storage(place) => first_byte(place),
            Self::Mapped(place) | Self::Demoted(place) => mapped(place).start,
            Self::Slot(slot) => slot.start,
            Self::Local(local) => local.start,
        }
    }

    /// The address of the first byte that a reader reads.
    fn first_to_read(&self, reading: &Reading) -> usize {
        match self {
            // The whole block is there.
            Self::Mapped(_) | Self::Slot(_) => self.start() + reading.range().start as usize,
            Self::Storage(_) | Self::Demoted(_) | Self::Local(_) => self.start(),
        }
    }

    /// The range in which writes count.
    fn watched(&self) -> Range<usize> {
        match self {
            Self::Storage(place) => guarded(place),
            Self::Mapped(place) | Self::Demoted(place) => place.clone(),
            Self::Slot(slot) => slot.clone(),
            Self::Local(local) => local.clone(),
        }
    }
}

#[derive(Debug)]
enum Holds {
    Writing(Writing),
    Reading(Reading),
}

impl BlockTable {
    /// The table of a guest that is initialised now.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        let limits = Limits { blocks: limits.blocks.min(usize::from(u16::MAX)), ..limits };
        Self { limits, ..Self::default() }
    }

    /// The guest is initialised: restores keep the storage that it has offered until now.
    pub fn snapshot(&mut self, memory: &impl GuestMemory) {
        self.storage.find_zeros(memory.bytes());
        self.kept = Some(self.storage.clone());
    }

    /// Ends all attachments and forgets all blocks, before the memory is restored. What was being written is not published. `is_checked`
    /// says that [`end_call`](Self::end_call) has found nothing since the last restore: of a call that failed nobody knows how it left
    /// rings.
    ///
    /// # Errors
    /// [`Violation::NotUnmapped`] if the system cannot end a mapping. The guest must not run again then.
    pub fn restore(&mut self, memory: &mut impl GuestMemory, is_checked: bool) -> Result<(), Violation> {
        if !is_checked && self.check_rings(memory).is_err() {
            self.spoil_rings(memory)?;
        }
        self.detach_all(memory, false)?;
        // Ids begin again, too: the guest sees those that a fresh instance would see.
        self.slots.clear();
        self.free.clear();
        self.live = 0;
        // Most calls give back all places, and then there is nothing to copy.
        if let Some(kept) = self.kept.as_ref().filter(|kept| **kept != self.storage) {
            self.storage.clone_from(kept);
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
        (0..self.slots.len()).for_each(|index| drop(self.vacate(index)));
        Ok(())
    }

    /// Ends all attachments, perhaps leaving the bytes of mapped ones where they were.
    fn detach_all(&mut self, memory: &mut impl GuestMemory, leaves_bytes: bool) -> Result<(), Violation> {
        for entry in self.slots.iter_mut().filter_map(|slot| slot.entry.as_mut()) {
            let Some(Attached { place, holds, .. }) = &entry.attached else { continue };
            match (place, holds) {
                (Place::Mapped(place), holds) => {
                    unmap(memory, place, &entry.block)?;
                    settle(memory, place);
                    if leaves_bytes {
                        leave_bytes(memory, mapped(place).start, holds);
                    }
                }
                (Place::Slot(_), Holds::Writing(_)) => {
                    let slot = entry.block.slot();
                    slot.into_iter().for_each(|slot| leave_slot(memory, &self.rings, slot));
                }
                (Place::Storage(_) | Place::Demoted(_) | Place::Slot(_) | Place::Local(_), _) => {}
            }
        }
        self.left.clear();
        self.charges.clear();
        self.own_bytes = 0;
        Ok(())
    }

    /// Whether the guest has offered storage since it was initialised.
    #[must_use]
    pub fn has_new_storage(&self) -> bool {
        self.kept.as_ref().is_some_and(|kept| !kept.is_of_same_areas(&self.storage))
    }

    /// Whether the guest has blocks, or storage keeps the bytes of an attachment that a call left and that no restore followed.
    #[must_use]
    pub fn has_left_blocks(&self) -> bool {
        !self.is_empty() || self.kept.as_ref().is_some_and(|kept| *kept != self.storage)
    }

    /// Checks that a range is not storage.
    ///
    /// # Errors
    /// [`Violation::Overlaps`] with the use of the range.
    pub fn check_free(&self, with: &'static str, range: &Range<usize>) -> Result<(), Violation> {
        match self.storage.overlapping(range) {
            Some(area) => Err(Violation::Overlaps { address: address(area.start), size: address(area.len()), with }),
            None => Ok(()),
        }
    }

    /// Forgets the places that had an attachment: the host cannot tell any more whether the guest writes there.
    pub fn forget_left(&mut self) {
        self.left.clear();
    }

    /// Goes on counting where the table of an instance stopped that this one takes the place of.
    pub fn count_from(&mut self, counts: Counts) {
        self.counts = counts;
    }

    /// The attachments so far, and their bytes.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Whether the guest has no blocks.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.live == 0
    }

    /// Numbers of the blocks that are attached, with their bytes.
    pub fn attached(&self) -> impl Iterator<Item = (u32, u32)> {
        (0..).zip(&self.slots).filter_map(|(index, slot)| {
            let entry = slot.entry.as_ref().filter(|entry| entry.attached.is_some())?;
            Some((slot.id(index), entry.block.size()))
        })
    }

    /// Gives the guest a block. Returns the id by which it knows the block.
    ///
    /// # Errors
    /// [`Violation::TooMany`], and [`Violation::Initialising`].
    pub fn insert(&mut self, block: Block) -> Result<u32, Violation> {
        self.enter(Entry { block, local: None, attached: None })
    }

    /// Takes a block from the guest.
    ///
    /// # Errors
    /// [`Violation::UnknownBlock`], [`Violation::Attached`] and [`Violation::Local`].
    pub fn take(&mut self, id: u32) -> Result<Block, Violation> {
        if self.entry(id)?.local.is_some() {
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
        let block = Block::new_in(size, self.maps(size));
        let content = block.content_id();
        let id = self.enter(Entry { block, local: None, attached: None })?;
        self.charges.insert(content, Charge { bytes: size, references: 1 });
        self.own_bytes += u64::from(size);
        Ok(id)
    }

    /// Whether blocks of this size are mapped.
    fn maps(&self, size: u32) -> bool {
        size >= self.limits.mapped_from && self.limits.mapped_from != u32::MAX
    }

    /// `[method]memory-block.minimum-size`.
    ///
    /// # Errors
    /// [`Violation::UnknownBlock`].
    pub fn minimum_size(&self, id: u32) -> Result<u32, Violation> {
        Ok(self.optimum_size(1, self.entry(id)?.block.size()))
    }

    /// `[static]memory-block.optimum-size`.
    #[must_use]
    pub fn optimum_size(&self, count: u32, size: u32) -> u32 {
        bytes_for(count, size, self.maps(size))
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
        Ok(if self.storage.offer(range) { Ok(()) } else { Err(Refused::WrongSize) })
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
        let index = usize::from(self.index(id)?);
        // Out of the table meanwhile, so that it need not be cloned.
        let mut entry = self.slots[index].entry.take().ok_or(Violation::UnknownBlock { id })?;
        let attached = self.attach_entry(memory, &mut entry, flags);
        self.slots[index].entry = Some(entry);
        attached
    }

    fn attach_entry(
        &mut self,
        memory: &mut impl GuestMemory,
        entry: &mut Entry,
        flags: u32,
    ) -> Result<Result<Area, Refused>, Violation> {
        if entry.attached.is_some() {
            return Ok(Err(Refused::Busy));
        }
        let local = entry.local.clone();
        let attached = match flags & WRITE != 0 {
            true => self.attach_writing(memory, &entry.block, local, flags & SHARED != 0)?,
            false => self.attach_reading(memory, &entry.block, local)?,
        };
        let (attached, area) = match attached {
            Ok(attached) => attached,
            Err(refused) => return Ok(Err(refused)),
        };
        match &attached.place {
            // The end of the call sees to rings. To look at all marks of a slot takes longer than everything else. There are none where
            // pages were mapped.
            Place::Slot(_) | Place::Mapped(_) => {}
            place => memory.forget_written(place.watched()),
        }
        self.counts.attached += 1;
        entry.attached = Some(attached);
        Ok(Ok(area))
    }

    fn attach_writing(
        &mut self,
        memory: &mut impl GuestMemory,
        block: &Block,
        local: Option<Range<usize>>,
        shared: bool,
    ) -> Result<Result<(Attached, Area), Refused>, Violation> {
        // The place comes first: a writer that gives up leaves nothing to be read.
        let Some(place) = self.place(memory, block, block.size(), local, true) else {
            return Ok(Err(Refused::NoStorage));
        };
        let writing = match &place {
            Place::Slot(_) => block.write_anywhere(shared),
            _ => block.write_as(shared),
        };
        let writing = match writing {
            Ok(writing) => writing,
            Err(refused) => {
                self.give_up(place);
                return Ok(Err(refused));
            }
        };
        let place = match place {
            Place::Mapped(place) => match self.map(memory, block, place, block.size(), true)? {
                Some(place) => place,
                None => {
                    writing.cancel();
                    return Ok(Err(Refused::NoStorage));
                }
            },
            place => place,
        };
        if let Place::Storage(place) = &place {
            self.check_left(memory, place)?;
            self.counts.copied += writing.read(|bytes| placed(memory, first_byte(place), bytes));
        }
        let area = Area { address: address(place.start()), bytes: writing.unconsumed() };
        Ok(Ok((Attached::new(place, Holds::Writing(writing)), area)))
    }

    fn attach_reading(
        &mut self,
        memory: &mut impl GuestMemory,
        block: &Block,
        local: Option<Range<usize>>,
    ) -> Result<Result<(Attached, Area), Refused>, Violation> {
        let reading = match block.read() {
            Ok(reading) => reading,
            Err(refused) => return Ok(Err(refused)),
        };
        let (range, bytes) = (reading.range(), reading.size());
        let local = local.map(|local| local.start + range.start as usize..local.start + range.end as usize);
        let Some(mut place) = self.place(memory, block, bytes, local, false) else {
            return Ok(Err(Refused::NoStorage));
        };
        if let Place::Mapped(pages) = &place {
            match self.map(memory, block, pages.clone(), bytes, false)? {
                Some(other) => place = other,
                None => return Ok(Err(Refused::NoStorage)),
            }
        }
        let first = place.first_to_read(&reading);
        if let Place::Storage(place) = &place {
            self.check_left(memory, place)?;
            self.counts.copied += reading.bytes(|bytes| placed(memory, first, bytes));
        }
        self.counts.handed_over += u64::from(bytes);
        let area = Area { address: address(first), bytes };
        Ok(Ok((Attached::new(place, Holds::Reading(reading)), area)))
    }

    /// A place for an attachment of a block, of which `bytes` bytes are needed.
    fn place(
        &mut self,
        memory: &mut impl GuestMemory,
        block: &Block,
        bytes: u32,
        local: Option<Range<usize>>,
        writes: bool,
    ) -> Option<Place> {
        if let Some(local) = local {
            return Some(Place::Local(local));
        }
        if let Some(slot) = block.slot()
            && let Some(joined) = self.rings.iter().find(|joined| Arc::ptr_eq(&joined.ring, &slot.ring))
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

    /// `[method]memory-block.detach`: a writer publishes its first `bytes`, and a reader has consumed its first `bytes`.
    ///
    /// # Errors
    /// [`Violation::UnknownBlock`], [`Violation::NotAttached`], [`Violation::Length`], [`Violation::WroteWhileReading`] and
    /// [`Violation::WroteHandedOut`].
    pub fn detach(&mut self, memory: &mut impl GuestMemory, id: u32, bytes: u32) -> Result<(), Violation> {
        let index = usize::from(self.index(id)?);
        let Some(Entry { block, attached, .. }) = &mut self.slots[index].entry else {
            return Err(Violation::UnknownBlock { id });
        };
        let Some(Attached { place, holds, handed_out }) = attached else { return Err(Violation::NotAttached { id }) };
        let mut copied = 0;
        let most = match holds {
            Holds::Writing(writing) => {
                let most = writing.size();
                if bytes <= most && !matches!(place, Place::Mapped(_) | Place::Slot(_)) {
                    copied = collect(memory, place.start(), 0..most, handed_out, writing)?;
                }
                most
            }
            Holds::Reading(reading) => {
                if !matches!(place, Place::Slot(_)) {
                    check_read(memory, place, reading)?;
                }
                reading.consumable()
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
        let Some(Attached { place, holds, .. }) = attached.take() else { return Err(Violation::NotAttached { id }) };
        self.counts.copied += copied;
        if let (Some(slot), Place::Slot(_), Holds::Writing(_)) = (block.slot(), &place, &holds) {
            // From now on a mark is one of a write that must not be.
            leave_slot(memory, &self.rings, slot);
        }
        match holds {
            Holds::Writing(writing) => {
                self.counts.handed_over += u64::from(bytes);
                writing.publish(bytes);
            }
            Holds::Reading(reading) => reading.consume(bytes),
        }
        match place {
            Place::Storage(place) | Place::Demoted(place) => {
                memory.forget_written(guarded(&place));
                self.storage.release(place.clone());
                self.left.push(place);
            }
            Place::Mapped(place) => {
                self.storage.release(place.clone());
                self.left.push(place);
            }
            Place::Slot(_) | Place::Local(_) => {}
        }
        Ok(())
    }

    /// `[method]memory-block.clone`.
    ///
    /// # Errors
    /// [`Violation::UnknownBlock`] and [`Violation::TooMany`].
    pub fn duplicate(&mut self, id: u32) -> Result<u32, Violation> {
        let entry = self.entry(id)?;
        let (block, local) = (entry.block.clone(), entry.local.clone());
        self.enter(Entry { block, local, attached: None })
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
        self.enter(Entry { block: Block::local(size), local: Some(range), attached: None })
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
        let entry = self.entry_mut(id)?;
        let most = entry.block.size();
        let end = start.checked_add(size).filter(|end| *end <= most);
        let end = end.ok_or(Violation::NoPart { id, start, size, most })?;
        let by = match entry.attached.as_ref().map(|attached| &attached.holds) {
            None => Attachment::None,
            Some(Holds::Reading(_)) => Attachment::Reads,
            Some(Holds::Writing(_)) => Attachment::Writes,
        };
        let mut copied = 0;
        if let Some(Attached { place: at @ Place::Mapped(_), holds: Holds::Writing(writing), .. }) = &mut entry.attached
        {
            // Others may write the part from now on, and neither must see the other's bytes.
            let place = at.watched();
            unmap_keeping(memory, &place, &entry.block, writing)?;
            *at = Place::Demoted(place);
            copied += u64::from(most);
        }
        let part = entry.block.part_by(start..end, mode, by).map_err(|refused| match refused {
            Refused::Busy => Violation::PartInUse { id, start, size },
            _ => Violation::NotParted { id },
        })?;
        // The bytes of a slot are the block's as soon as they are written.
        if let Some(Attached { place, holds: Holds::Writing(writing), handed_out }) = &mut entry.attached {
            let with_this = joined(handed_out.iter().cloned().chain(iter::once(start..end)).collect());
            if with_this.len() > most_ranges {
                return Err(Violation::TooMany { most: most_ranges });
            }
            if !matches!(place, Place::Slot(_)) {
                // The holder of the part finds the bytes that the writer has written so far.
                let first = place.start();
                copied += collect(memory, first, start..end, handed_out, writing)?;
                // With what it touches: a mark that may stand for bytes of two parts stands for writes before.
                let with_near = with_this.iter().find(|range| range.start <= start && end <= range.end);
                if let Some(range) = with_near {
                    memory.forget_written(first + range.start as usize..first + range.end as usize);
                }
            }
            *handed_out = with_this;
        }
        self.counts.copied += copied;
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
        let entries = self.slots.iter().filter_map(|slot| slot.entry.as_ref());
        for attached in entries.filter_map(|entry| entry.attached.as_ref()) {
            if let Attached { place, holds: Holds::Reading(reading), .. } = attached
                && !matches!(place, Place::Slot(_))
            {
                check_read(memory, place, reading)?;
            }
        }
        self.left.iter().try_for_each(|place| check_untouched(memory, place, first_byte(place)))?;
        self.check_rings(memory)
    }

    /// Joins a ring: its pages are mapped into the guest for as long as that lives, so that blocks of the ring are attached without a
    /// copy. A guest joins either to write blocks and read them, or to read them alone.
    ///
    /// # Errors
    /// [`JoinError`]; nothing has changed then.
    pub fn join(&mut self, memory: &mut impl GuestMemory, ring: &Ring, writes: bool) -> Result<(), JoinError> {
        if !self.is_empty() || self.kept.as_ref().is_none_or(|kept| *kept != self.storage) {
            return Err(JoinError::NotPristine);
        }
        if memory.pages(0..PAGE).is_none() {
            return Err(JoinError::NotMappable);
        }
        let bytes = ring.inner.bytes();
        let mut storage = self.storage.clone();
        let place = storage.take_pages(bytes).ok_or_else(|| JoinError::NoStorage {
            // Wherever the storage begins.
            bytes: bytes_for(1, u32::try_from(bytes).unwrap_or(u32::MAX), true) as usize,
        })?;
        map_ring(memory, &ring.inner, &place, writes).map_err(JoinError::System)?;
        discard_marks(memory, &mapped(&place), mapped(&place));
        (self.storage, self.kept) = (storage.clone(), Some(storage));
        self.rings.push(Joined { ring: Arc::clone(&ring.inner), place, writes });
        Ok(())
    }

    /// The parts of the memory that belong to rings. They are no part of the guest's state: a snapshot does not have them, and no restore
    /// writes them.
    pub fn rings(&self) -> impl Iterator<Item = Range<usize>> {
        self.rings.iter().map(|joined| mapped(&joined.place))
    }

    /// Checks that the guest has written to no page of a ring but those of slots that it has attached for writing, and the free ones beside
    /// them: a mark there may stand for the first or the last bytes of the slot.
    fn check_rings(&self, memory: &impl GuestMemory) -> Result<(), Violation> {
        for Joined { ring, place, writes } in &self.rings {
            let pages = mapped(place);
            if !memory.has_written(guarded(&pages)) {
                continue;
            }
            let entries = self.slots.iter().filter_map(|slot| slot.entry.as_ref());
            let written = entries.filter_map(|entry| match &entry.attached {
                Some(Attached { place: Place::Slot(_), holds: Holds::Writing(_), .. }) => {
                    let slot = entry.block.slot().filter(|slot| Arc::ptr_eq(&slot.ring, ring))?;
                    Some(around(&pages, &ring.range(slot.index)))
                }
                _ => None,
            });
            for rest in without(pages.clone(), written) {
                if memory.has_written(guarded(&rest)) {
                    let address = address(rest.start);
                    return Err(match writes {
                        true => Violation::WroteAfterDetach { address },
                        false => Violation::WroteWhileReading { address },
                    });
                }
            }
        }
        Ok(())
    }

    /// A guest has written where it must not: nobody reads what it may have spoiled, and its own copies of pages go away.
    fn spoil_rings(&self, memory: &mut impl GuestMemory) -> Result<(), Violation> {
        for Joined { ring, place, writes } in &self.rings {
            match writes {
                true => ring.revoke(),
                false => map_ring(memory, ring, place, false).map_err(|_| Violation::NotUnmapped)?,
            }
            discard_marks(memory, &mapped(place), mapped(place));
        }
        Ok(())
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
        let locals = self.slots.iter().filter_map(|slot| slot.entry.as_ref()?.local.as_ref());
        let with = match taken.iter().find(|(_, taken)| overlaps(taken)) {
            Some((with, _)) => with,
            None if self.storage.overlapping(&range).is_some() => "other storage",
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
        if self.kept.is_none() {
            return Err(Violation::Initialising);
        }
        if self.live >= self.limits.blocks {
            return Err(Violation::TooMany { most: self.limits.blocks });
        }
        let index = match self.free.pop() {
            Some(index) => index,
            // Of these every number has been used since the last restore.
            None if self.slots.len() >= usize::from(u16::MAX) => {
                return Err(Violation::TooMany { most: self.limits.blocks });
            }
            None => {
                self.slots.push(Slot::default());
                // There are fewer.
                u16::try_from(self.slots.len() - 1).unwrap_or(u16::MAX)
            }
        };
        self.live += 1;
        // Another reference to bytes that count already, or a part of them.
        if let Some(charge) = self.charges.get_mut(&entry.block.content_id()) {
            charge.references += 1;
        }
        let slot = &mut self.slots[usize::from(index)];
        slot.entry = Some(entry);
        Ok(slot.id(index))
    }

    fn remove(&mut self, id: u32) -> Result<Entry, Violation> {
        if self.entry(id)?.attached.is_some() {
            return Err(Violation::Attached { id });
        }
        let index = self.index(id)?;
        let entry = self.vacate(usize::from(index)).ok_or(Violation::UnknownBlock { id })?;
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

    /// Takes the entry of a slot, whose number names nothing any more.
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

    fn entry(&self, id: u32) -> Result<&Entry, Violation> {
        let index = self.index(id)?;
        self.slots[usize::from(index)].entry.as_ref().ok_or(Violation::UnknownBlock { id })
    }

    fn entry_mut(&mut self, id: u32) -> Result<&mut Entry, Violation> {
        let index = self.index(id)?;
        self.slots[usize::from(index)].entry.as_mut().ok_or(Violation::UnknownBlock { id })
    }

    /// The slot that an id names, which has had no other entry since.
    fn index(&self, id: u32) -> Result<u16, Violation> {
        let index = u16::try_from(id & ((1 << INDEX_BITS) - 1)).ok().and_then(|index| index.checked_sub(1));
        let is_it = |index: &u16| {
            let slot = self.slots.get(usize::from(*index));
            slot.is_some_and(|slot| u32::from(slot.generation) == id >> INDEX_BITS)
        };
        index.filter(is_it).ok_or(Violation::UnknownBlock { id })
    }
}

/// A number of bytes in a memory, which has 32 bits.
fn address(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

/// The ranges in which the guest may have written: all of it, where nobody knows.
fn written(memory: &impl GuestMemory, range: Range<usize>) -> Vec<Range<usize>> {
    match memory.written(range.clone()) {
        Written::Unknown => vec![range],
        Written::Ranges(ranges) => ranges,
    }
}

/// Copies bytes into memory, and returns how many there are.
fn placed(memory: &mut impl GuestMemory, at: usize, bytes: &[u8]) -> u64 {
    memory.place(at, bytes);
    bytes.len() as u64
}

/// Copies what a writer has written in `range` of its block, which is attached at `first`, to the block. Returns how many bytes were
/// copied.
fn collect(
    memory: &impl GuestMemory,
    first: usize,
    range: Range<u32>,
    handed_out: &[Range<u32>],
    writing: &mut Writing,
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
            writing.range(offset(range.start)..offset(range.end), |block| {
                if !block.is_empty() {
                    block.copy_from_slice(bytes);
                    copied += bytes.len() as u64;
                }
            });
        }
    }
    Ok(copied)
}

/// Checks that a reader has left its bytes as they were. Where no barrier knows it, they are compared.
fn check_read(memory: &impl GuestMemory, place: &Place, reading: &Reading) -> Result<(), Violation> {
    let watched = place.watched();
    let ranges = match memory.written(0..0) {
        Written::Ranges(_) if !memory.has_written(watched.clone()) => return Ok(()),
        Written::Ranges(_) => written(memory, watched),
        Written::Unknown => Vec::new(),
    };
    let first = place.first_to_read(reading);
    let differs = match place {
        Place::Local(_) => None,
        _ => reading.bytes(|bytes| {
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

/// Checks that a place was not written since it was left.
fn check_untouched(memory: &impl GuestMemory, place: &Range<usize>, first: usize) -> Result<(), Violation> {
    match memory.has_written(guarded(place)) {
        true => Err(Violation::WroteAfterDetach { address: address(first) }),
        false => Ok(()),
    }
}

/// Leaves no mark in pages that were mapped until now, as no restore puts back what was written there. A mark may stand for bytes beside
/// them: these are put back.
fn settle(memory: &mut impl GuestMemory, place: &Range<usize>) {
    let pages = mapped(place);
    memory.discard_written(guarded(&pages));
    memory.forget_written(guarded(&(place.start..pages.start)));
    memory.forget_written(guarded(&(pages.end..place.end)));
}

/// The pages of a slot, and the free one on either side as far as the ring has it; by address, where the ring has these `pages`.
fn around(pages: &Range<usize>, slot: &Range<usize>) -> Range<usize> {
    let start = (pages.start + slot.start).saturating_sub(PAGE).max(pages.start);
    start..(pages.start + slot.end.next_multiple_of(PAGE) + PAGE).min(pages.end)
}

/// A writer leaves a slot: there are no marks any more, and no bytes in the free pages beside it.
fn leave_slot(memory: &mut impl GuestMemory, rings: &[Joined], slot: &crate::slots::Slot) {
    let Some(joined) = rings.iter().find(|joined| Arc::ptr_eq(&joined.ring, &slot.ring)) else { return };
    let (pages, own) = (mapped(&joined.place), slot.ring.range(slot.index));
    let area = around(&pages, &own);
    let written = |range: &Range<usize>| memory.has_written(guarded(range));
    let first = pages.start + own.start;
    let behind = first + own.len().next_multiple_of(PAGE);
    let (is_before, is_behind) = (written(&(area.start..first)), written(&(behind..area.end)));
    slot.ring.clear_around(slot.index, is_before, is_behind);
    discard_marks(memory, &pages, area);
}

/// Leaves no mark in a part of a ring, which has these `pages`. Where the part reaches an end of the ring, a mark may stand for bytes
/// beside the ring: these are put back, and nothing of the ring, which stays mapped.
fn discard_marks(memory: &mut impl GuestMemory, pages: &Range<usize>, part: Range<usize>) {
    memory.discard_written(guarded(&part));
    if part.start == pages.start {
        memory.forget_written(pages.start - GUARD..pages.start);
    }
    if part.end == pages.end {
        memory.forget_written(pages.end..pages.end + GUARD);
    }
}

/// Ends the mapping of a block. Its pages are 0 then.
fn unmap(memory: &mut impl GuestMemory, place: &Range<usize>, block: &Block) -> Result<(), Violation> {
    match memory.pages(mapped(place)).map(|mut pages| block.content().take_back(&mut pages)) {
        Some(Ok(())) => Ok(()),
        _ => Err(Violation::NotUnmapped),
    }
}

/// Ends the mapping of a block that is being written, and leaves a copy of its bytes.
fn unmap_keeping(
    memory: &mut impl GuestMemory,
    place: &Range<usize>,
    block: &Block,
    writing: &Writing,
) -> Result<(), Violation> {
    unmap(memory, place, block)?;
    writing.read(|bytes| memory.place(mapped(place).start, bytes));
    // The copy is no write of the guest's, and comes back with the restore. What it wrote before is in the block.
    memory.forget_written(guarded(place));
    Ok(())
}

/// Leaves what was seen of a mapped block where it was.
fn leave_bytes(memory: &mut impl GuestMemory, first: usize, holds: &Holds) {
    match holds {
        Holds::Writing(writing) => writing.read(|bytes| memory.place(first, bytes)),
        Holds::Reading(reading) => {
            let first = first + reading.range().start as usize;
            reading.bytes(|bytes| memory.place(first, bytes));
        }
    }
}

/// Maps a ring over the pages of a place.
fn map_ring(memory: &mut impl GuestMemory, ring: &RingInner, place: &Range<usize>, writes: bool) -> io::Result<()> {
    let mut pages = memory.pages(mapped(place)).ok_or(io::ErrorKind::Unsupported)?;
    if writes { ring.share(&mut pages) } else { ring.copy_on_write(&mut pages) }
}
