//! Stepping over values without decoding them: how fields and elements are found.
//!
//! The careful reading of `guest_abi` costs several times as much and looks at every byte; what is wrong with bytes
//! that this cannot read, it can still say afterwards. Lengths are the host's and are checked against what there is;
//! depth needs no limit, because nothing here recurses.

use guest_abi::wire;

/// The bytes are not what was asked for, or not well-formed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unreadable;

const BYTES: u8 = 2;
const TEXT: u8 = 3;
const ARRAY: u8 = 4;
const OBJECT: u8 = 5;
const TAG: u8 = 6;
/// The rest of the first byte of an item whose length is not said before.
const INDEFINITE: u8 = 31;
const BREAK: u8 = 0xFF;

/// Where the elements of an array, or the names and values of an object, begin, and how many there are left.
#[derive(Debug, Clone)]
pub(crate) struct Members<'b> {
    bytes: &'b [u8],
    /// Where the next one begins, or the last one if it was not stepped over yet.
    at: usize,
    /// The last one was not stepped over yet.
    pending: bool,
    left: Left,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    Known(u64),
    UntilBreak,
}

impl<'b> Members<'b> {
    /// Those of an array.
    #[inline]
    pub(crate) fn of_array(array: &'b [u8]) -> Result<Self, Unreadable> {
        Self::begin(array, ARRAY)
    }

    /// Those of an object; only to be advanced by [`Members::next_field`].
    #[inline]
    pub(crate) fn of_object(object: &'b [u8]) -> Result<Self, Unreadable> {
        Self::begin(object, OBJECT)
    }

    #[inline]
    fn begin(bytes: &'b [u8], expected: u8) -> Result<Self, Unreadable> {
        let (at, left) = match (bytes.first(), head(bytes, 0)) {
            (_, Some(Head { major, argument, behind })) if major == expected => {
                (behind, Left::Known(u64::from(argument)))
            }
            (Some(initial), _) if *initial == expected << 5 | INDEFINITE => (1, Left::UntilBreak),
            _ => return Err(Unreadable),
        };
        Ok(Self { bytes, at, pending: false, left })
    }

    /// How many there are left, where that was said.
    #[inline]
    pub(crate) fn left(&self) -> Option<u64> {
        match self.left {
            Left::Known(left) => Some(left),
            Left::UntilBreak => None,
        }
    }

    /// No more after an error.
    fn end(&mut self) {
        self.left = Left::Known(0);
        self.pending = false;
    }

    /// Stands before the next one, if there is one.
    #[inline]
    fn advance(&mut self) -> Result<bool, Unreadable> {
        if self.pending {
            self.pending = false;
            self.at = skip(self.bytes, self.at)?;
        }
        match &mut self.left {
            Left::Known(0) => Ok(false),
            Left::Known(left) => {
                *left -= 1;
                Ok(true)
            }
            Left::UntilBreak if self.bytes.get(self.at) == Some(&BREAK) => {
                self.left = Left::Known(0);
                Ok(false)
            }
            Left::UntilBreak => Ok(true),
        }
    }

    #[inline]
    fn member(&mut self) -> Result<&'b [u8], Unreadable> {
        self.pending = true;
        match self.bytes.get(self.at..) {
            Some(rest) if !rest.is_empty() => Ok(rest),
            _ => Err(Unreadable),
        }
    }

    /// The bytes from the next element on. After an error there are no more.
    #[inline]
    pub(crate) fn next_element(&mut self) -> Option<Result<&'b [u8], Unreadable>> {
        let element = match self.advance() {
            Ok(true) => self.member(),
            Ok(false) => return None,
            Err(error) => Err(error),
        };
        if element.is_err() {
            self.end();
        }
        Some(element)
    }

    /// The name of the next field and the bytes from its value on. After an error there are no more.
    #[inline]
    #[expect(clippy::type_complexity, reason = "it is used once")]
    pub(crate) fn next_field(&mut self) -> Option<Result<(&'b [u8], &'b [u8]), Unreadable>> {
        let field = match self.advance() {
            Ok(true) => self.name().and_then(|name| Ok((name, self.member()?))),
            Ok(false) => return None,
            Err(error) => Err(error),
        };
        if field.is_err() {
            self.end();
        }
        Some(field)
    }

    #[inline]
    fn name(&mut self) -> Result<&'b [u8], Unreadable> {
        let Some(Head { major: TEXT, argument: length, behind: start }) = head(self.bytes, self.at) else {
            return Err(Unreadable);
        };
        let end = end(self.bytes, start, length)?;
        self.at = end;
        Ok(&self.bytes[start..end])
    }
}

