//! Finding a member or an element. It is most of what reading a field costs, so the items that documents are made of are
//! stepped over by a table and by the length of a byte string; only what a writer of this crate does not write is left to
//! [`scan`].

use super::path::Step;
use crate::cbor::major::{self, ARRAY, MAP, TEXT};
use crate::cbor::scan::{self, Unreadable};
use crate::cbor::{EMBEDDED_TAG, Head};

/// First byte of an object or a list.
const TAG: u8 = 0xD8;

/// First byte of a byte string, less its length.
const BYTES: u8 = 0x40;

/// Bytes of an item by its first byte: of numbers, of truth values, of null and of texts shorter than 24 bytes. 0 for all
/// others.
static WIDTHS: [u8; 256] = {
    let mut widths = [0; 256];
    let mut info = 0;
    while info < 24 {
        // Unsigned and negative integers, and texts.
        widths[info] = 1;
        widths[0x20 + info] = 1;
        widths[0x60 + info] = 1 + info as u8;
        info += 1;
    }
    while info < 28 {
        let width = 1 + (1 << (info - 24));
        widths[info] = width;
        widths[0x20 + info] = width;
        info += 1;
    }
    // False, true, null, and floats of 64 bits.
    (widths[0xF4], widths[0xF5], widths[0xF6], widths[0xFB]) = (1, 1, 1, 9);
    widths
};

/// Position behind the item at `at`, which may lie behind the bytes if they end within the item.
#[inline(always)]
fn behind(bytes: &[u8], at: usize) -> Result<usize, Unreadable> {
    let initial = *bytes.get(at).ok_or(Unreadable)?;
    match WIDTHS[usize::from(initial)] {
        0 => behind_long(bytes, at),
        width => Ok(at + usize::from(width)),
    }
}

/// The same of an object, of a list, and of what is rare.
#[inline]
fn behind_long(bytes: &[u8], at: usize) -> Result<usize, Unreadable> {
    let rest = bytes.get(at..).unwrap_or_default();
    let (length, start) = match *rest {
        [TAG, tag, initial, ..] if tag as usize == EMBEDDED_TAG && initial & 0xF8 == BYTES => {
            (usize::from(initial & 7), 3)
        }
        [TAG, tag, 0x58, length, ..] if tag as usize == EMBEDDED_TAG => (usize::from(length), 4),
        [TAG, tag, 0x59, high, low, ..] if tag as usize == EMBEDDED_TAG => {
            (usize::from(u16::from_be_bytes([high, low])), 5)
        }
        [0x78, length, ..] => (usize::from(length), 2),
        _ => return scan::end_of(bytes, at),
    };
    Ok(at + start + length)
}

/// A position of nothing: the step leads nowhere.
pub(super) const NOWHERE: usize = usize::MAX;

/// A position of nothing: the bytes are not what they should be.
pub(super) const UNREADABLE: usize = usize::MAX - 1;

/// Position of the item to which a step leads from an object or a list, or one of the two above: a guest returns a number in
/// a register, and any other result through memory.
///
/// A call for each step costs less than the code would weigh in a guest that reads many fields.
#[inline(never)]
pub(super) fn walk(container: &[u8], step: &Step<'_>) -> usize {
    let found = match container.first().map(|initial| initial >> 5) {
        Some(MAP) => match *step {
            Step::Name(wanted) => {
                let wanted = wanted.as_bytes();
                member(container, hash(wanted), |name| scan::equal(name, wanted))
            }
            Step::Quoted(wanted) => member(container, quoted_hash(wanted), |name| step.is_name(name)),
            Step::Index(_) => Ok(None),
        },
        Some(ARRAY) => match step.index() {
            Some(index) => element(container, index),
            None => Ok(None),
        },
        _ => Ok(None),
    };
    match found {
        // It is the end of the container, or lies in it.
        Ok(Some(rest)) => container.len() - rest.len(),
        Ok(None) => NOWHERE,
        Err(Unreadable) => UNREADABLE,
    }
}

/// The bytes from the value of a member on. `hash` is that of the name wanted.
#[inline(always)]
fn member(map: &[u8], hash: u8, is_wanted: impl Fn(&[u8]) -> bool) -> Result<Option<&[u8]>, Unreadable> {
    let Members { count, index, bytes } = Members::of(map)?;
    if let Some(index) = index {
        let (hashes, offsets) = index.split_at_checked(count).ok_or(Unreadable)?;
        for (found, offset) in hashes.iter().zip(offsets.chunks_exact(4)) {
            if *found == hash
                && let Some(offset) = offset.first_chunk()
            {
                let member = bytes.get(u32::from_le_bytes(*offset) as usize..).ok_or(Unreadable)?;
                let (name, value) = name_and_rest(member)?;
                if is_wanted(name) {
                    return if value.is_empty() { Err(Unreadable) } else { Ok(Some(value)) };
                }
            }
        }
        return Ok(None);
    }
    let mut rest = bytes;
    for _ in 0..count {
        let (name, value) = name_and_rest(rest)?;
        if is_wanted(name) {
            return if value.is_empty() { Err(Unreadable) } else { Ok(Some(value)) };
        }
        rest = value.get(behind(value, 0)?..).ok_or(Unreadable)?;
    }
    Ok(None)
}

/// The name of a member, and the bytes from its value on.
type Member<'b> = (&'b [u8], &'b [u8]);

/// The parts of a map.
#[derive(Debug, Clone, Copy)]
pub(super) struct Members<'b> {
    /// Members but for the index.
    pub(super) count: usize,
    /// The index, where the map begins with one.
    pub(super) index: Option<&'b [u8]>,
    /// The bytes from the first member on.
    pub(super) bytes: &'b [u8],
}

