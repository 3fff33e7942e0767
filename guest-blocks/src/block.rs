//! Blocks as the host has them.

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::content::Content;
use crate::error::Refused;
use crate::ranges::{joined, without};
use crate::slots::{InSlot, Slot};
use crate::state::{Attachment, State};

/// Memory that guests hand to each other. It belongs to the host; one writer or many readers have it attached at a time.
///
/// Cheap to clone: each clone is another reference to the same block, and the block goes away with the last.
///
/// ```
/// use guest_blocks::{Block, Refused};
///
/// let block = Block::new(1024);
/// let mut writing = block.write_shared()?;
/// writing.bytes(|bytes| bytes[..5].copy_from_slice(b"frame"));
/// // Nobody reads what is being written.
/// assert_eq!(block.read().unwrap_err(), Refused::Busy);
/// writing.publish(5);
/// assert_eq!(block.read()?.bytes(<[u8]>::to_vec), b"frame");
/// # Ok::<(), Refused>(())
/// ```
#[derive(Debug, Clone)]
pub struct Block {
    pub(crate) inner: Arc<BlockInner>,
}

#[derive(Debug)]
pub(crate) struct BlockInner {
    content: Arc<Content>,
    /// Its place in the content.
    range: Range<usize>,
    state: Mutex<State>,
    /// Whether its holders may write it: bytes that are lent and parts that are to be read are never written.
    is_writable: bool,
    /// The block that it is a part of, and its number there.
    whole: Option<(Block, u64)>,
}

/// The access that the holders of a part have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// One after the other, they read what the block has there.
    Read,
    /// They read what the block has there, many at a time.
    ReadShared,
    /// They write, one after the other, and read what was written.
    Write,
}

/// The only attachment of a block, which writes. If it is dropped, nothing is published.
#[derive(Debug)]
#[must_use = "a block that is not published has nothing to read"]
pub struct Writing {
    block: Block,
    unconsumed: u32,
    end: End,
}

/// The end of an attachment that writes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum End {
    /// Nothing is published, and the bytes are 0.
    Abandon,
    /// As many bytes are published.
    Publish(u32),
    /// Everything is as before.
    Cancel,
}

/// An attachment of a block that reads. If it is dropped, nothing was consumed.
#[derive(Debug)]
pub struct Reading {
    block: Block,
    range: Range<u32>,
    is_shared: bool,
    /// Bytes that are consumed when it ends.
    consumed: u32,
}

impl Block {
    /// Bytes from which a block is made so that it can be mapped into guests, where the system can do so. Mapping pages and touching
    /// them then takes about as long as copying them: the benchmark `blocks` measures where.
    pub const MAPPED_FROM: u32 = 16 << 20;

    /// A block of `size` bytes, all of them 0. It has nothing to read until something is published.
    #[must_use]
    pub fn new(size: u32) -> Self {
        Self::new_in(size, size >= Self::MAPPED_FROM)
    }

    /// A block that can be mapped into guests, whatever its size, if the system can do so. The guest decides whether it is.
    #[must_use]
    pub fn mappable(size: u32) -> Self {
        Self::new_in(size, true)
    }

    pub(crate) fn new_in(size: u32, in_file: bool) -> Self {
        Self::of(Content::zeroed(size as usize, in_file), size, State::default())
    }

    /// Whether it can be mapped into guests: all of it, and not a part.
    #[must_use]
    pub fn is_mappable(&self) -> bool {
        self.inner.whole.is_none() && self.inner.content.is_file()
    }

    /// The slot of a ring that it is, and all of it.
    pub(crate) fn slot(&self) -> Option<&Slot> {
        match &*self.inner.content {
            Content::Slot(slot) if self.inner.whole.is_none() => Some(slot),
            _ => None,
        }
    }

    /// Whether it is in a slot of a ring that somebody has spoiled, or a part of such a block.
    fn is_revoked(&self) -> bool {
        matches!(&*self.inner.content, Content::Slot(slot) if slot.is_revoked())
    }

    pub(crate) fn content(&self) -> &Content {
        &self.inner.content
    }

    /// A block that is a view of bytes of the embedder's, such as those of a column of a table. They are published and shared, are
    /// not copied, and cannot be written.
    ///
    /// # Errors
    /// [`Refused::WrongSize`] if there are 4 GiB or more.
    pub fn from_bytes(bytes: impl AsRef<[u8]> + Send + Sync + 'static) -> Result<Self, Refused> {
        let size = u32::try_from(bytes.as_ref().len()).map_err(|_| Refused::WrongSize)?;
        Ok(Self::of(Content::Lent(Box::new(bytes)), size, State::published(size, true)))
    }

