//! Memory blocks: the functions by which guests of any contract hand each other memory.
//!
//! [`BlockTable`] has the rules. `imports` connects them with the guest, and `memory` with the write barrier.

mod imports;
mod memory;
#[cfg(feature = "specimens")]
mod specimen;

use std::ops::Range;

use guest_blocks::{Block, BlockTable, Counts, JoinError, Limits, PlainMemory, Violation};
use guest_prepare::module_info::MemoryLayout;
use wasmtime::Store;

use crate::failure::Fault;
use crate::host::data::{ContractData, HostData, visible_bytes};
use crate::host::dirty_ranges::DirtyRanges;
use crate::host::guest_memory::GuestMemory;
use crate::host::memory_location::memory_and_data;
pub(super) use imports::define;
use memory::Memory;
#[cfg(feature = "specimens")]
pub use specimen::BlockSpecimen;

/// The blocks of an instance whose guest imports the functions.
#[derive(Debug)]
pub(crate) struct Blocks {
    table: BlockTable,
    /// Ranges in which writes are no longer marked, as their marks were cleared during a call.
    unmarked: Unmarked,
    /// Ranges of memory that are something else than storage, with the use of each.
    taken: Vec<(&'static str, Range<usize>)>,
    /// Whether pages of the memory may be replaced by mappings.
    is_mappable: bool,
    #[cfg(feature = "specimens")]
    specimen: Option<BlockSpecimen>,
}

/// The parts of an instance that a function works on.
struct Own<'a, 'm> {
    memory: Memory<'a, 'm>,
    table: &'a mut BlockTable,
    taken: &'a [(&'static str, Range<usize>)],
}

/// An instance that may have blocks.
pub(crate) trait BlocksView: ContractData {
    /// Its blocks, if its guest imports the functions.
    fn blocks(&mut self) -> Option<&mut Blocks>;
}

impl Blocks {
    /// Those of a guest that is initialised now. `is_mappable` says that its memory was mapped for it alone.
    pub(crate) fn new(limits: Limits, layout: Option<&MemoryLayout>, is_mappable: bool) -> Self {
        let range = |range: &Range<u32>| range.start as usize..range.end as usize;
        let mut taken = Vec::new();
        if let Some(layout) = layout {
            taken.push(("the statics", range(&layout.statics)));
            taken.extend(layout.stack.as_ref().map(|stack| ("the stack", range(stack))));
        }
        Self {
            table: BlockTable::new(limits),
            unmarked: Unmarked::default(),
            taken,
            is_mappable,
            #[cfg(feature = "specimens")]
            specimen: None,
        }
    }

    /// The guest was initialised: it has this memory, and this exchange region.
    ///
    /// # Errors
    /// [`Violation::Overlaps`] if it has offered the region as storage before.
    pub(crate) fn snapshot(&mut self, memory: &mut [u8], exchange: Range<usize>) -> Result<(), Violation> {
        self.table.check_free("the exchange region", &exchange)?;
        self.taken.push(("the exchange region", exchange));
        self.table.snapshot(&PlainMemory(memory));
        Ok(())
    }

    /// The attachments so far, and their bytes.
    pub(crate) fn counts(&self) -> Counts {
        self.table.counts()
    }

    /// Goes on counting where an instance stopped that this one takes the place of.
    pub(crate) fn count_from(&mut self, counts: Counts) {
        self.table.count_from(counts);
    }

    /// Whether the guest has offered storage since it was initialised.
    pub(crate) fn has_new_storage(&self) -> bool {
        self.table.has_new_storage()
    }

    /// Whether the guest has blocks, or storage keeps the bytes of an attachment that a call left.
    pub(crate) fn has_left_blocks(&self) -> bool {
        self.table.has_left_blocks()
    }

    /// How often each number was used since the last restore.
    pub(crate) fn uses(&self) -> impl Iterator<Item = u32> {
        self.table.uses()
    }

