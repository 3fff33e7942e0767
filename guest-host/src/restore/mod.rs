//! Putting an instance back to its snapshot, in place: one strategy per file behind one trait.
//!
//! The trait is public so that embedders can bring a strategy of their own, and so that
//! `host_harness::verify` can be shown to catch one that forgets something.

pub(crate) mod aligned;
mod bump_reset;
pub(crate) mod difference;
mod dirty_cards;
mod full_copy;
pub(crate) mod policy;
pub mod snapshot;
mod watermark;
mod with_blocks;

use std::ops::Range;

use guest_prepare::cards::Cards;
use wasmtime::Store;

pub use bump_reset::BumpReset;
pub use dirty_cards::DirtyCards;
pub use full_copy::FullCopy;
pub use watermark::Watermark;
pub(crate) use with_blocks::WithBlocks;

use crate::contract::Data;
use crate::host::control_block::HeapWords;
use crate::host::dirty_ranges::DirtyRanges;
use crate::host::memory_location::memory_and_data;
use crate::restore::policy::Residue;
use crate::restore::snapshot::{ControlBlockAt, Handles, RegionKind, Regions, Snapshot};

/// A way of putting an instance back to its snapshot without replacing it.
///
/// ```
/// use guest_host::restore::{Promise, Restore, RestoreError, Restored, Target};
/// use guest_host::snapshot::RegionKind;
/// use guest_host::{Engine, EngineConfig, Guest, InstanceConfig, MemoryState, PrepareOptions, Residue};
///
/// /// Copies the snapshot back, and zeroes what was grown since.
/// #[derive(Debug)]
/// struct CopyAll;
///
/// impl Restore for CopyAll {
///     fn name(&self) -> &str {
///         "copy-all"
///     }
///
///     fn promise(&self, _region: RegionKind, _residue: Residue) -> Promise {
///         Promise::Exact
///     }
///
///     fn restore(&mut self, target: &mut Target<'_>) -> Result<Restored, RestoreError> {
///         let (memory, snapshot) = target.memory();
///         let (saved, grown) = memory.split_at_mut(snapshot.memory().len());
///         saved.copy_from_slice(snapshot.memory());
///         grown.fill(0);
///         Ok(Restored { bytes: memory.len() as u64 })
///     }
/// }
///
/// # let engine = Engine::new(&EngineConfig::default())?;
/// # let wasm = wat::parse_str(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/shop.wat")))?;
/// # let guest = Guest::load(&engine, "shop", &wasm, PrepareOptions::default())?;
/// let mut instance = guest.instantiate_with(Box::new(CopyAll), &InstanceConfig::default(), MemoryState::new())?;
/// instance.invoke_by_name("count_up")?;
/// assert_eq!((instance.strategy_name(), instance.is_pristine()), ("copy-all", true));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Restore: Send + std::fmt::Debug {
    /// Name of the strategy in reports.
    fn name(&self) -> &str;

    /// What holds of a region after [`Restore::restore`].
    fn promise(&self, region: RegionKind, residue: Residue) -> Promise;

    /// Puts the instance's memory back. The instance puts its globals back itself, after this has returned `Ok`.
    ///
    /// # Errors
    /// [`RestoreError`] when the guest left something that the strategy cannot work with. The instance is replaced then,
    /// however far the strategy has come, and [`Instance::last_restore_error`](crate::Instance::last_restore_error) has
    /// the error.
    fn restore(&mut self, target: &mut Target<'_>) -> Result<Restored, RestoreError>;

    /// Whether the guest is prepared with a write barrier, so that [`Target::written`] has the ranges that were written.
    /// Calls take longer with it.
    fn wants_marks(&self) -> bool {
        false
    }

    /// The globals that are not put back: a broken specimen that a checker of restores must catch.
    #[cfg(feature = "specimens")]
    #[doc(hidden)]
    fn forgotten_globals(&self) -> ForgottenGlobals {
        ForgottenGlobals::None
    }
}

/// Globals that a broken specimen does not put back.
#[cfg(feature = "specimens")]
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForgottenGlobals {
    /// None of them is forgotten.
    None,
    /// All but the logical memory size.
    Own,
    /// The shadow-stack pointer.
    StackPointer,
    /// The logical memory size.
    LogicalSize,
}