impl<'b> Members<'b> {
    /// The parts of the map that these bytes begin with.
    #[inline(always)]
    pub(super) fn of(map: &'b [u8]) -> Result<Self, Unreadable> {
        let Head { major: MAP, argument, behind: start } = Head::read(map, 0).ok_or(Unreadable)? else {
            return Err(Unreadable);
        };
        if argument == 0 || map.get(start) != Some(&INDEX) {
            return Ok(Self { count: argument, index: None, bytes: map.get(start..).ok_or(Unreadable)? });
        }
        let rest = map.get(start + 1..).ok_or(Unreadable)?;
        let (index, bytes) = match *rest {
            // Most indices, without a call.
            [0x58, length, ref rest @ ..] => rest.split_at_checked(length.into()),
            _ => Head::read(rest, 0)
                .filter(|head| head.major == major::BYTES)
                .and_then(|head| rest.get(head.behind..)?.split_at_checked(head.argument)),
        }
        .ok_or(Unreadable)?;
        Ok(Self { count: argument - 1, index: Some(index), bytes })
    }

    /// The name and the bytes from the value on of the first member, which is taken away. `None` if there are no more.
    pub(super) fn next(&mut self) -> Result<Option<Member<'b>>, Unreadable> {
        let Some(left) = self.count.checked_sub(1) else { return Ok(None) };
        let (name, value) = name_and_rest(self.bytes)?;
        self.bytes = value.get(behind(value, 0)?..).ok_or(Unreadable)?;
        self.count = left;
        Ok(Some((name, value)))
    }
}

/// Key of a map's index.
pub(super) const INDEX: u8 = 0;

/// The most members of an object without an index.
#[cfg(feature = "alloc")]
pub(super) const FEW: usize = 4;

/// A number by which most names of an object differ.
#[inline]
pub(super) fn hash(name: &[u8]) -> u8 {
    match (name.first(), name.get(name.len() / 2), name.last()) {
        (Some(first), Some(middle), Some(last)) => hash_of(name.len(), *first, *middle, *last),
        _ => 0,
    }
}

/// The hash of a name of so many bytes, by three of them.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the lower bits differ most")]
fn hash_of(length: usize, first: u8, middle: u8, last: u8) -> u8 {
    (first.wrapping_mul(31) ^ last.wrapping_mul(17) ^ middle.wrapping_mul(7)).wrapping_add(length as u8)
}

/// The hash of a name that stands in quotes.
fn quoted_hash(quoted: &str) -> u8 {
    let unquoted = super::path::unquoted(quoted.as_bytes());
    let length = unquoted.clone().count();
    let at = |index| unquoted.clone().nth(index).unwrap_or_default();
    match length {
        0 => hash(&[]),
        _ => hash_of(length, at(0), at(length / 2), at(length - 1)),
    }
}

/// The index of these members: the hashes of their names, and where they begin.
#[cfg(feature = "alloc")]
pub(super) fn index(bytes: &[u8], count: usize) -> Result<alloc::vec::Vec<u8>, Unreadable> {
    let mut members = Members { count, index: None, bytes };
    let (mut hashes, mut offsets) = (alloc::vec::Vec::with_capacity(count * 5), alloc::vec::Vec::new());
    loop {
        let start = bytes.len() - members.bytes.len();
        let Some((name, _)) = members.next()? else { break };
        hashes.push(hash(name));
        offsets.extend(u32::try_from(start).map_err(|_| Unreadable)?.to_le_bytes());
    }
    hashes.append(&mut offsets);
    Ok(hashes)
}

/// The name that a member begins with, and the bytes behind it.
#[inline(always)]
fn name_and_rest(member: &[u8]) -> Result<Member<'_>, Unreadable> {
    let found = match member.split_first() {
        Some((initial @ 0x60..0x78, rest)) => rest.split_at_checked(usize::from(initial & 0x1F)),
        _ => Head::read(member, 0)
            .filter(|head| head.major == TEXT)
            .and_then(|head| member.get(head.behind..)?.split_at_checked(head.argument)),
    };
    found.ok_or(Unreadable)
}

/// The bytes from an element on.
fn element(array: &[u8], index: usize) -> Result<Option<&[u8]>, Unreadable> {
    let Head { argument: elements, behind: mut at, .. } = Head::read(array, 0).ok_or(Unreadable)?;
    if index >= elements {
        return Ok(None);
    }
    for _ in 0..index {
        at = behind(array, at)?;
    }
    match array.get(at..) {
        Some(rest) if !rest.is_empty() => Ok(Some(rest)),
        _ => Err(Unreadable),
    }
}

#[cfg(all(test, feature = "alloc"))]
mod tests {
    extern crate std;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_item_ends_where_scanning_ends(bytes in prop::collection::vec(any::<u8>(), 1..40)) {
            match (behind(&bytes, 0), scan::end_of(&bytes, 0)) {
                (Ok(found), Ok(expected)) => prop_assert_eq!(found, expected),
                // Nobody reads behind the bytes.
                (Ok(found), Err(Unreadable)) => prop_assert!(found > bytes.len()),
                (Err(Unreadable), expected) => prop_assert!(expected.is_err()),
            }
        }
    }

    #[test]
    fn an_item_of_every_length_is_stepped_over() {
        for length in (0..600).chain([65_535, 65_536]) {
            let text = "x".repeat(length);
            let document = crate::document::DocumentBuf::new(|fields| {
                fields.put("text").str(&text);
                fields.put("list").list(|list| (0..length.min(600)).for_each(|_| list.push().u64(length as u64)));
                fields.put("object").object(|object| object.put("text").str(&text));
                fields.put("last").i64(-1);
            });
            assert_eq!(document.as_document().get_i64("last"), Ok(Some(-1)), "{length}");
        }
    }
}