/// The bytes from the value of field `name` on, or nothing if the object has no such field.
#[inline]
pub(crate) fn field<'b>(object: &'b [u8], name: &str) -> Result<Option<&'b [u8]>, Unreadable> {
    let mut members = Members::of_object(object)?;
    while let Some(field) = members.next_field() {
        let (found, value) = field?;
        if equal(found, name.as_bytes()) {
            return Ok(Some(value));
        }
    }
    Ok(None)
}

/// The integer that `bytes` begin with; nothing if they begin with something else or it does not fit.
#[inline]
pub(crate) fn integer(bytes: &[u8]) -> Option<i64> {
    let initial = *bytes.first()?;
    match head(bytes, 0) {
        Some(Head { major: 0, argument, .. }) => Some(i64::from(argument)),
        Some(Head { major: 1, argument, .. }) => Some(-1 - i64::from(argument)),
        None if initial | 0x20 == 0x3B => long_integer(bytes),
        _ => None,
    }
}

/// The same of one with nine bytes.
#[inline(never)]
fn long_integer(bytes: &[u8]) -> Option<i64> {
    let (initial, rest) = bytes.split_first()?;
    let magnitude = i64::try_from(u64::from_be_bytes(*rest.first_chunk()?)).ok()?;
    Some(if initial >> 5 == 0 { magnitude } else { -1 - magnitude })
}

/// Without a call for names, which are short.
#[inline]
fn equal(one: &[u8], other: &[u8]) -> bool {
    fn ends<const N: usize>(one: &[u8], other: &[u8]) -> bool {
        one.first_chunk::<N>() == other.first_chunk() && one.last_chunk::<N>() == other.last_chunk()
    }
    one.len() == other.len()
        && match one.len() {
            0 => true,
            1 => one.first() == other.first(),
            2..4 => ends::<2>(one, other),
            4..8 => ends::<4>(one, other),
            8..=16 => ends::<8>(one, other),
            _ => one == other,
        }
}

/// Position behind the item that begins at `at`.
pub(crate) fn skip(bytes: &[u8], at: usize) -> Result<usize, Unreadable> {
    let mut next = at;
    // Items to be stepped over before this one has ended.
    let mut items: u64 = 1;
    while items > 0 {
        items -= 1;
        let initial = *bytes.get(next).ok_or(Unreadable)?;
        let (major, info) = (initial >> 5, initial & 0x1F);
        match major {
            // The end of something of indefinite length has no place here, nor has anything else above 27.
            0 | 1 | 7 if info < 24 => next += 1,
            0 | 1 | 7 if info < 28 => next += 1 + (1 << (info & 3)),
            BYTES | TEXT if info < 24 => next += 1 + usize::from(info),
            _ => match head(bytes, next) {
                Some(Head { major: BYTES | TEXT, argument, behind }) => next = end(bytes, behind, argument)?,
                Some(Head { major: ARRAY, argument, behind }) => {
                    items = items.saturating_add(argument.into());
                    next = behind;
                }
                Some(Head { major: OBJECT, argument, behind }) => {
                    items = items.saturating_add(2 * u64::from(argument));
                    next = behind;
                }
                Some(Head { major: TAG, behind, .. }) => {
                    items += 1;
                    next = behind;
                }
                // Of indefinite length, which hosts do not write, or not well-formed.
                _ => return wire::skip(bytes, at).map_err(|_| Unreadable),
            },
        }
    }
    if next <= bytes.len() { Ok(next) } else { Err(Unreadable) }
}

/// Where `length` bytes from `start` on end, if there are so many.
#[inline]
fn end(bytes: &[u8], start: usize, length: u32) -> Result<usize, Unreadable> {
    let length = length as usize;
    if length <= bytes.len() - start { Ok(start + length) } else { Err(Unreadable) }
}

/// Major type and argument of an item, and where its head ends.
struct Head {
    major: u8,
    argument: u32,
    behind: usize,
}

/// Nothing for a head of nine bytes, one of an item of indefinite length, or none.
#[inline(always)]
fn head(bytes: &[u8], at: usize) -> Option<Head> {
    let initial = *bytes.get(at)?;
    let (major, info) = (initial >> 5, initial & 0x1F);
    if info < 24 {
        return Some(Head { major, argument: u32::from(info), behind: at + 1 });
    }
    let (argument, width) = unpacked(long_argument(bytes, at, info))?;
    Some(Head { major, argument, behind: at + 1 + width })
}