/// What a strategy promises of a region's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum Promise {
    /// They equal the snapshot; those grown since are zero.
    Exact,
    /// They may hold anything that an earlier call left, as no safe guest can reach them.
    Residue,
}

impl Promise {
    /// The promise in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Residue => "residue",
        }
    }
}

/// What a restore did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
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

/// The memory of an instance that is restored, and its snapshot.
#[derive(Debug)]
pub struct Target<'a> {
    pub(crate) store: &'a mut Store<Data>,
    pub(crate) handles: &'a Handles,
    pub(crate) snapshot: &'a Snapshot,
    /// Ranges that are put back whether or not they are marked.
    pub(crate) always: &'a [Range<u32>],
    pub(crate) residue: Residue,
}

impl Target<'_> {
    /// The instance's memory, as large as it physically is, and the snapshot to put back.
    #[inline]
    pub fn memory(&mut self) -> (&mut [u8], &Snapshot) {
        // An instance that is restored has been initialised, and so has a memory.
        let memory = memory_and_data(self.store).map_or_else(Default::default, |(memory, _)| memory.into_parts().0);
        (memory, self.snapshot)
    }

    /// How memory is divided.
    #[must_use]
    pub fn regions(&self) -> &Regions {
        &self.snapshot.regions
    }

    /// Whether residue is scrubbed or kept.
    #[must_use]
    pub fn residue(&self) -> Residue {
        self.residue
    }

    /// Bytes of memory that the guest sees: without virtual growth all that there physically are.
    #[must_use]
    pub fn logical_size(&mut self) -> usize {
        self.handles.logical_size(&mut *self.store)
    }

    /// The memory with the ranges that were written since the last restore; `None` unless the guest was prepared with a write
    /// barrier (see [`Restore::wants_marks`]).
    #[inline]
    pub fn written(&mut self) -> Option<Written<'_>> {
        let (memory, data) = memory_and_data(self.store)?;
        let (memory, cards) = memory.into_parts();
        Some(Written {
            memory,
            snapshot: self.snapshot,
            cards: cards?,
            dirty_ranges: &data.dirty_ranges,
            always: self.always,
        })
    }

    /// The memory with what calls used of it since the last restore, as far as the guest's allocator and the contract tell.
    ///
    /// # Errors
    /// [`RestoreError`] when there is no control block, or when what it says cannot be.
    #[inline(always)]
    pub fn used(&mut self) -> Result<Used<'_>, RestoreError> {
        let (memory, dirty_ranges) = match memory_and_data(self.store) {
            Some((memory, data)) => (memory.into_parts().0, &data.dirty_ranges),
            // An instance that is restored has been initialised, and so has a memory.
            None => return Err(RestoreError::NoControlBlock),
        };
        let snapshot = self.snapshot;
        let block = snapshot.control_block.as_ref().ok_or(RestoreError::NoControlBlock)?;
        let words = HeapWords::read(memory, block.address).ok_or(RestoreError::NoControlBlock)?;
        let high_water = words.high_water;
        let expected = snapshot.regions.statics().end..memory.len();
        if high_water as usize > expected.end || (high_water as usize) < expected.start {
            return Err(RestoreError::Address { what: "the high-water mark", address: high_water, expected });
        }
        let heap = Heap { saved: block, high_water, adopted: words.limit };
        // Where it is not kept it is 0, so all of the stack was used.
        let lowest = if dirty_ranges.is_unknown() { 0 } else { words.lowest_stack };
        Ok(Used { memory, snapshot, heap, stack: snapshot.used_stack(lowest), dirty_ranges })
    }
}

/// An instance's memory, and the ranges of it that were written since the last restore.
#[derive(Debug)]
pub struct Written<'a> {
    memory: &'a mut [u8],
    snapshot: &'a Snapshot,
    cards: Cards<'a>,
    dirty_ranges: &'a DirtyRanges,
    always: &'a [Range<u32>],
}

