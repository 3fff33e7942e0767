//! Finding a member or an element. It is most of what reading a field costs, so the items that documents are made of are
//! stepped over by a table and by the length of a byte string; only what a writer of this crate does not write is left to
//! [`scan`].

use super::path::Step;
use crate::cbor::major::{ARRAY, MAP, TEXT};
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

/// The bytes from the item on to which a step leads from an object or a list. `None` if it leads to none.
///
/// A call for each step costs less than the code would weigh in a guest that reads many fields.
#[inline(never)]
pub(super) fn walk<'b>(container: &'b [u8], step: Step<'_>) -> Result<Option<&'b [u8]>, Unreadable> {
    match container.first().map(|initial| initial >> 5) {
        Some(MAP) => match step {
            Step::Name(wanted) => member(container, |name| scan::equal(name, wanted.as_bytes())),
            Step::Quoted(_) => member(container, |name| step.is_name(name)),
            Step::Index(_) => Ok(None),
        },
        Some(ARRAY) => match step.index() {
            Some(index) => element(container, index),
            None => Ok(None),
        },
        _ => Ok(None),
    }
}

/// The bytes from the value of a member on.
#[inline(always)]
fn member(map: &[u8], is_wanted: impl Fn(&[u8]) -> bool) -> Result<Option<&[u8]>, Unreadable> {
    let Head { argument: members, behind: start, .. } = Head::read(map, 0).ok_or(Unreadable)?;
    let mut rest = map.get(start..).ok_or(Unreadable)?;
    for _ in 0..members {
        let (name, value) = name_and_rest(rest)?;
        if is_wanted(name) {
            return if value.is_empty() { Err(Unreadable) } else { Ok(Some(value)) };
        }
        rest = value.get(behind(value, 0)?..).ok_or(Unreadable)?;
    }
    Ok(None)
}

/// The name that a member begins with, and the bytes behind it.
#[inline(always)]
fn name_and_rest(member: &[u8]) -> Result<(&[u8], &[u8]), Unreadable> {
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