    /// Goes on with the numbers of an instance that was suspended.
    pub(crate) fn continue_from(&mut self, uses: &[u32]) {
        self.table.continue_from(uses);
    }

    /// Gives the guest a block, and returns its number.
    pub(crate) fn give(&mut self, block: Block) -> Result<u32, Fault> {
        self.table.insert(block).map_err(Fault::Block)
    }

    /// Takes a block from the guest.
    pub(crate) fn take(&mut self, id: u32) -> Result<Block, Fault> {
        self.table.take(id).map_err(Fault::Block)
    }

    /// Makes later restores or attachments wrong.
    #[cfg(feature = "specimens")]
    pub(crate) fn break_by(&mut self, specimen: BlockSpecimen) {
        self.specimen = Some(specimen);
    }
}

/// Checks a call that has returned.
pub(crate) fn end_call<X: BlocksView>(store: &mut Store<HostData<X>>) -> Result<(), Box<Fault>> {
    let physical = memory_and_data(store).map_or(0, |(memory, _)| memory.len());
    let visible = visible_bytes(physical, &mut *store);
    let Some((memory, data)) = memory_and_data(store) else { return Ok(()) };
    let HostData { contract, dirty_ranges, .. } = data;
    let Some(blocks) = contract.blocks() else { return Ok(()) };
    let mut memory = memory.up_to(visible);
    let own = blocks.with(&mut memory, dirty_ranges);
    own.table.end_call(&own.memory).map_err(|violation| Box::new(Fault::Block(violation)))
}

/// Ends all attachments, before memory is restored. Returns the ranges of memory that are no part of the guest's state, in ascending order:
/// those of rings.
///
/// # Errors
/// [`Violation::NotUnmapped`]: the instance must be replaced.
pub(crate) fn restore<X: BlocksView>(store: &mut Store<HostData<X>>) -> Result<Vec<Range<usize>>, Violation> {
    if let Some((memory, data)) = memory_and_data(store) {
        let HostData { contract, dirty_ranges, .. } = data;
        if let Some(blocks) = contract.blocks() {
            blocks.restore(memory, dirty_ranges)?;
            return Ok(blocks.rings());
        }
    }
    Ok(Vec::new())
}

/// Ends all attachments, after a call that no restore follows.
///
/// # Errors
/// [`Violation::NotUnmapped`]: the instance must be replaced.
pub(crate) fn end_attachments<X: BlocksView>(store: &mut Store<HostData<X>>) -> Result<(), Violation> {
    with_own(store, |own| own.table.end_attachments(&mut own.memory)).unwrap_or(Ok(()))
}

/// Joins a ring.
pub(crate) fn join<X: BlocksView>(
    store: &mut Store<HostData<X>>,
    ring: &guest_blocks::Ring,
    writes: bool,
) -> Result<(), JoinError> {
    let joined = with_own(store, |own| own.table.join(&mut own.memory, ring, writes));
    joined.unwrap_or(Err(JoinError::NotMappable))
}

/// Does something with the blocks of an instance; `None` if it cannot have any.
fn with_own<X: BlocksView, T>(store: &mut Store<HostData<X>>, body: impl FnOnce(&mut Own<'_, '_>) -> T) -> Option<T> {
    let (mut memory, HostData { contract, dirty_ranges, .. }) = memory_and_data(store)?;
    let blocks = contract.blocks()?;
    Some(body(&mut blocks.with(&mut memory, dirty_ranges)))
}

/// Marks everything that was written, for those who compare memory with the snapshot by its marks.
pub(crate) fn mark<X: BlocksView>(store: &mut Store<HostData<X>>) {
    if let Some((memory, data)) = memory_and_data(store)
        && let Some(blocks) = data.contract.blocks()
    {
        // Writes after an attachment ended cannot be told from others any more.
        blocks.table.forget_left();
        blocks.unmarked.mark(memory);
    }
}

