//! The buffer of a builder: parts grow from its beginning, and slots that wait for their place grow from its end.
//!
//! A list whose length is not known yet cannot have its slots in place, because the parts of its items come first. So its
//! slots wait at the end of the buffer, the last one first, until the list is complete. Each byte that waits has its place in
//! the value later: a buffer with as many bytes as the value is large enough at each moment.

use super::error::BuildError;
use super::types::{Flat, Reference};
use super::{HEADER, MAGIC, MAX_LENGTH};

/// A buffer that a value is built in.
#[derive(Debug)]
pub struct Area<'a> {
    /// The buffer. It is empty while a value is measured only: each write is skipped then.
    bytes: &'a mut [u8],
    /// Bytes that parts and waiting slots may have together.
    room: usize,
    /// The end of the parts.
    front: usize,
    /// Bytes of the slots that wait.
    waiting: usize,
}

impl<'a> Area<'a> {
    /// A buffer for a value. It holds no value from now on, even if it held one.
    pub(super) fn new(bytes: &'a mut [u8]) -> Self {
        let header = bytes.len().min(HEADER);
        bytes.get_mut(..header).unwrap_or_default().fill(0);
        let room = if is_within_reach(bytes.len()) { bytes.len() } else { MAX_LENGTH };
        Self { bytes, room, front: 0, waiting: 0 }
    }

    /// No buffer: for finding out how many bytes a value has.
    pub(super) fn measuring() -> Self {
        Self { bytes: &mut [], room: MAX_LENGTH, front: 0, waiting: 0 }
    }

    /// The same buffer, borrowed for a nested list.
    pub(super) fn nested(&mut self) -> Area<'_> {
        Area { bytes: self.bytes, room: self.room, front: self.front, waiting: self.waiting }
    }

    /// Which buffer it is.
    pub(super) const fn buffer(&self) -> (*const u8, usize) {
        (self.bytes.as_ptr(), self.bytes.len())
    }

    /// How full it is.
    pub(super) const fn filled(&self) -> (usize, usize) {
        (self.front, self.waiting)
    }

    /// Sets how full it is: as it was before, or as a nested list left it.
    pub(super) const fn set_filled(&mut self, (front, waiting): (usize, usize)) {
        (self.front, self.waiting) = (front, waiting);
    }

    /// Bytes of all parts.
    pub(super) const fn length(&self) -> usize {
        self.front
    }

    /// Checks that parts up to `front` leave room for `waiting` bytes.
    #[inline]
    fn check(&self, front: Option<usize>, waiting: Option<usize>) -> Result<(usize, usize), BuildError> {
        let (Some(front), Some(waiting)) = (front, waiting) else { return Err(BuildError::TooLarge) };
        match front.checked_add(waiting) {
            Some(needed) if needed <= self.room => Ok((front, waiting)),
            Some(needed) if is_within_reach(needed) => Err(BuildError::TooSmall { needed, room: self.room }),
            _ => Err(BuildError::TooLarge),
        }
    }

    /// Writes the zeros between the parts and the next one, which begins at `start`.
    #[inline]
    fn pad(&mut self, start: usize) {
        if start > self.front {
            self.bytes.get_mut(self.front..start).unwrap_or_default().fill(0);
        }
    }

    /// Takes `size` bytes for a part that begins at a multiple of `align`, and returns where it begins.
    #[inline]
    pub(super) fn claim(&mut self, align: usize, size: usize) -> Result<usize, BuildError> {
        let start = self.front.checked_next_multiple_of(align);
        let end = start.and_then(|start| start.checked_add(size));
        let (end, _) = self.check(end, Some(self.waiting))?;
        let start = end - size;
        self.pad(start);
        self.front = end;
        Ok(start)
    }

    /// The bytes of a part, or none while measuring.
    #[inline]
    pub(super) fn part(&mut self, start: usize, size: usize) -> &mut [u8] {
        self.bytes.get_mut(start..start + size).unwrap_or_default()
    }

    /// Copies the bytes of a text or a byte string.
    pub(super) fn copy(&mut self, bytes: &[u8]) -> Result<Reference, BuildError> {
        if bytes.is_empty() {
            return Ok(Reference::EMPTY);
        }
        let start = self.claim(1, bytes.len())?;
        if let Some(to) = self.bytes.get_mut(start..self.front) {
            to.copy_from_slice(bytes);
        }
        Ok(Reference::new(start, bytes.len()))
    }

    /// Keeps a slot that waits for its place. There is room to [settle](Self::settle) it.
    #[inline]
    pub(super) fn wait<T: Flat>(&mut self, slot: T::Slot) -> Result<(), BuildError> {
        let start = self.front.checked_next_multiple_of(T::LAYOUT.align);
        let (_, waiting) = self.check(start, self.waiting.checked_add(T::LAYOUT.size))?;
        self.waiting = waiting;
        let at = self.room - waiting;
        if let Some(to) = self.bytes.get_mut(at..at + T::LAYOUT.size) {
            T::put(slot, to);
        }
        Ok(())
    }

    /// Moves the last `count` slots that wait to their place, in the order in which they came, and returns where it begins.
    pub(super) fn settle<T: Flat>(&mut self, count: usize) -> usize {
        let size = count * T::LAYOUT.size;
        let from = self.room - self.waiting;
        let start = self.front.next_multiple_of(T::LAYOUT.align);
        if let Some(slots) = self.bytes.get_mut(from..from + size) {
            reverse(slots, T::LAYOUT.size);
            // `wait` left room for the alignment, so `start` is not behind `from`.
            self.bytes.copy_within(from..from + size, start);
        }
        self.pad(start);
        self.front = start + size;
        self.waiting -= size;
        start
    }

    /// Ends a value: writes its slot and, last, the header. The parts and the slot have been claimed.
    pub(super) fn finish<T: Flat>(self, slot: T::Slot) -> &'a [u8] {
        let Self { bytes, front, .. } = self;
        if let Some(to) = bytes.get_mut(HEADER..HEADER + T::LAYOUT.size) {
            T::put(slot, to);
        }
        if let Some((header, _)) = bytes.split_first_chunk_mut::<HEADER>() {
            let length = Reference::new(0, front).count;
            header[8..].copy_from_slice(&T::LAYOUT.digest.to_le_bytes());
            header[4..8].copy_from_slice(&length.to_le_bytes());
            header[..4].copy_from_slice(&MAGIC);
        }
        bytes.get(..front).unwrap_or_default()
    }
}

/// Whether a value may have this length, which on a machine of 32 bits is always so.
fn is_within_reach(length: usize) -> bool {
    u32::try_from(length).is_ok()
}

/// Reverses the order of slots of this size.
fn reverse(slots: &mut [u8], size: usize) {
    let half = slots.len() / size / 2;
    let (left, right) = slots.split_at_mut(half * size);
    for (one, other) in left.chunks_exact_mut(size).zip(right.rchunks_exact_mut(size)) {
        one.swap_with_slice(other);
    }
}
