//! The slots of a ring: their pages, and the blocks that are in them.

use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::sys::{PAGE, Pages, RawFile};

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
    blocks: Vec<Option<Weak<dyn InSlot>>>,
}

/// A slot that a block has. Dropped, it is free.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) ring: Arc<RingInner>,
    pub(crate) index: usize,
}

/// A block in a slot.
pub(crate) trait InSlot: Send + Sync + std::fmt::Debug {
    /// Leaves nothing to read.
    fn revoke(&self);
}

/// Bytes from a slot to the next. A page between them stays free, so that marks of a write barrier stand for one slot.
fn stride(size: u32) -> usize {
    (size as usize).max(1).next_multiple_of(PAGE) + PAGE
}

impl RingInner {
    /// So many slots of `size` bytes each.
    pub(crate) fn new(slots: usize, size: u32) -> io::Result<Self> {
        let bytes = slots.checked_mul(stride(size)).ok_or(io::ErrorKind::OutOfMemory)?;
        let slots = Slots { free: (0..slots).rev().collect(), blocks: vec![None; slots] };
        Ok(Self { file: RawFile::new(bytes)?, size, slots: Mutex::new(slots) })
    }

    /// Takes a free slot.
    pub(crate) fn take(self: &Arc<Self>) -> Option<Slot> {
        let index = self.slots().free.pop()?;
        Some(Slot { ring: Arc::clone(self), index })
    }

    /// A block is in a slot.
    pub(crate) fn occupy(&self, index: usize, block: Weak<dyn InSlot>) {
        self.slots().blocks[index] = Some(block);
    }

    /// Bytes of a slot.
    pub(crate) fn size(&self) -> u32 {
        self.size
    }

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
        let blocks: Vec<_> = self.slots().blocks.iter().flatten().filter_map(Weak::upgrade).collect();
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
