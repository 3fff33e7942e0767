//! The check of a value, and the reading of parts that were checked.
//!
//! The check walks over the value as its type says. It keeps the end of the parts so far: the next part must begin there,
//! apart from alignment. The slots of a list lie behind the parts of its items. So while it walks over them, no part may reach
//! beyond the first of these slots, which keeps everything that it visits disjoint.

use core::ops::Range;

use super::error::ReadError;
use super::layout::Layout;
use super::types::{Flat, Reference};
use super::{HEADER, MAGIC};

/// Checks the value at the start of `bytes` and returns a view of it. Bytes that follow the value are ignored.
///
/// ```
/// use guest_abi::flat::{Builder, List, ReadError, Text, read};
///
/// let mut buffer = [0; 64];
/// let bytes = Builder::new(&mut buffer).build::<List<u16>>([2023, 2024])?;
/// assert_eq!(read::<List<u16>>(bytes)?.get(1), Some(2024));
/// assert!(matches!(read::<List<i16>>(bytes), Err(ReadError::OtherType { .. })));
/// assert_eq!(read::<List<u16>>(&bytes[..27]), Err(ReadError::Truncated { needed: 28, found: 27 }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`ReadError`] if the bytes are not as the [module](super) says, or if the value is of another type.
pub fn read<T: Flat>(bytes: &[u8]) -> Result<T::View<'_>, ReadError> {
    let (value, slot) = value::<T>(bytes)?;
    Walk::new(value, slot.end).whole::<T>(slot.start)?;
    Ok(T::view(Source { bytes: value }, value.get(slot).unwrap_or_default()))
}

/// Exactly the bytes of the value that its header states, and the place of its slot.
fn value<T: Flat>(bytes: &[u8]) -> Result<(&[u8], Range<usize>), ReadError> {
    let truncated = |needed| ReadError::Truncated { needed, found: bytes.len() };
    let (header, _) = bytes.split_first_chunk::<HEADER>().ok_or_else(|| truncated(HEADER))?;
    let (magic, rest) = header.split_at(MAGIC.len());
    if magic != MAGIC {
        return Err(ReadError::NoHeader);
    }
    let (length, digest) = rest.split_at(4);
    let digest = digest.first_chunk().map_or(0, |digest| u64::from_le_bytes(*digest));
    if digest != T::LAYOUT.digest {
        return Err(ReadError::OtherType { asked: T::LAYOUT.digest, found: digest });
    }
    let length = length.first_chunk().map_or(0, |length| u32::from_le_bytes(*length)) as usize;
    let value = bytes.get(..length).ok_or_else(|| truncated(length))?;
    let slot = HEADER..HEADER + T::LAYOUT.size;
    if slot.end > length { Err(ReadError::OutOfBounds { at: HEADER }) } else { Ok((value, slot)) }
}

/// The bytes of a value that was checked.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    bytes: &'a [u8],
}

impl<'a> Source<'a> {
    /// The part of a slot with an offset and a count of items of this size.
    #[inline]
    pub(super) fn part(self, slot: &[u8], size: usize) -> &'a [u8] {
        let Reference { offset, count } = Reference::of(slot);
        let (start, length) = (offset as usize, (count as usize).saturating_mul(size));
        self.bytes.get(start..start.saturating_add(length)).unwrap_or_default()
    }
}

/// The check of a value.
#[derive(Debug)]
pub struct Walk<'a> {
    bytes: &'a [u8],
    /// The end of the parts so far.
    end: usize,
    /// Parts may reach up to here.
    limit: usize,
    /// Bytes that were looked at.
    #[cfg(test)]
    pub(super) visited: usize,
}

impl<'a> Walk<'a> {
    /// A check of the value that has these bytes, with parts from `parts` on.
    pub(super) const fn new(bytes: &'a [u8], parts: usize) -> Self {
        Self {
            bytes,
            end: parts,
            limit: bytes.len(),
            #[cfg(test)]
            visited: 0,
        }
    }

    /// Checks the whole value, whose slot is at `at`.
    pub(super) fn whole<T: Flat>(&mut self, at: usize) -> Result<(), ReadError> {
        T::check(self, at)?;
        if self.end == self.bytes.len() { Ok(()) } else { Err(ReadError::Unused { at: self.end }) }
    }

    /// The bytes of a range within the value.
    fn visit(&mut self, range: Range<usize>) -> &'a [u8] {
        let visited = self.bytes.get(range).unwrap_or_default();
        #[cfg(test)]
        {
            self.visited += visited.len();
        }
        visited
    }

    /// The truth value at `at`.
    pub(super) fn truth(&mut self, at: usize) -> Result<bool, ReadError> {
        match self.visit(at..at + 1) {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => Err(ReadError::NotBool { at }),
        }
    }

    /// Checks that bytes are zeros.
    pub(super) fn zeros(&mut self, from: usize, to: usize) -> Result<(), ReadError> {
        match self.visit(from..to).iter().position(|byte| *byte != 0) {
            Some(at) => Err(ReadError::NotZero { at: from + at }),
            None => Ok(()),
        }
    }

    /// Checks the bytes of the slot at `at` that belong to no field.
    pub(super) fn gaps(&mut self, at: usize, layout: &Layout) -> Result<(), ReadError> {
        layout.gaps.iter().try_for_each(|&(from, to)| self.zeros(at + from, at + to))
    }

    /// The part that the slot at `at` refers to, which has items of this size; `None` for an empty one. It lies within the
    /// limit, and not before the end of the parts so far.
    fn part(&mut self, at: usize, size: usize) -> Result<Option<Range<usize>>, ReadError> {
        let Reference { offset, count } = Reference::of(self.visit(at..at + 8));
        let start = offset as usize;
        if count == 0 {
            return if start == 0 { Ok(None) } else { Err(ReadError::Misplaced { at }) };
        }
        let end = (count as usize).checked_mul(size).and_then(|length| length.checked_add(start));
        match end {
            Some(end) if end <= self.limit && start >= self.end => Ok(Some(start..end)),
            Some(end) if end <= self.bytes.len() => Err(ReadError::Misplaced { at }),
            _ => Err(ReadError::OutOfBounds { at }),
        }
    }

    /// Goes to the end of the part of the slot at `at`, after checking that it is the next one.
    fn pass(&mut self, at: usize, part: Range<usize>, align: usize) -> Result<(), ReadError> {
        if self.end.next_multiple_of(align) != part.start {
            return Err(ReadError::Misplaced { at });
        }
        self.zeros(self.end, part.start)?;
        self.end = part.end;
        Ok(())
    }

    /// Checks the text whose slot is at `at`.
    pub(super) fn text(&mut self, at: usize) -> Result<(), ReadError> {
        let Some(part) = self.part(at, 1)? else { return Ok(()) };
        self.pass(at, part.clone(), 1)?;
        let start = part.start;
        match core::str::from_utf8(self.visit(part)) {
            Ok(_) => Ok(()),
            Err(error) => Err(ReadError::NotUtf8 { at: start + error.valid_up_to() }),
        }
    }

    /// Checks the list whose slot is at `at`.
    pub(super) fn list<T: Flat>(&mut self, at: usize) -> Result<(), ReadError> {
        let Some(slots) = self.part(at, T::LAYOUT.size)? else { return Ok(()) };
        if !T::LAYOUT.is_plain {
            let limit = core::mem::replace(&mut self.limit, slots.start);
            slots.clone().step_by(T::LAYOUT.size).try_for_each(|slot| T::check(self, slot))?;
            self.limit = limit;
        }
        self.pass(at, slots, T::LAYOUT.align)
    }
}
