//! Rings: blocks in pages that stay mapped into all guests that write or read them.

use std::io;
use std::iter;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::block::{Block, BlockInner, Writing};
use crate::content::Content;
use crate::error::Refused;
use crate::state::State;
use crate::sys::{PAGE, Pages, RawFile};

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

#[derive(Debug)]
pub(crate) struct RingInner {
    file: RawFile,
    /// Bytes of a slot.
    size: u32,
    slots: Mutex<Slots>,
}

#[derive(Debug)]
struct Slots {
    free: Vec<usize>,
    /// The blocks that are in the slots.
    blocks: Vec<Weak<BlockInner>>,
}

/// A slot that a block has. Dropped, it is free.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) ring: Arc<RingInner>,
    pub(crate) index: usize,
}

impl Ring {
    /// A ring of so many slots, of `size` bytes each.
    ///
    /// # Errors
    /// If the system has no memory files, or refuses one; always without the feature `map`.
    pub fn new(slots: usize, size: u32) -> io::Result<Self> {
        let bytes = slots.checked_mul(stride(size)).ok_or(io::ErrorKind::OutOfMemory)?;
        let slots =
            Slots { free: (0..slots).rev().collect(), blocks: iter::repeat_with(Weak::new).take(slots).collect() };
        Ok(Self { inner: Arc::new(RingInner { file: RawFile::new(bytes)?, size, slots: Mutex::new(slots) }) })
    }

    /// A free slot as a block. `None` while all slots have blocks.
    ///
    /// All its bytes count as published, so that a guest which attaches it for writing hears how many there are. They are those of the
    /// block that was in the slot before.
    #[must_use]
    pub fn slot(&self) -> Option<Block> {
        let index = self.inner.slots().free.pop()?;
        let content = Content::Slot(Slot { ring: Arc::clone(&self.inner), index });
        let block = Block::of(content, self.inner.size, State::published(self.inner.size, false));
        self.inner.slots().blocks[index] = Arc::downgrade(&block.inner);
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

    /// Bytes of a slot.
    #[must_use]
    pub fn slot_size(&self) -> u32 {
        self.inner.size
    }

    /// Bytes of storage that a guest needs to join: all slots, each with a free page behind it.
    #[must_use]
    pub fn storage_size(&self) -> usize {
        self.inner.bytes()
    }
}

/// Bytes from a slot to the next. A page between them stays free, so that marks of a write barrier stand for one slot.
fn stride(size: u32) -> usize {
    (size as usize).max(1).next_multiple_of(PAGE) + PAGE
}

impl RingInner {
    fn slots(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes of the file.
    pub(crate) fn bytes(&self) -> usize {
        self.count() * stride(self.size)
    }

    /// The number of slots.
    pub(crate) fn count(&self) -> usize {
        self.slots().blocks.len()
    }

    /// The bytes of a slot in the file.
    pub(crate) fn range(&self, index: usize) -> Range<usize> {
        let start = index * stride(self.size);
        start..start + self.size as usize
    }

    pub(crate) fn share(&self, pages: &mut Pages<'_>) -> io::Result<()> {
        self.file.share(pages)
    }

    pub(crate) fn copy_on_write(&self, pages: &mut Pages<'_>) -> io::Result<()> {
        self.file.copy_on_write(pages)
    }

    /// Leaves nothing to read in any slot, as somebody wrote where nobody should.
    pub(crate) fn revoke(&self) {
        let blocks: Vec<_> = self.slots().blocks.iter().filter_map(Weak::upgrade).collect();
        blocks.iter().for_each(|block| block.revoke());
    }
}

impl Slot {
    /// A copy of some bytes of the slot.
    pub(crate) fn read(&self, range: Range<usize>) -> Vec<u8> {
        let start = self.ring.range(self.index).start;
        self.ring.file.read(start + range.start..start + range.end)
    }

    /// Writes bytes of the slot.
    pub(crate) fn write(&self, at: usize, bytes: &[u8]) {
        self.ring.file.write(self.ring.range(self.index).start + at, bytes);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.ring.slots().free.push(self.index);
    }
}