    /// As [`Block::from_bytes`], of an owner that lends its bytes in another way, such as a buffer of Arrow.
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use guest_blocks::Block;
    ///
    /// struct Column {
    ///     values: Arc<[u8]>,
    /// }
    ///
    /// let column = Column { values: Arc::from([1, 2, 3]) };
    /// let block = Block::from_owner(column, |column| &column.values)?;
    /// assert_eq!(block.read()?.bytes(<[u8]>::to_vec), [1, 2, 3]);
    /// # Ok::<(), guest_blocks::Refused>(())
    /// ```
    ///
    /// # Errors
    /// As for [`Block::from_bytes`].
    pub fn from_owner<T: Send + Sync + 'static>(owner: T, bytes: fn(&T) -> &[u8]) -> Result<Self, Refused> {
        Self::from_bytes(Owned { owner, bytes })
    }

    /// A block whose bytes are in a guest's memory.
    pub(crate) fn local(size: u32) -> Self {
        Self::of(Content::Local, size, State::default())
    }

    pub(crate) fn of(content: Content, size: u32, state: State) -> Self {
        let is_writable = content.is_writable();
        let (content, range, state) = (Arc::new(content), 0..size as usize, Mutex::new(state));
        let inner = BlockInner { content, range, state, is_writable, whole: None };
        Self { inner: Arc::new(inner) }
    }

    /// Its bytes, of which some may have been published.
    #[must_use]
    pub fn size(&self) -> u32 {
        // No block has more.
        u32::try_from(self.inner.range.len()).unwrap_or(u32::MAX)
    }

    /// Bytes that were published and not consumed.
    #[must_use]
    pub fn unread(&self) -> Range<u32> {
        self.state().unread()
    }

    /// Whether its published bytes are shared: many read them at the same time, and nobody consumes them.
    ///
    /// ```
    /// use guest_blocks::Block;
    ///
    /// let block = Block::new(16);
    /// assert!(!block.is_shared());
    /// block.write_shared()?.publish(16);
    /// assert!(block.is_shared());
    /// # Ok::<(), guest_blocks::Refused>(())
    /// ```
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.state().is_shared()
    }

    /// Attaches it for writing. One at a time will read what is published then, and consume it.
    ///
    /// # Errors
    /// [`Refused::Busy`] if anyone has it attached, or has a part of it, and [`Refused::Internal`] for bytes that are
    /// lent, for parts that are to be read, and for slots of a [`Ring`](crate::Ring), which has a function for it.
    pub fn write(&self) -> Result<Writing, Refused> {
        self.write_as(false)
    }

    /// Attaches it for writing. Many may read what is published then, at the same time, and nobody consumes it.
    ///
    /// # Errors
    /// As for [`Block::write`].
    pub fn write_shared(&self) -> Result<Writing, Refused> {
        self.write_as(true)
    }

    /// As [`Block::write_shared`] or, if `shared` is false, as [`Block::write`].
    ///
    /// # Errors
    /// As for [`Block::write`].
    pub fn write_as(&self, shared: bool) -> Result<Writing, Refused> {
        let unconsumed = self.begin_write(shared)?;
        Ok(Writing { block: self.clone(), unconsumed, end: End::Abandon })
    }

    /// As [`Block::write_as`], also of a slot of a ring.
    pub(crate) fn write_anywhere(&self, shared: bool) -> Result<Writing, Refused> {
        let unconsumed = self.begin_write_anywhere(shared)?;
        Ok(Writing { block: self.clone(), unconsumed, end: End::Abandon })
    }

    /// Attaches it for writing until [`Block::end_write`]. Returns how many bytes were published before and not consumed.
    #[inline]
    pub(crate) fn begin_write(&self, shared: bool) -> Result<u32, Refused> {
        if self.slot().is_some() {
            return Err(Refused::Internal);
        }
        self.begin_write_anywhere(shared)
    }

    /// As [`Block::begin_write`], also of a slot of a ring.
    #[inline]
    pub(crate) fn begin_write_anywhere(&self, shared: bool) -> Result<u32, Refused> {
        if !self.inner.is_writable {
            return Err(Refused::Internal);
        }
        if self.is_revoked() {
            return Err(Refused::Busy);
        }
        self.state().begin_write(shared)
    }

    /// Ends the attachment of the writer.
    #[inline]
    pub(crate) fn end_write(&self, end: End) {
        match end {
            End::Publish(valid) => self.state().publish(valid.min(self.size())),
            End::Cancel => self.state().cancel_write(),
            End::Abandon => self.abandon_write(),
        }
    }

    #[cold]
    fn abandon_write(&self) {
        // It may have written half of something. The parts of others are theirs.
        for range in without(0..self.size(), self.handed_out()) {
            let is_whole = range == (0..self.size()) && self.inner.whole.is_none();
            self.inner.content.clear(self.within(&range), is_whole);
        }
        self.state().abandon_write();
    }

    /// Attaches it for reading until [`Block::end_read`]. Returns the bytes to read, and whether others may read them, too.
    #[inline]
    pub(crate) fn begin_read(&self) -> Result<(Range<u32>, bool), Refused> {
        if self.is_revoked() {
            return Err(Refused::Busy);
        }
        self.state().begin_read()
    }

    /// Ends the attachment of a reader. `consumed` is the number of bytes that it has consumed.
    #[inline]
    pub(crate) fn end_read(&self, consumed: u32) {
        self.state().end_read(consumed);
    }

    /// Lends some bytes to who has it attached.
    pub(crate) fn bytes<T>(&self, range: &Range<u32>, read: impl FnOnce(&[u8]) -> T) -> T {
        self.inner.content.read(self.within(range), read)
    }

    /// Lends some bytes to the writer.
    pub(crate) fn bytes_mut<T>(&self, range: &Range<u32>, write: impl FnOnce(&mut [u8]) -> T) -> T {
        self.inner.content.write(self.within(range), write)
    }

    /// Attaches it for reading.
    ///
    /// # Errors
    /// [`Refused::Busy`] if it is being written, others read it who do not share it, or there is nothing to read.
    pub fn read(&self) -> Result<Reading, Refused> {
        let (range, is_shared) = self.begin_read()?;
        Ok(Reading { block: self.clone(), range, is_shared, consumed: 0 })
    }

    /// A part of it as a block of its own. While a part exists that can be written, the rest cannot be attached.
    ///
    /// # Errors
    /// [`Refused::WrongSize`] if the range is not within the block, [`Refused::Busy`] if others write there or the block is attached,
    /// and [`Refused::Internal`] for bytes that cannot be written.
    pub fn part(&self, range: Range<u32>, mode: Mode) -> Result<Self, Refused> {
        self.part_by(range, mode, Attachment::None)
    }

    pub(crate) fn part_by(&self, range: Range<u32>, mode: Mode, by: Attachment) -> Result<Self, Refused> {
        if range.start > range.end || range.end > self.size() {
            return Err(Refused::WrongSize);
        }
        let writes = mode == Mode::Write;
        if self.inner.content.is_local() || (writes && (!self.inner.is_writable || self.slot().is_some())) {
            return Err(Refused::Internal);
        }
        let number = self.state().part(range.clone(), writes, by)?;
        let state = match mode {
            Mode::Write => State::default(),
            Mode::Read | Mode::ReadShared => State::published(range.end - range.start, mode == Mode::ReadShared),
        };
        let inner = BlockInner {
            content: Arc::clone(&self.inner.content),
            range: self.within(&range),
            state: Mutex::new(state),
            is_writable: writes,
            whole: Some((self.clone(), number)),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Ranges that are parts of it, in ascending order and without overlap.
    pub(crate) fn handed_out(&self) -> Vec<Range<u32>> {
        joined(self.state().handed_out().collect())
    }

    /// A number that all blocks of the same bytes have while there are any.
    pub(crate) fn content_id(&self) -> usize {
        Arc::as_ptr(&self.inner.content).addr()
    }

    /// A range of it in the content.
    fn within(&self, range: &Range<u32>) -> Range<usize> {
        self.inner.range.start + range.start as usize..self.inner.range.start + range.end as usize
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bytes of an owner.
struct Owned<T> {
    owner: T,
    bytes: fn(&T) -> &[u8],
}

impl<T> AsRef<[u8]> for Owned<T> {
    fn as_ref(&self) -> &[u8] {
        (self.bytes)(&self.owner)
    }
}

impl InSlot for BlockInner {
    fn revoke(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).revoke();
    }
}

impl Drop for BlockInner {
    fn drop(&mut self) {
        if let Some((whole, number)) = &self.whole {
            whole.state().end_part(*number);
        }
    }
}

impl Writing {
    /// Bytes that were published before and not consumed.
    #[must_use]
    pub fn unconsumed(&self) -> u32 {
        self.unconsumed
    }

    /// Lends all bytes of the block, as they were left.
    pub fn bytes<T>(&mut self, write: impl FnOnce(&mut [u8]) -> T) -> T {
        self.block.bytes_mut(&(0..self.block.size()), write)
    }

    /// Ends the attachment, and leaves the first `valid` bytes to be read; all of them if the block has fewer.
    pub fn publish(mut self, valid: u32) {
        self.end = End::Publish(valid);
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.block.end_write(self.end);
    }
}

impl Reading {
    /// The block that it reads.
    #[must_use]
    pub fn block(&self) -> &Block {
        &self.block
    }

    /// The bytes of the block that it reads.
    #[must_use]
    pub fn range(&self) -> Range<u32> {
        self.range.clone()
    }

    /// Bytes that it reads.
    pub(crate) fn size(&self) -> u32 {
        self.range.end - self.range.start
    }

    /// Whether others may read them, too, and nobody consumes them.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.is_shared
    }

    /// Lends the bytes.
    pub fn bytes<T>(&self, read: impl FnOnce(&[u8]) -> T) -> T {
        self.block.bytes(&self.range, read)
    }

    /// Ends the attachment. The first `bytes` of those that it read will not be read again, if the block is not shared.
    pub fn consume(mut self, bytes: u32) {
        let consumable = if self.is_shared { 0 } else { self.size() };
        self.consumed = bytes.min(consumable);
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.block.end_read(self.consumed);
    }
}
