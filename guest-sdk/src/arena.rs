//! An arena in the exchange region that values are read into: values from its start, chunks of rows from its end.
//!
//! Values stay until their call or their scope ends; a chunk goes when the rows it holds are no longer read. So one
//! grows upwards and the other downwards, and neither waits for the other.
#![expect(unsafe_code, reason = "the arena is raw memory that the host writes")]

use core::cell::Cell;
use core::slice;

use guest_sdk_core::error::exchange_full;

use crate::Result;
use crate::raw;

/// Room for values. It belongs to one call.
pub(crate) struct Arena {
    cursor: Cell<*mut u8>,
    end: Cell<*mut u8>,
}

impl Arena {
    /// The arena of `length` bytes from `start`.
    ///
    /// # Safety
    /// Until the arena and all that borrows from it are gone, these bytes are valid for reads and writes through
    /// `start` and nothing else uses them.
    pub(crate) const unsafe fn new(start: *mut u8, length: usize) -> Self {
        Self {
            cursor: Cell::new(start),
            // SAFETY: start and end bound the same allocation.
            end: Cell::new(unsafe { start.add(length) }),
        }
    }

    fn left(&self) -> usize {
        self.end.get().addr() - self.cursor.get().addr()
    }

    /// The value of a key, if there is one. Its bytes stay until [`Arena::rewind`].
    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<&[u8]>> {
        let (out, room) = (self.cursor.get(), self.left());
        // SAFETY: the key is borrowed; the bytes from the cursor to the end are unused.
        let length = unsafe { raw::get(key.as_ptr(), key.len(), out, room) };
        if length == guest_abi::names::GET_ABSENT {
            return Ok(None);
        }
        let length = length.cast_unsigned() as usize;
        if length > room {
            return Err(exchange_full(length, room));
        }
        // SAFETY: the host has written that many bytes, which lie before the end.
        let (value, behind) = unsafe { (slice::from_raw_parts(out, length), out.add(length)) };
        self.cursor.set(behind);
        Ok(Some(value))
    }

    /// The place of the next value.
    pub(crate) fn cursor(&self) -> *mut u8 {
        self.cursor.get()
    }

    /// Makes the room behind `cursor` free again.
    ///
    /// # Safety
    /// `cursor` is from [`Arena::cursor`], and no value that was read since is used any more.
    pub(crate) unsafe fn rewind(&self, cursor: *mut u8) {
        self.cursor.set(cursor);
    }

    /// Half of what is free, as a chunk.
    pub(crate) fn chunk(&self) -> Chunk<'_> {
        let length = self.left() / 2;
        // SAFETY: half of what is free is free.
        let start = unsafe { self.end.get().sub(length) };
        self.end.set(start);
        Chunk { arena: self, start, length }
    }
}

/// Room for rows at the end of the arena; given back when dropped, if no later chunk is still in use.
pub(crate) struct Chunk<'r> {
    arena: &'r Arena,
    start: *mut u8,
    length: usize,
}

impl Chunk<'_> {
    /// Keeps the bytes `keep` as the chunk's first and reads rows behind them, those that follow the row with the key
    /// that the kept bytes are. Returns where the rows end.
    pub(crate) fn read(&mut self, key: &[u8], keep: core::ops::Range<usize>) -> Result<usize> {
        let kept = keep.len();
        assert!(keep.start <= keep.end && keep.end <= self.length, "kept bytes are the chunk's");
        // SAFETY: both ranges are the chunk's, as just checked.
        unsafe { core::ptr::copy(self.start.add(keep.start), self.start, kept) };
        let room = self.length - kept;
        let wants = self.read_behind(key, kept);
        if wants <= room {
            return Ok(kept + wants);
        }
        self.extend(kept, wants)?;
        let room = self.length - kept;
        match self.read_behind(key, kept) {
            wants if wants <= room => Ok(kept + wants),
            wants => Err(exchange_full(wants, room)),
        }
    }

    fn read_behind(&mut self, key: &[u8], kept: usize) -> usize {
        // SAFETY: the key is borrowed; the kept bytes and the room behind them are two parts of the chunk, which
        // `&mut self` says nobody reads.
        let wants = unsafe {
            let out = self.start.add(kept);
            raw::read(key.as_ptr(), key.len(), self.start, kept, out, self.length - kept)
        };
        wants.cast_unsigned() as usize
    }

    /// Makes room for `wants` bytes behind the first `kept`.
    fn extend(&mut self, kept: usize, wants: usize) -> Result<()> {
        let arena = self.arena;
        // The last chunk grows where it is; another one leaves its bytes unused until the call ends.
        let end = match arena.end.get() == self.start {
            true => self.start.wrapping_add(self.length),
            false => arena.end.get(),
        };
        let available = end.addr() - arena.cursor.get().addr();
        let length = match kept.checked_add(wants) {
            Some(length) if length <= available => length,
            _ => return Err(exchange_full(wants, available.saturating_sub(kept))),
        };
        // SAFETY: at least as much lies between the cursor and that end, all of it free or this chunk's; the kept
        // bytes are copied to its start.
        unsafe {
            let start = end.sub(length);
            core::ptr::copy(self.start, start, kept);
            self.start = start;
        }
        self.length = length;
        arena.end.set(self.start);
        Ok(())
    }

    /// The first `length` bytes.
    ///
    /// # Safety
    /// They have been written.
    pub(crate) unsafe fn bytes(&self, length: usize) -> &[u8] {
        // SAFETY: the caller has written them; the chunk is borrowed.
        unsafe { slice::from_raw_parts(self.start, length) }
    }
}

impl Drop for Chunk<'_> {
    fn drop(&mut self) {
        if self.arena.end.get() == self.start {
            self.arena.end.set(self.start.wrapping_add(self.length));
        }
    }
}
