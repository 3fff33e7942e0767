//! The blocks that are alive, by their slots, and what has been counted.

use alloc_trace::compact::Step;
use guest_sdk::{Error, Result};

use super::heap::{Block, Heap, Overwritten};

/// What has been counted.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counted {
    pub(crate) operations: i64,
    /// Requests that the allocator refused.
    pub(crate) failures: i64,
    pub(crate) live_bytes: i64,
    pub(crate) peak_live_bytes: i64,
}

/// The blocks that are alive.
pub(crate) struct Blocks<'h, H> {
    heap: &'h H,
    /// A slot without a block is free, or had its block refused.
    slots: Vec<Option<Block>>,
    counted: Counted,
}

impl<'h, H: Heap> Blocks<'h, H> {
    /// None yet, with room for as many as there are slots: the only allocation besides those of the trace.
    pub(crate) fn new(heap: &'h H, slots: usize) -> Result<Self> {
        let mut table = Vec::new();
        table
            .try_reserve_exact(slots)
            .map_err(|_| Error::application(2, "no memory for the table of blocks; give a larger memory limit"))?;
        table.resize(slots, None);
        Ok(Self { heap, slots: table, counted: Counted::default() })
    }

    pub(crate) const fn counted(&self) -> Counted {
        self.counted
    }

    /// Bytes of the table, which are none of the trace's.
    pub(crate) fn table_bytes(&self) -> usize {
        self.slots.capacity() * size_of::<Option<Block>>()
    }

    /// Applies a step. What the allocator refuses is counted: a block that was not given is not there to be freed
    /// either, and one that could not grow keeps its size.
    #[inline]
    pub(crate) fn apply(&mut self, step: Step) -> Result<()> {
        self.counted.operations += 1;
        match step {
            Step::Alloc { slot, size } => self.allocate(slot, size),
            Step::Free { slot } => match self.slot(slot)?.take() {
                Some(block) => {
                    self.counted.live_bytes -= i64::from(block.size);
                    self.heap.free(slot, block).map_err(overwritten)
                }
                None => Ok(()),
            },
            Step::Realloc { slot, size } => match *self.slot(slot)? {
                Some(block) => {
                    match self.heap.reallocate(slot, block, size).map_err(overwritten)? {
                        Some(moved) => {
                            self.counted.live_bytes -= i64::from(block.size);
                            self.put(slot, moved)?;
                        }
                        None => self.counted.failures += 1,
                    }
                    Ok(())
                }
                None => self.allocate(slot, size),
            },
        }
    }

    #[inline]
    fn allocate(&mut self, slot: u32, size: u32) -> Result<()> {
        match self.heap.allocate(slot, size) {
            Some(block) => self.put(slot, block)?,
            None => self.counted.failures += 1,
        }
        Ok(())
    }

    #[inline]
    fn put(&mut self, slot: u32, block: Block) -> Result<()> {
        self.counted.live_bytes += i64::from(block.size);
        self.counted.peak_live_bytes = self.counted.peak_live_bytes.max(self.counted.live_bytes);
        *self.slot(slot)? = Some(block);
        Ok(())
    }

    #[inline]
    fn slot(&mut self, slot: u32) -> Result<&mut Option<Block>> {
        self.slots.get_mut(slot as usize).ok_or_else(no_slot)
    }
}

#[cold]
fn overwritten(_: Overwritten) -> Error {
    Error::application(4, "a block does not hold what was written to it: the allocator gave its bytes to another")
}

#[cold]
fn no_slot() -> Error {
    Error::application(3, "the trace has a slot that the table lacks")
}
