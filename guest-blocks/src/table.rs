//! The blocks of one guest, and the functions of the contract.

use std::mem;
use std::ops::Range;

use crate::block::{Block, Mode, Reading, Writing};
use crate::error::{Refused, Violation};
use crate::memory::{GuestMemory, Written};
use crate::ranges::{overlap, without};
use crate::state::Attachment;
use crate::storage::{Storage, bytes_for, first_byte, guarded};

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
}

impl Default for Limits {
    fn default() -> Self {
        Self { blocks: 1024, bytes: 64 << 20 }
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
    /// Slots without an entry.
    free: Vec<u16>,
    storage: Storage,
    /// Free places that had an attachment: a guest that writes there uses one that it has given up.
    left: Vec<Range<usize>>,
    /// The storage as restores put it back; `None` while the guest is initialised.
    kept: Option<Storage>,
    /// Bytes of the blocks that the guest made and still has.
    own_bytes: u64,
    counts: Counts,
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

#[derive(Debug)]
struct Entry {
    block: Block,
    /// Bytes that count as the guest's own.
    own_bytes: u32,
    /// Where the bytes of a local block are.
    local: Option<Range<usize>>,
    attached: Option<Attached>,
}

/// An attachment.
#[derive(Debug)]
struct Attached {
    place: Place,
    holds: Holds,
}

/// Where a block is attached.
#[derive(Debug, Clone)]
enum Place {
    /// In this part of the storage.
    Storage(Range<usize>),
    /// Where a local block is.
    Local(Range<usize>),
}

impl Place {
    /// The address of the first byte of the block.
    fn start(&self) -> usize {
        match self {
            Self::Storage(place) => first_byte(place),
            Self::Local(local) => local.start,
        }
    }

    /// The range in which writes count.
    fn watched(&self) -> Range<usize> {
        match self {
            Self::Storage(place) => guarded(place),
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
    pub fn snapshot(&mut self) {
        self.kept = Some(self.storage.clone());
    }

    /// Ends all attachments and forgets all blocks, before the memory is restored. What was being written is not published.
    pub fn restore(&mut self) {
        let Some(kept) = &self.kept else { return };
        // Ids begin again, too: the guest sees those that a fresh instance would see.
        self.slots.clear();
        self.free.clear();
        self.storage.clone_from(kept);
        self.left.clear();
        self.own_bytes = 0;
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

    /// The attachments so far, and their bytes.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Whether the guest has no blocks.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.iter().all(|slot| slot.entry.is_none())
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
        self.enter(Entry { block, own_bytes: 0, local: None, attached: None })
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
        let entry = Entry { block: Block::new(size), own_bytes: size, local: None, attached: None };
        self.enter(entry)
    }

    /// `[method]memory-block.minimum-size`.
    ///
    /// # Errors
    /// [`Violation::UnknownBlock`].
    pub fn minimum_size(&self, id: u32) -> Result<u32, Violation> {
        Ok(bytes_for(1, self.entry(id)?.block.size()))
    }

    /// `[static]memory-block.optimum-size`.
    #[must_use]
    pub fn optimum_size(count: u32, size: u32) -> u32 {
        bytes_for(count, size)
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
        let entry = self.entry(id)?;
        if entry.attached.is_some() {
            return Ok(Err(Refused::Busy));
        }
        let (block, local) = (entry.block.clone(), entry.local.clone());
        let attached = match flags & WRITE != 0 {
            true => self.attach_writing(memory, &block, local, flags & SHARED != 0)?,
            false => self.attach_reading(memory, &block, local)?,
        };
        let (attached, area) = match attached {
            Ok(attached) => attached,
            Err(refused) => return Ok(Err(refused)),
        };
        memory.forget_written(attached.place.watched());
        self.counts.attached += 1;
        self.entry_mut(id)?.attached = Some(attached);
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
        let Some(place) = local.map(Place::Local).or_else(|| self.storage.take(block.size()).map(Place::Storage))
        else {
            return Ok(Err(Refused::NoStorage));
        };
        let writing = match block.write(shared) {
            Ok(writing) => writing,
            Err(refused) => {
                if let Place::Storage(place) = place {
                    self.storage.release(place);
                }
                return Ok(Err(refused));
            }
        };
        if let Place::Storage(place) = &place {
            self.check_left(memory, place)?;
            self.counts.copied += writing.read(|bytes| placed(memory, first_byte(place), bytes));
        }
        let area = Area { address: address(place.start()), bytes: writing.unconsumed() };
        Ok(Ok((Attached { place, holds: Holds::Writing(writing) }, area)))
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
        let place = match local {
            Some(local) => Place::Local(local.start + range.start as usize..local.start + range.end as usize),
            None => {
                let Some(place) = self.storage.take(bytes) else { return Ok(Err(Refused::NoStorage)) };
                self.check_left(memory, &place)?;
                self.counts.copied += reading.bytes(|bytes| placed(memory, first_byte(&place), bytes));
                Place::Storage(place)
            }
        };
        self.counts.handed_over += u64::from(bytes);
        let area = Area { address: address(place.start()), bytes };
        Ok(Ok((Attached { place, holds: Holds::Reading(reading) }, area)))
    }

    /// `[method]memory-block.detach`: a writer publishes its first `bytes`, and a reader has consumed its first `bytes`.
    ///
    /// # Errors
    /// [`Violation::UnknownBlock`], [`Violation::NotAttached`], [`Violation::Length`], [`Violation::WroteWhileReading`] and
    /// [`Violation::WroteHandedOut`].
    pub fn detach(&mut self, memory: &mut impl GuestMemory, id: u32, bytes: u32) -> Result<(), Violation> {
        let entry = self.entry_mut(id)?;
        let Some(Attached { place, holds }) = entry.attached.take() else { return Err(Violation::NotAttached { id }) };
        match holds {
            Holds::Writing(mut writing) => {
                let most = writing.size();
                if bytes > most {
                    return Err(Violation::Length { id, bytes, most });
                }
                let handed_out = entry.block.handed_out();
                self.counts.copied += collect(memory, place.start(), 0..most, &handed_out, &mut writing)?;
                self.counts.handed_over += u64::from(bytes);
                writing.publish(bytes);
            }
            Holds::Reading(reading) => {
                check_read(memory, &place, &reading)?;
                let most = reading.consumable();
                if bytes > most {
                    return Err(Violation::Length { id, bytes, most });
                }
                reading.consume(bytes);
            }
        }
        if let Place::Storage(place) = place {
            memory.forget_written(guarded(&place));
            self.storage.release(place.clone());
            self.left.push(place);
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
        // The bytes are counted once, with the reference that the guest made.
        self.enter(Entry { block, own_bytes: 0, local, attached: None })
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
        self.enter(Entry { block: Block::local(size), own_bytes: 0, local: Some(range), attached: None })
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
        let entry = self.entry_mut(id)?;
        let most = entry.block.size();
        let end = start.checked_add(size).filter(|end| *end <= most);
        let end = end.ok_or(Violation::NoPart { id, start, size, most })?;
        let by = match entry.attached.as_ref().map(|attached| &attached.holds) {
            None => Attachment::None,
            Some(Holds::Reading(_)) => Attachment::Reads,
            Some(Holds::Writing(_)) => Attachment::Writes,
        };
        let handed_out = entry.block.handed_out();
        let part = entry.block.part_by(start..end, mode, by).map_err(|refused| match refused {
            Refused::Busy => Violation::PartInUse { id, start, size },
            _ => Violation::NotParted { id },
        })?;
        let mut copied = 0;
        if let Some(Attached { place, holds: Holds::Writing(writing) }) = &mut entry.attached {
            // The holder of the part finds the bytes that the writer has written so far.
            let first = place.start();
            copied = collect(memory, first, start..end, &handed_out, writing)?;
            memory.forget_written(first + start as usize..first + end as usize);
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
            if let Attached { place, holds: Holds::Reading(reading) } = attached {
                check_read(memory, place, reading)?;
            }
        }
        self.left.iter().try_for_each(|place| check_untouched(memory, place))
    }

    /// Checks a place that is used again, which counts as left no more.
    fn check_left(&mut self, memory: &impl GuestMemory, place: &Range<usize>) -> Result<(), Violation> {
        let (again, left): (Vec<_>, Vec<_>) =
            mem::take(&mut self.left).into_iter().partition(|left| overlap(left, place));
        self.left = left;
        for left in again {
            check_untouched(memory, &left)?;
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
        let index = match self.free.pop() {
            Some(index) => index,
            None if self.slots.len() < self.limits.blocks => {
                self.slots.push(Slot::default());
                // There are fewer.
                u16::try_from(self.slots.len() - 1).unwrap_or(u16::MAX)
            }
            None => return Err(Violation::TooMany { most: self.limits.blocks }),
        };
        self.own_bytes += u64::from(entry.own_bytes);
        let slot = &mut self.slots[usize::from(index)];
        slot.entry = Some(entry);
        Ok(slot.id(index))
    }

    fn remove(&mut self, id: u32) -> Result<Entry, Violation> {
        if self.entry(id)?.attached.is_some() {
            return Err(Violation::Attached { id });
        }
        let index = self.index(id)?;
        let slot = &mut self.slots[usize::from(index)];
        let entry = slot.entry.take().ok_or(Violation::UnknownBlock { id })?;
        // A slot without a number left is not used again: an old id must not name another block.
        if let Some(generation) = slot.generation.checked_add(1) {
            slot.generation = generation;
            self.free.push(index);
        }
        self.own_bytes -= u64::from(entry.own_bytes);
        Ok(entry)
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
    let mut copied = 0;
    for range in written(memory, at(&range)) {
        for range in without(range, handed_out.iter().map(at)) {
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
    let ranges = match memory.written(watched.clone()) {
        Written::Ranges(_) if !memory.has_written(watched) => return Ok(()),
        Written::Ranges(ranges) => ranges,
        Written::Unknown => Vec::new(),
    };
    let differs = match place {
        Place::Local(_) => None,
        Place::Storage(place) => reading.bytes(|bytes| {
            let now = &memory.bytes()[first_byte(place)..][..bytes.len()];
            now.iter().zip(bytes).position(|(now, before)| now != before)
        }),
    };
    let near = ranges.first().map(|range| range.start.max(place.start()));
    match differs.map(|at| place.start() + at).or(near) {
        Some(at) => Err(Violation::WroteWhileReading { address: address(at) }),
        None => Ok(()),
    }
}

/// Checks that a place was not written since it was left.
fn check_untouched(memory: &impl GuestMemory, place: &Range<usize>) -> Result<(), Violation> {
    match memory.has_written(guarded(place)) {
        true => Err(Violation::WroteAfterDetach { address: address(first_byte(place)) }),
        false => Ok(()),
    }
}
