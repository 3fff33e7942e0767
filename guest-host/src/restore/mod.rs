//! Putting an instance back to its snapshot, in place: one strategy per file behind one trait.
//!
//! The trait is public so that embedders can bring a strategy of their own, and so that
//! `host_harness::verify` can be shown to catch one that forgets something.

pub(crate) mod aligned;
mod bump_reset;
mod dirty_cards;
mod full_copy;
pub(crate) mod policy;
pub mod snapshot;
mod watermark;

use std::ops::Range;

use guest_abi::control_block::offset;
use guest_prepare::cards::Cards;
use wasmtime::{Store, Val};

pub use bump_reset::BumpReset;
pub use dirty_cards::DirtyCards;
pub use full_copy::FullCopy;
pub use watermark::Watermark;

use crate::contract::Data;
use crate::host::footprint::Footprint;
use crate::host::window::memory_and_data;
use crate::restore::policy::Residue;
use crate::restore::snapshot::{ControlBlockAt, Handles, RegionKind, Regions, Snapshot};

/// A way of putting an instance back to its snapshot without replacing it.
pub trait Restore: Send + std::fmt::Debug {
    /// Name of the strategy in reports.
    fn name(&self) -> &str;

    /// What holds of a region after [`Restore::restore`].
    fn promise(&self, region: RegionKind, residue: Residue) -> Promise;

    /// Restores the instance.
    ///
    /// # Errors
    /// [`RestoreError`] when the guest left something that the strategy cannot work with. The instance is replaced then,
    /// however far the strategy has come, and [`Instance::last_restore_error`](crate::Instance::last_restore_error) has
    /// the error.
    fn restore(&mut self, target: &mut Target<'_>) -> Result<Restored, RestoreError>;
}

/// What a strategy promises of a region's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Promise {
    /// They equal the snapshot; those grown since are zero.
    Exact,
    /// They may hold anything that an earlier call left, as no safe guest can reach them.
    Residue,
    /// They equal the snapshot, but for the high-water mark of the control block, which keeps what it was raised to.
    ExactButHighWater,
}

impl Promise {
    /// The promise in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Residue => "residue",
            Self::ExactButHighWater => "exact but high_water",
        }
    }
}

/// What a restore did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Restored {
    /// Bytes of memory that were written.
    pub bytes: u64,
}

/// Why an instance could not be restored in place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// The control block names an address that does not lie where it must.
    #[error(
        "the allocator's control block names {what} {address:#x}, which does not lie between {:#x} and {:#x}",
        expected.start, expected.end
    )]
    Address {
        /// What the address is.
        what: &'static str,
        /// The address.
        address: u32,
        /// Where it must lie.
        expected: Range<usize>,
    },
    /// The strategy needs a write barrier and the guest has none.
    #[error("the guest was prepared without a write barrier")]
    NoBarrier,
    /// The strategy needs a control block and the guest has none.
    #[error("the guest has no control block")]
    NoControlBlock,
    /// A global could not be written.
    #[error("global `{name}` cannot be restored: {reason}")]
    Global {
        /// Its name.
        name: String,
        /// The engine's reason.
        reason: String,
    },
    /// A strategy of the embedder's own could not go on.
    #[error("the strategy gave up: {reason}")]
    GaveUp {
        /// Why, in its words.
        reason: String,
    },
}

/// An instance that is to be restored, and its snapshot.
#[derive(Debug)]
pub struct Target<'a> {
    pub(crate) store: &'a mut Store<Data>,
    pub(crate) handles: &'a Handles,
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) residue: Residue,
    /// The call returned through an entrance that put the guest's own globals back.
    pub(crate) globals_restored: bool,
}

