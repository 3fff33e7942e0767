//! The rules of ownership: the holders of a block and the range to read, without the bytes themselves.

#[cfg(test)]
mod interleavings;

use std::ops::Range;

use crate::error::Refused;
use crate::ranges::overlap;

/// The state of a block.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct State {
    /// Bytes that were published and not consumed.
    unread: Range<u32>,
    /// Whether many may read what was published, and nobody consumes it.
    is_shared: bool,
    /// Whether nobody has published anything yet: what counts as unread says how much there is to write.
    is_fresh: bool,
    holders: Holders,
    parts: Vec<Part>,
    /// The number of the next part.
    next: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Holders {
    #[default]
    None,
    Writer {
        /// Whether what it publishes is shared.
        shares: bool,
    },
    Readers(u32),
}

/// A part of a block that is a block of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Part {
    number: u64,
    range: Range<u32>,
    writes: bool,
}

/// How the holder that makes a part has the block attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attachment {
    None,
    Reads,
    Writes,
}

impl State {
    /// A block with something to read from the beginning on.
    pub(crate) fn published(size: u32, is_shared: bool) -> Self {
        Self { unread: 0..size, is_shared, ..Self::default() }
    }

    /// A slot of a ring before it is written: a writer hears how many bytes there are, and nobody reads those of the last block.
    pub(crate) fn fresh(size: u32) -> Self {
        Self { unread: 0..size, is_fresh: true, ..Self::default() }
    }

    /// Bytes that were published and not consumed.
    pub(crate) fn unread(&self) -> Range<u32> {
        self.unread.clone()
    }

    pub(crate) fn is_shared(&self) -> bool {
        self.is_shared
    }

    /// A writer comes, which is alone. Returns how many bytes were not consumed.
    pub(crate) fn begin_write(&mut self, shares: bool) -> Result<u32, Refused> {
        if self.holders != Holders::None || !self.parts.is_empty() {
            return Err(Refused::Busy);
        }
        self.holders = Holders::Writer { shares };
        Ok(self.unread.end - self.unread.start)
    }

    /// The writer leaves `valid` bytes to be read.
    pub(crate) fn publish(&mut self, valid: u32) {
        self.is_shared = matches!(self.holders, Holders::Writer { shares: true });
        self.holders = Holders::None;
        self.unread = 0..valid;
        self.is_fresh = false;
    }

    /// The writer goes away and has written nothing.
    pub(crate) fn cancel_write(&mut self) {
        self.holders = Holders::None;
    }

    /// The writer goes away without publishing. There is nothing to read then, as it may have written anything.
    pub(crate) fn abandon_write(&mut self) {
        self.holders = Holders::None;
        self.unread = 0..0;
        self.is_fresh = false;
    }

    /// Leaves nothing to read. Those who read already go on.
    pub(crate) fn revoke(&mut self) {
        self.unread = self.unread.end..self.unread.end;
    }

    /// A reader comes. Returns the bytes that it may read, and whether others may read them, too.
    pub(crate) fn begin_read(&mut self) -> Result<(Range<u32>, bool), Refused> {
        let readers = match self.holders {
            Holders::None => 0,
            Holders::Readers(readers) if self.is_shared => readers,
            Holders::Readers(_) | Holders::Writer { .. } => return Err(Refused::Busy),
        };
        if self.unread.is_empty() || self.is_fresh || self.parts.iter().any(|part| part.writes) {
            return Err(Refused::Busy);
        }
        self.holders = Holders::Readers(readers.checked_add(1).ok_or(Refused::Busy)?);
        // It stays so while there are readers.
        Ok((self.unread.clone(), self.is_shared))
    }

    /// A reader ends, after it has consumed `consumed` bytes.
    pub(crate) fn end_read(&mut self, consumed: u32) {
        // Of a block that was revoked there is nothing left.
        self.unread.start = self.unread.start.saturating_add(consumed).min(self.unread.end);
        self.holders = match self.holders {
            Holders::Readers(readers) if readers > 1 => Holders::Readers(readers - 1),
            _ => Holders::None,
        };
    }

    /// Makes a part, for a holder that has the block attached like this. Returns the number of the part.
    pub(crate) fn part(&mut self, range: Range<u32>, writes: bool, by: Attachment) -> Result<u64, Refused> {
        let may = match self.holders {
            Holders::None => true,
            Holders::Writer { .. } => by == Attachment::Writes,
            Holders::Readers(_) => !writes,
        };
        if !may || self.parts.iter().any(|part| overlap(&part.range, &range) && (writes || part.writes)) {
            return Err(Refused::Busy);
        }
        let number = self.next;
        self.next += 1;
        self.parts.push(Part { number, range, writes });
        Ok(number)
    }

    /// Nobody has the part any more.
    pub(crate) fn end_part(&mut self, number: u64) {
        self.parts.retain(|part| part.number != number);
    }

    /// Ranges that are parts, in which a writer of the whole block must not write any more.
    pub(crate) fn handed_out(&self) -> impl Iterator<Item = Range<u32>> {
        self.parts.iter().map(|part| part.range.clone())
    }
}