impl Blocks {
    /// The blocks with this memory.
    fn with<'a, 'm>(&'a mut self, memory: &'a mut GuestMemory<'m>, dirty_ranges: &'a mut DirtyRanges) -> Own<'a, 'm> {
        let memory = Memory {
            memory,
            dirty_ranges,
            unmarked: &mut self.unmarked,
            is_mappable: self.is_mappable,
            #[cfg(feature = "specimens")]
            specimen: self.specimen,
        };
        Own { memory, table: &mut self.table, taken: &self.taken }
    }

    /// Whether it has joined a ring.
    pub(crate) fn has_rings(&self) -> bool {
        self.table.rings().next().is_some()
    }

    /// The parts of memory that belong to rings, in ascending order.
    pub(crate) fn rings(&self) -> Vec<Range<usize>> {
        let mut rings: Vec<_> = self.table.rings().collect();
        rings.sort_unstable_by_key(|ring| ring.start);
        rings
    }

    fn restore(&mut self, mut memory: GuestMemory<'_>, dirty_ranges: &mut DirtyRanges) -> Result<(), Violation> {
        #[cfg(feature = "specimens")]
        match self.specimen {
            Some(BlockSpecimen::SurvivesRestore) => {
                self.unmarked.mark(memory);
                return Ok(());
            }
            Some(BlockSpecimen::KeepsBytes) => self.unmarked = Unmarked::default(),
            Some(BlockSpecimen::PublishesEarly) => {
                let attached: Vec<_> = self.table.attached().collect();
                let mut own = self.with(&mut memory, dirty_ranges);
                for (id, bytes) in attached {
                    // A reader cannot consume that many bytes. The call fails, and the reader ends without consuming anything.
                    let _ = own.table.detach(&mut own.memory, id, bytes);
                }
            }
            _ => {}
        }
        // Of a call that did not succeed nobody has looked at the end.
        let is_checked = !dirty_ranges.is_unknown();
        #[cfg(feature = "specimens")]
        let is_checked = is_checked || self.specimen == Some(BlockSpecimen::KeepsRingPages);
        let mut own = self.with(&mut memory, dirty_ranges);
        own.table.restore(&mut own.memory, is_checked)?;
        self.unmarked.mark(memory);
        Ok(())
    }
}

/// Ranges whose marks were cleared during a call: in ascending order, none of which touches another.
#[derive(Debug, Default)]
struct Unmarked(Vec<Range<usize>>);

impl Unmarked {
    fn add(&mut self, range: Range<usize>) {
        let from = self.0.partition_point(|known| known.end < range.start);
        let to = self.0.partition_point(|known| known.start <= range.end);
        let known = &self.0[from..to];
        if let [known] = known
            && known.start <= range.start
            && range.end <= known.end
        {
            return;
        }
        let start = known.first().map_or(range.start, |known| known.start.min(range.start));
        let end = known.last().map_or(range.end, |known| known.end.max(range.end));
        self.0.splice(from..to, std::iter::once(start..end));
    }

    /// Marks them again.
    fn mark(&mut self, memory: GuestMemory<'_>) {
        if let Some(mut cards) = memory.into_parts().1 {
            self.0.iter().for_each(|range| cards.mark(range.clone()));
        }
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ranges_are_joined_where_they_touch(ranges in prop::collection::vec((0_usize..200, 1_usize..30), 0..40)) {
            let (mut unmarked, mut model) = (Unmarked::default(), [false; 240]);
            for (start, length) in ranges {
                unmarked.add(start..start + length);
                model[start..start + length].fill(true);
                let covered: Vec<usize> = unmarked.0.iter().cloned().flatten().collect();
                prop_assert_eq!(covered, (0..240).filter(|at| model[*at]).collect::<Vec<_>>());
                prop_assert!(unmarked.0.windows(2).all(|pair| pair[0].end < pair[1].start), "{:?}", unmarked.0);
            }
        }
    }
}