impl Written<'_> {
    /// Bytes of memory as it physically is.
    #[must_use]
    pub fn memory_size(&self) -> usize {
        self.memory.len()
    }

    /// Calls `put_back` with memory, snapshot and each range that was written, and clears the marks. A range lies in memory, and
    /// may reach beyond the snapshot's. The ranges may overlap.
    ///
    /// ```
    /// use guest_host::restore::{Promise, Restore, RestoreError, Restored, Target};
    /// use guest_host::snapshot::RegionKind;
    /// use guest_host::{Engine, EngineConfig, Guest, InstanceConfig, MemoryState, PrepareOptions, Residue};
    ///
    /// /// Puts back byte by byte what was written.
    /// #[derive(Debug)]
    /// struct ByteByByte;
    ///
    /// impl Restore for ByteByByte {
    ///     fn name(&self) -> &str {
    ///         "byte-by-byte"
    ///     }
    ///
    ///     fn promise(&self, _region: RegionKind, _residue: Residue) -> Promise {
    ///         Promise::Exact
    ///     }
    ///
    ///     fn wants_marks(&self) -> bool {
    ///         true
    ///     }
    ///
    ///     fn restore(&mut self, target: &mut Target<'_>) -> Result<Restored, RestoreError> {
    ///         let mut bytes = 0;
    ///         target.written().ok_or(RestoreError::NoBarrier)?.take(|memory, snapshot, range| {
    ///             bytes += range.len() as u64;
    ///             for at in range {
    ///                 memory[at] = snapshot.memory().get(at).copied().unwrap_or(0);
    ///             }
    ///         });
    ///         Ok(Restored { bytes })
    ///     }
    /// }
    ///
    /// # let engine = Engine::new(&EngineConfig::default())?;
    /// # let wasm = wat::parse_str(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/shop.wat")))?;
    /// # let guest = Guest::load(&engine, "shop", &wasm, PrepareOptions::default())?;
    /// let mut instance = guest.instantiate_with(Box::new(ByteByByte), &InstanceConfig::default(), MemoryState::new())?;
    /// instance.invoke_by_name("count_up")?;
    /// let (memory, snapshot) = instance.memory().unwrap();
    /// assert!(memory == snapshot.memory());
    /// assert!(instance.last_stats().restored_bytes > Some(0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn take(self, mut put_back: impl FnMut(&mut [u8], &Snapshot, Range<usize>)) {
        let Self { memory, snapshot, mut cards, dirty_ranges, always } = self;
        let size = memory.len();
        let mut within = |range: Range<usize>| put_back(memory, snapshot, clipped(range, size));
        cards.take(size, &mut within);
        for range in dirty_ranges.named() {
            within(range.clone());
        }
        for range in always {
            within(addresses(range));
        }
    }

    /// As [`Written::put_back`], around ranges that are no part of the guest's state, in ascending order. They have no marks.
    pub(crate) fn put_back_around(self, apart: &[Range<usize>]) -> u64 {
        let Self { memory, snapshot, mut cards, dirty_ranges, always } = self;
        let size = memory.len();
        let mut bytes = 0;
        let mut back = |range: Range<usize>| {
            // A mark may stand for bytes on either side of where such a range begins or ends.
            let mut rest = clipped(range, size);
            for apart in apart {
                if apart.end <= rest.start || rest.end <= apart.start {
                    continue;
                }
                if rest.start < apart.start {
                    bytes += put_back(memory, snapshot, rest.start..apart.start);
                }
                rest.start = apart.end.min(rest.end);
            }
            if !rest.is_empty() {
                bytes += put_back(memory, snapshot, rest);
            }
        };
        let mut starts = apart.iter().map(|apart| apart.start).chain([size]);
        cards.take(starts.next().unwrap_or(size), &mut back);
        for (apart, next) in apart.iter().zip(starts) {
            cards.take_from(apart.end, next, &mut back);
        }
        dirty_ranges.named().iter().cloned().chain(always.iter().map(addresses)).for_each(back);
        bytes
    }

    /// Puts back everything that was written, clears the marks, and returns the bytes that it wrote.
    #[inline]
    pub fn put_back(self) -> u64 {
        let Self { memory, snapshot, mut cards, dirty_ranges, always } = self;
        let size = memory.len();
        let mut bytes = 0;
        cards.take(size, |range| bytes += put_back(memory, snapshot, clipped(range, size)));
        for range in dirty_ranges.named() {
            bytes += put_back(memory, snapshot, clipped(range.clone(), size));
        }
        for range in always {
            let range = addresses(range);
            // Most often these are statics, of which memory and snapshot have all, and there is no more to it than a copy.
            if let (Some(to), Some(from)) = (memory.get_mut(range.clone()), snapshot.memory.get(range.clone())) {
                to.copy_from_slice(from);
                bytes += from.len() as u64;
            } else {
                bytes += put_back(memory, snapshot, clipped(range, size));
            }
        }
        bytes
    }
}