/// An argument behind the first byte and its width, as one number, which is returned in a register.
#[inline(never)]
fn long_argument(bytes: &[u8], at: usize, info: u8) -> u64 {
    let argument = || {
        let rest = bytes.get(at + 1..)?;
        Some(match info {
            24 => (u32::from(*rest.first()?), 1),
            25 => (u16::from_be_bytes(*rest.first_chunk()?).into(), 2),
            26 => (u32::from_be_bytes(*rest.first_chunk()?), 4),
            _ => return None,
        })
    };
    argument().map_or(0, |(argument, width)| u64::from(argument) << 8 | width)
}

#[inline(always)]
fn unpacked(packed: u64) -> Option<(u32, usize)> {
    let [width, ..] = packed.to_le_bytes();
    #[expect(clippy::cast_possible_truncation, reason = "it was packed from a `u32`")]
    (width != 0).then_some(((packed >> 8) as u32, usize::from(width)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use guest_abi::value::{ObjectWriter, ValueRef};
    use guest_abi::wire::validate;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_quick_way_finds_what_the_careful_one_finds(
            bytes in proptest::collection::vec(any::<u8>(), 0..60),
            name in "[a-c]{0,2}",
        ) {
            if validate(&mut minicbor::Decoder::new(&bytes)).is_ok() {
                let careful = ValueRef::new(&bytes).field(&name);
                match field(&bytes, &name) {
                    Ok(found) => prop_assert_eq!(found, careful.unwrap().map(ValueRef::bytes)),
                    Err(Unreadable) => prop_assert!(careful.is_err()),
                }
                prop_assert_eq!(skip(&bytes, 0).ok(), wire::skip(&bytes, 0).ok());
            } else {
                let _ = (field(&bytes, &name), skip(&bytes, 0), integer(&bytes));
            }
        }

        #[test]
        fn the_quick_way_reads_the_integers_of_the_careful_one(value: i64, shift in 0..64_u32, rest: u8) {
            let mut bytes = Vec::new();
            minicbor::Encoder::new(&mut bytes).i64(value >> shift).unwrap();
            bytes.push(rest);
            prop_assert_eq!(integer(&bytes), Some(value >> shift));
            prop_assert_eq!(integer(&bytes[..bytes.len() - 1]), Some(value >> shift));
            prop_assert_eq!(integer(&bytes[..bytes.len() - 2]), None);
        }

        #[test]
        fn every_field_of_an_object_is_found(
            fields in proptest::collection::vec(("[a-c]{0,30}", 0..6_u8, any::<i64>(), "[a-z]{0,300}"), 0..40),
            definite: bool,
        ) {
            let mut bytes = Vec::new();
            let mut object = ObjectWriter::begin(&mut bytes);
            for (name, kind, number, text) in &fields {
                match kind {
                    0 => {
                        object.put_i64(name, *number);
                    }
                    1 => {
                        object.put_f64(name, 0.5);
                    }
                    2 => {
                        object.put_string(name, text);
                    }
                    3 => {
                        object.put_bool(name, true);
                    }
                    4 => object.put_object(name, |inner| {
                        inner.put_string(name, text);
                    }),
                    _ => object.put_array(name, |inner| {
                        inner.push_i64(*number).push_string(text);
                    }),
                }
            }
            object.end();
            if definite {
                // The same with its length said before.
                let mut head = Vec::new();
                minicbor::Encoder::new(&mut head).map(fields.len() as u64).unwrap();
                bytes.pop();
                bytes.splice(..1, head);
            }
            for (name, ..) in &fields {
                let careful = ValueRef::new(&bytes).field(name).unwrap().unwrap();
                prop_assert_eq!(field(&bytes, name).unwrap().unwrap(), careful.bytes());
            }
            prop_assert_eq!(field(&bytes, "absent"), Ok(None));
            prop_assert_eq!(skip(&bytes, 0), Ok(bytes.len()));
            for cut in 1..bytes.len() {
                prop_assert_eq!(skip(&bytes[..cut], 0), Err(Unreadable));
            }
        }

        #[test]
        fn names_are_compared_whole(one in "[ab]{0,20}", other in "[ab]{0,20}") {
            prop_assert_eq!(equal(one.as_bytes(), other.as_bytes()), one == other);
            prop_assert!(equal(one.as_bytes(), one.as_bytes()));
        }
    }

    #[test]
    fn lengths_that_overflow_are_unreadable_and_nesting_has_no_limit() {
        assert_eq!(skip(b"\x5B\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF", 0), Err(Unreadable));
        assert_eq!(skip(b"\xBB\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x61a\x01", 0), Err(Unreadable));
        assert_eq!(skip(&[&[0x81; 100_000][..], b"\x01"].concat(), 0), Ok(100_001));
    }
}
