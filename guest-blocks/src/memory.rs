//! The memory of a guest, as blocks need it.

use std::ops::Range;

use crate::sys::Pages;

/// The memory of a guest, in which blocks are attached.
pub trait GuestMemory {
    /// All bytes, as far as the guest may use them.
    fn bytes(&self) -> &[u8];

    /// Copies bytes into memory. They are the host's, and not written by the guest; whoever restores the instance must restore them.
    fn place(&mut self, address: usize, bytes: &[u8]);

    /// Makes [`written`](Self::written) and [`has_written`](Self::has_written) leave out the guest's writes to the range so far, as far
    /// as the memory can tell them from writes near the range. A restore still restores them.
    fn forget_written(&mut self, range: Range<usize>);

    /// Where the guest may have written in a range since [`forget_written`](Self::forget_written) was called for it.
    fn written(&self, range: Range<usize>) -> Written;

    /// Whether the guest has certainly written in a range since then. A write barrier that marks cards knows it if a card has a mark
    /// and lies in the range, with all bytes near it for which the mark may stand.
    fn has_written(&self, range: Range<usize>) -> bool;

    /// As [`forget_written`](Self::forget_written), of bytes that no restore has to put back. Returns a range in which, or near which, all
    /// these writes were: no further than [`GUARD`] from it. `None` if there were none.
    fn discard_written(&mut self, range: Range<usize>) -> Option<Range<usize>> {
        let written = match self.written(range.clone()) {
            Written::Unknown => Some(range.clone()),
            Written::Ranges(ranges) => ranges.first().zip(ranges.last()).map(|(first, last)| first.start..last.end),
        };
        self.forget_written(range);
        written
    }

    /// Whole pages of the memory, if it lets them be replaced by mappings and a write barrier marks writes to them. No restore reads or
    /// writes them while they are mapped.
    fn pages(&mut self, range: Range<usize>) -> Option<Pages<'_>> {
        let _ = range;
        None
    }
}

/// Bytes of the largest cards that a write barrier may have.
pub const LARGEST_CARD: usize = 4096;

/// The most bytes between a card and a write for which its mark stands.
pub const GUARD: usize = 128;

/// Where a guest has written in a range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written {
    /// Nobody knows: there is no write barrier. Bytes are compared then.
    Unknown,
    /// In these ranges, within the one that was asked about, and nowhere else. They may be longer than what was written.
    Ranges(Vec<Range<usize>>),
}

/// A memory without a write barrier.
#[derive(Debug)]
pub struct PlainMemory<'a>(
    /// Its bytes.
    pub &'a mut [u8],
);

impl GuestMemory for PlainMemory<'_> {
    fn bytes(&self) -> &[u8] {
        self.0
    }

    fn place(&mut self, address: usize, bytes: &[u8]) {
        self.0[address..address + bytes.len()].copy_from_slice(bytes);
    }

    fn forget_written(&mut self, _: Range<usize>) {}

    fn written(&self, _: Range<usize>) -> Written {
        Written::Unknown
    }

    fn has_written(&self, _: Range<usize>) -> bool {
        false
    }
}