/// A range of guest addresses as offsets into its memory.
fn addresses(range: &Range<u32>) -> Range<usize> {
    range.start as usize..range.end as usize
}

/// The part of a range that lies in a memory of `size` bytes.
fn clipped(range: Range<usize>, size: usize) -> Range<usize> {
    range.start.min(size)..range.end.min(size)
}

/// An instance's memory, and what calls have used of it since the last restore.
#[derive(Debug)]
pub struct Used<'a> {
    /// The memory, as large as it physically is.
    pub memory: &'a mut [u8],
    /// The snapshot to put back.
    pub snapshot: &'a Snapshot,
    /// The heap, as the allocator's control block describes it.
    pub heap: Heap<'a>,
    /// The part of the shadow stack that was used.
    pub stack: Range<usize>,
    dirty_ranges: &'a DirtyRanges,
}

impl Used<'_> {
    /// Puts back what was used of the exchange region, and returns the bytes that it wrote.
    #[inline]
    pub fn restore_exchange(&mut self) -> u64 {
        let parts = self.dirty_ranges.exchange().iter();
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

/// Puts back `range` of memory and returns its length. Copies the snapshot up to the zeros at its end, and zeroes the rest,
/// which includes memory that was grown since.
#[inline]
pub(crate) fn put_back(memory: &mut [u8], snapshot: &Snapshot, range: Range<usize>) -> u64 {
    let zeros = snapshot.zeros_from.clamp(range.start, range.end);
    let mut bytes = 0;
    if range.start < zeros {
        bytes += copy_back(memory, snapshot, range.start..zeros);
    }
    if zeros < range.end {
        bytes += zero_out_of_line(memory, zeros..range.end);
    }
    bytes
}

/// Out of line, as a call that does little writes statics and stack alone.
#[inline(never)]
fn zero_out_of_line(memory: &mut [u8], range: Range<usize>) -> u64 {
    zero(memory, range)
}

/// Copies `range` of the snapshot back into memory and returns its length.
#[inline]
pub(crate) fn copy_back(memory: &mut [u8], snapshot: &Snapshot, range: Range<usize>) -> u64 {
    let length = range.len();
    let (to, from) = (&mut memory[range.clone()], &snapshot.memory[range]);
    if length <= CHUNK || length > SMALL {
        to.copy_from_slice(from);
    } else {
        copy_in_chunks(to, from);
    }
    length as u64
}

#[inline(never)]
fn copy_in_chunks(to: &mut [u8], from: &[u8]) {
    let ((chunks, rest), (saved_chunks, saved_rest)) = (to.as_chunks_mut::<CHUNK>(), from.as_chunks::<CHUNK>());
    for (chunk, saved) in chunks.iter_mut().zip(saved_chunks) {
        chunk.copy_from_slice(saved);
    }
    rest.copy_from_slice(saved_rest);
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// The range may lie before the zeros that the snapshot ends with, among them, behind the snapshot, or across.
        #[test]
        fn a_range_is_put_back_and_nothing_else(
            data in prop::collection::vec(any::<u8>(), 0..300),
            zeros in 0_usize..300,
            grown in 0_usize..300,
            ends in any::<[prop::sample::Index; 2]>(),
        ) {
            let mut saved = data;
            saved.resize(saved.len() + zeros, 0);
            let snapshot = Snapshot::of_memory(&saved);
            let mut memory = vec![0xA5; saved.len() + grown];
            let [one, other] = ends.map(|end| end.index(memory.len() + 1));
            let range = one.min(other)..one.max(other);

            prop_assert_eq!(put_back(&mut memory, &snapshot, range.clone()), range.len() as u64);

            let wanted = |at: usize| saved.get(at).copied().unwrap_or(0);
            for (at, byte) in memory.iter().enumerate() {
                prop_assert_eq!(*byte, if range.contains(&at) { wanted(at) } else { 0xA5 }, "at {}", at);
            }
        }
    }
}
