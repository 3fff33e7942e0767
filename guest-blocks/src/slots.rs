//! The slots of a ring: their pages, and the blocks that are in them.

use std::io;
use std::iter;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::memory::GUARD;
use crate::sys::{PAGE, Pages, RawFile};

#[derive(Debug)]
pub(crate) struct RingInner {
    file: RawFile,
    /// The number of slots.
    count: usize,
    /// Bytes of a slot.
    size: u32,
    slots: Mutex<Slots>,
}

#[derive(Debug)]
struct Slots {
    free: Vec<usize>,
    /// The blocks that are in the slots.
    blocks: Vec<Option<Weak<dyn InSlot>>>,
    /// Whether the block of each was spoiled.
    revoked: Vec<Arc<AtomicBool>>,
}

/// A slot that a block has. Dropped, it is free.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) ring: Arc<RingInner>,
    pub(crate) index: usize,
    /// Whether somebody has spoiled it.
    revoked: Arc<AtomicBool>,
}

/// A block in a slot.
pub(crate) trait InSlot: Send + Sync + std::fmt::Debug {
    /// Leaves nothing to read.
    fn revoke(&self);
}

/// Bytes from a slot to the next. Each has a free page on either side: a mark of a write barrier in a slot stands for no byte outside of
/// its free pages, and one in a free page for no byte of another slot.
fn stride(size: u32) -> usize {
    size as usize + 2 * PAGE
}

impl RingInner {
    /// So many slots of `size` bytes each, which are whole pages.
    pub(crate) fn new(count: usize, size: u32) -> io::Result<Self> {
        if count == 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a ring has at least one slot"));
        }
        let bytes = count.checked_mul(stride(size)).ok_or(io::ErrorKind::OutOfMemory)?;
        // First, as the system refuses a number of slots that is much too large.
        let file = RawFile::new(bytes)?;
        let slots = Slots {
            free: (0..count).rev().collect(),
            blocks: vec![None; count],
            revoked: iter::repeat_with(Arc::default).take(count).collect(),
        };
        Ok(Self { file, count, size, slots: Mutex::new(slots) })
    }

    /// Takes a free slot.
    pub(crate) fn take(self: &Arc<Self>) -> Option<Slot> {
        let mut slots = self.slots();
        let index = slots.free.pop()?;
        // A new one, as somebody may have the last block still.
        let revoked = Arc::<AtomicBool>::default();
        slots.revoked[index] = Arc::clone(&revoked);
        drop(slots);
        Some(Slot { ring: Arc::clone(self), index, revoked })
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
        self.count * stride(self.size)
    }

    /// The bytes of a slot in the file.
    pub(crate) fn range(&self, index: usize) -> Range<usize> {
        let start = index * stride(self.size) + PAGE;
        start..start + self.size as usize
    }

    /// A copy of all bytes of the file.
    pub(crate) fn read_all(&self) -> Vec<u8> {
        self.file.read(0..self.bytes())
    }

    pub(crate) fn share(&self, pages: &mut Pages<'_>) -> io::Result<()> {
        self.file.share(pages)
    }

    pub(crate) fn copy_on_write(&self, pages: &mut Pages<'_>) -> io::Result<()> {
        self.file.copy_on_write(pages)
    }

    /// Leaves no bytes beside a slot for which marks of the slot may stand. `before` and `behind` say that the free pages have marks of their
    /// own: nothing of them is left either, nor of the bytes beside them.
    pub(crate) fn clear_around(&self, index: usize, before: bool, behind: bool) {
        let slot = self.range(index);
        let bytes = |has_marks| if has_marks { PAGE + GUARD } else { GUARD };
        self.clear(slot.start.saturating_sub(bytes(before))..slot.start);
        self.clear(slot.end..(slot.end + bytes(behind)).min(self.bytes()));
    }

    fn clear(&self, range: Range<usize>) {
        self.file.write(range.start, &[0; PAGE + GUARD][..range.len()]);
    }

    /// Leaves nothing to read in any slot, as somebody wrote where nobody should.
    pub(crate) fn revoke(&self) {
        let slots = self.slots();
        slots.revoked.iter().for_each(|revoked| revoked.store(true, Ordering::Release));
        let blocks: Vec<_> = slots.blocks.iter().flatten().filter_map(Weak::upgrade).collect();
        drop(slots);
        // Nor are there bytes in the free pages.
        (0..self.count).for_each(|index| self.clear_around(index, true, true));
        blocks.iter().for_each(|block| block.revoke());
    }
}

impl Slot {
    /// Whether somebody has spoiled its bytes.
    pub(crate) fn is_revoked(&self) -> bool {
        self.revoked.load(Ordering::Acquire)
    }

    /// A copy of some bytes of the slot; zeros if they are spoiled.
    pub(crate) fn read(&self, range: Range<usize>) -> Vec<u8> {
        if self.is_revoked() {
            return vec![0; range.len()];
        }
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