impl Target<'_> {
    /// The instance's memory, as large as it physically is, and the snapshot to put back.
    #[inline]
    pub fn memory(&mut self) -> (&mut [u8], &Snapshot) {
        // An instance that is restored has been initialised, and so has a memory.
        let memory = memory_and_data(self.store).map_or_else(Default::default, |(memory, _)| memory.into_parts().0);
        (memory, self.snapshot)
    }

    /// The same with the card table, where the guest was prepared with a write barrier, and what the host wrote that is
    /// not marked there.
    #[inline]
    pub(crate) fn written(&mut self) -> Option<(&mut [u8], Cards<'_>, &Footprint, &Snapshot)> {
        let (memory, data) = memory_and_data(self.store)?;
        let (memory, cards) = memory.into_parts();
        Some((memory, cards?, &data.footprint, self.snapshot))
    }

    /// How memory is divided.
    #[must_use]
    pub fn regions(&self) -> &Regions {
        &self.snapshot.regions
    }

    /// What is to become of residue.
    #[must_use]
    pub fn residue(&self) -> Residue {
        self.residue
    }

    /// Number of mutable globals.
    #[must_use]
    pub fn globals(&self) -> usize {
        self.handles.globals.len()
    }

    /// Which of the globals is the shadow-stack pointer.
    #[must_use]
    pub fn stack_pointer(&self) -> Option<usize> {
        self.handles.stack_pointer
    }

    /// Which of the globals is the logical memory size, where the guest was prepared for virtual growth.
    #[must_use]
    pub fn logical_pages(&self) -> Option<usize> {
        self.handles.logical_pages
    }

    /// Puts one global back.
    ///
    /// # Errors
    /// [`RestoreError::Global`] when the engine refuses.
    pub fn restore_global(&mut self, index: usize) -> Result<(), RestoreError> {
        let (name, global) = &self.handles.globals[index];
        let saved: Val = self.snapshot.globals[index];
        global
            .set(&mut *self.store, saved)
            .map_err(|error| RestoreError::Global { name: name.clone(), reason: error.to_string() })
    }

    /// Puts all globals back.
    ///
    /// # Errors
    /// [`RestoreError::Global`] when the engine refuses.
    #[inline(always)]
    pub fn restore_globals(&mut self) -> Result<(), RestoreError> {
        let grown = self.memory().0.len() != self.snapshot.memory.len();
        self.restore_globals_after(grown)
    }

    /// Puts all globals back; `grown` says whether memory is larger now than in the snapshot.
    #[inline(always)]
    pub(crate) fn restore_globals_after(&mut self, grown: bool) -> Result<(), RestoreError> {
        // The logical size lies between that of the snapshot and the physical one. Where those are equal, it is both.
        if let Some(logical) = self.handles.logical_pages.filter(|_| grown) {
            self.restore_global(logical)?;
        }
        if self.globals_restored {
            return Ok(());
        }
        let own = (0..self.globals()).filter(|index| Some(*index) != self.handles.logical_pages);
        own.into_iter().try_for_each(|index| self.restore_global(index))
    }

    /// Bytes of memory that the guest sees: without virtual growth all that there physically are.
    #[must_use]
    pub fn logical_size(&mut self) -> usize {
        self.handles.logical_size(&mut *self.store)
    }

    /// The instance's memory, the snapshot to put back, and what the allocator says of its heap.
    ///
    /// # Errors
    /// [`RestoreError`] when there is no control block, or when what it says cannot be.
    #[inline(always)]
    pub fn heap(&mut self) -> Result<(&mut [u8], &Snapshot, Heap<'_>), RestoreError> {
        self.used().map(|used| (used.memory, used.snapshot, used.heap))
    }

    /// The same, and what else calls have used.
    #[inline(always)]
    pub(crate) fn used(&mut self) -> Result<Used<'_>, RestoreError> {
        let (memory, footprint) = match memory_and_data(self.store) {
            Some((memory, data)) => (memory.into_parts().0, &data.footprint),
            // An instance that is restored has been initialised, and so has a memory.
            None => return Err(RestoreError::NoControlBlock),
        };
        let snapshot = self.snapshot;
        let block = snapshot.control_block.as_ref().ok_or(RestoreError::NoControlBlock)?;
        let Some(words) = memory.get(block.address..).and_then(<[u8]>::first_chunk::<{ offset::LOWEST_STACK + 4 }>)
        else {
            return Err(RestoreError::NoControlBlock);
        };
        // Four words, not the whole block: this runs on every restore.
        let word = |at: usize| u32::from_le_bytes([words[at], words[at + 1], words[at + 2], words[at + 3]]);
        let high_water = word(offset::HIGH_WATER).max(word(offset::TOP));
        let expected = snapshot.regions.statics().end..memory.len();
        if high_water as usize > expected.end || (high_water as usize) < expected.start {
            return Err(RestoreError::Address { what: "the high-water mark", address: high_water, expected });
        }
        let heap = Heap { saved: block, high_water, adopted: word(offset::LIMIT) };
        // Where it is not kept it is 0, so all of the stack was used.
        let lowest = if footprint.is_unknown() { 0 } else { word(offset::LOWEST_STACK) };
        Ok(Used { memory, snapshot, heap, stack: snapshot.used_stack(lowest), footprint })
    }
}

/// An instance's memory, and what calls have used of it since the last restore.
pub(crate) struct Used<'a> {
    pub(crate) memory: &'a mut [u8],
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) heap: Heap<'a>,
    /// Of the shadow stack.
    pub(crate) stack: Range<usize>,
    footprint: &'a Footprint,
}

impl Used<'_> {
    /// Puts back what was used of the exchange region.
    #[inline]
    pub(crate) fn restore_exchange(&mut self) -> u64 {
        let parts = self.footprint.exchange().iter();
        parts.map(|part| copy_back(self.memory, self.snapshot, part.clone())).sum()
    }
}

/// What an allocator says of its heap.
#[derive(Debug, Clone, Copy)]
pub struct Heap<'a> {
    /// The control block in the snapshot.
    pub saved: &'a ControlBlockAt,
    /// End of what was ever handed out since everything above was zero.
    pub high_water: u32,
    /// End of the memory that the allocator has adopted.
    pub adopted: u32,
}

/// Copies `range` of the snapshot back into memory and returns its length.
#[inline]
pub(crate) fn copy_back(memory: &mut [u8], snapshot: &Snapshot, range: Range<usize>) -> u64 {
    let length = range.len();
    let (to, from) = (&mut memory[range.clone()], &snapshot.memory[range]);
    if length <= CHUNK || length > SMALL {
        to.copy_from_slice(from);
    } else {
        for (to, from) in to.chunks_mut(CHUNK).zip(from.chunks(CHUNK)) {
            to.copy_from_slice(from);
        }
    }
    length as u64
}

/// Up to this many bytes are copied in chunks of [`CHUNK`].
///
/// The C library copies more than 2 KiB by `rep movsb`, which takes some 20 ns to get going on the processors that this
/// was measured on: as long as copying 4 KiB by vector registers takes.
const SMALL: usize = 16 << 10;
const CHUNK: usize = 2 << 10;

/// Zeroes `range` of memory and returns its length.
#[inline]
pub(crate) fn zero(memory: &mut [u8], range: Range<usize>) -> u64 {
    let length = range.len();
    // To fill nothing at all took the C library 180 ns where this was measured.
    if length > 0 {
        memory[range].fill(0);
    }
    length as u64
}

/// Writes the high-water mark into the control block at `address`.
#[inline]
pub(crate) fn write_high_water(memory: &mut [u8], address: usize, high_water: u32) {
    let at = address + offset::HIGH_WATER;
    memory[at..at + 4].copy_from_slice(&high_water.to_le_bytes());
}
