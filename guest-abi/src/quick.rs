//! Checking what guests write nearly always, in one pass without a decoder.
//!
//! Everything here answers "certainly valid" or nothing. Where it answers nothing, [`wire`](crate::wire) decides, and
//! says what is wrong; so this is about time alone, and must never accept what `wire` refuses. Heads of nine bytes,
//! qualified names and everything unusual are left to `wire`.

const TEXT: u8 = 3;
const ARRAY: u8 = 4;
const MAP: u8 = 5;
/// Ends an array or map whose length is not said before.
const BREAK: u8 = 0xFF;

/// The first bytes of an item: major type, argument, and where they end.
#[derive(Clone, Copy)]
struct Head {
    major: u8,
    #[cfg_attr(not(feature = "alloc"), expect(dead_code, reason = "only the state asks for canonical forms"))]
    info: u8,
    argument: usize,
    behind: usize,
}

impl Head {
    #[inline]
    fn read(bytes: &[u8], at: usize) -> Option<Self> {
        let initial = *bytes.get(at)?;
        let (major, info) = (initial >> 5, initial & 0x1F);
        let (argument, behind) = match info {
            0..24 => (usize::from(info), at + 1),
            24 => (usize::from(*bytes.get(at + 1)?), at + 2),
            25 => (usize::from(u16::from_be_bytes(*bytes.get(at + 1..)?.first_chunk()?)), at + 3),
            26 => (u32::from_be_bytes(*bytes.get(at + 1..)?.first_chunk()?) as usize, at + 5),
            _ => return None,
        };
        Some(Self { major, info, argument, behind })
    }

    /// Whether the argument could not have been written in fewer bytes.
    #[cfg(feature = "alloc")]
    fn is_shortest(self) -> bool {
        match self.info {
            24 => self.argument >= 24,
            25 => self.argument > 0xFF,
            26 => self.argument > 0xFFFF,
            _ => true,
        }
    }
}

/// The text of definite length at `at`, and the position behind it.
#[inline]
pub(crate) fn text(bytes: &[u8], at: usize) -> Option<(&str, usize)> {
    let head = Head::read(bytes, at)?;
    if head.major != TEXT {
        return None;
    }
    let text = bytes.get(head.behind..)?.get(..head.argument)?;
    Some((core::str::from_utf8(text).ok()?, head.behind + head.argument))
}

/// Position behind the map from texts to values at `at`. A `depth` of 1 allows no map or array inside.
#[inline]
pub(crate) fn map(bytes: &[u8], at: usize, depth: u32) -> Option<usize> {
    if bytes.get(at)? >> 5 != MAP {
        return None;
    }
    value(bytes, at, depth)
}

/// Position behind the value at `at`, with maps and arrays nested at most `depth` deep.
pub(crate) fn value(bytes: &[u8], at: usize, depth: u32) -> Option<usize> {
    let initial = *bytes.get(at)?;
    match initial >> 5 {
        0 | 1 => Some(Head::read(bytes, at)?.behind),
        2 => {
            let head = Head::read(bytes, at)?;
            bytes.get(head.behind..)?.get(..head.argument)?;
            Some(head.behind + head.argument)
        }
        TEXT => text(bytes, at).map(|(_, behind)| behind),
        major @ (ARRAY | MAP) => {
            let depth = depth.checked_sub(1)?;
            let member = |at| match major {
                MAP => value(bytes, text(bytes, at)?.1, depth),
                _ => value(bytes, at, depth),
            };
            if initial & 0x1F == 31 {
                let mut next = at + 1;
                while *bytes.get(next)? != BREAK {
                    next = member(next)?;
                }
                return Some(next + 1);
            }
            let head = Head::read(bytes, at)?;
            (0..head.argument).try_fold(head.behind, |next, _| member(next))
        }
        7 => match initial {
            0xF4 | 0xF5 => Some(at + 1),
            0xFA => bytes.get(at + 1..)?.get(..4).map(|_| at + 5),
            0xFB => bytes.get(at + 1..)?.get(..8).map(|_| at + 9),
            _ => None,
        },
        _ => None,
    }
}

/// The fields of the key map that `bytes` begin with, and how many there are, if they stand there in canonical form:
/// sorted by name, none twice, each head in its shortest form, and nothing but integers, texts, bytes and truth values.
///
/// The map has been checked before.
#[cfg(feature = "alloc")]
pub(crate) fn canonical_fields(bytes: &[u8]) -> Option<(&[u8], u64)> {
    let initial = *bytes.first()?;
    let (start, mut left) = match initial {
        0xBF => (1, usize::MAX),
        _ => {
            let head = Head::read(bytes, 0)?;
            (head.behind, head.argument)
        }
    };
    let (mut at, mut last, mut count) = (start, None, 0);
    while left > 0 && *bytes.get(at)? != BREAK {
        let head = Head::read(bytes, at)?;
        let end = head.behind + head.argument;
        let name = bytes.get(head.behind..end)?;
        if head.major != TEXT || !head.is_shortest() || last.is_some_and(|last| last >= name) {
            return None;
        }
        at = match *bytes.get(end)? {
            0xF4 | 0xF5 => end + 1,
            _ => {
                let head = Head::read(bytes, end)?;
                if !head.is_shortest() {
                    return None;
                }
                match head.major {
                    0 | 1 => head.behind,
                    2 | TEXT => head.behind + head.argument,
                    _ => return None,
                }
            }
        };
        last = Some(name);
        count += 1;
        left -= 1;
    }
    Some((bytes.get(start..at)?, count))
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec::Vec;

    use minicbor::decode::Decoder;
    use proptest::prelude::*;

    use super::*;
    use crate::wire::{self, MAX_DEPTH};

    /// What the careful check says.
    fn careful(bytes: &[u8]) -> Option<usize> {
        let mut decoder = Decoder::new(bytes);
        wire::validate_value(&mut decoder, MAX_DEPTH).ok().map(|()| decoder.position())
    }

    /// Bytes that are often CBOR: heads and short texts in any order.
    fn pieces() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            any::<u8>().prop_map(|byte| std::vec![byte]),
            "[a-zé]{0,5}".prop_map(|text| {
                let mut bytes = std::vec![0x60 | u8::try_from(text.len()).unwrap()];
                bytes.extend_from_slice(text.as_bytes());
                bytes
            }),
            prop_oneof![Just(0x80_u8), Just(0x9F), Just(0xA1), Just(0xA2), Just(0xBF), Just(0xFF), Just(0xF5)]
                .prop_map(|byte| std::vec![byte]),
            any::<(u8, u32)>().prop_map(|(major, argument)| {
                let mut bytes = std::vec![major << 5 | 26];
                bytes.extend_from_slice(&(argument % 8).to_be_bytes());
                bytes
            }),
        ];
        prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn what_is_certain_is_right(bytes in pieces()) {
            if let Some(behind) = value(&bytes, 0, MAX_DEPTH) {
                prop_assert_eq!(careful(&bytes), Some(behind));
            }
            if let Some((found, behind)) = text(&bytes, 0) {
                let mut decoder = Decoder::new(&bytes);
                prop_assert_eq!((wire::careful_text(&mut decoder), decoder.position()), (Ok(found), behind));
            }
        }
    }

    #[test]
    fn what_guests_write_is_certain() {
        let usual: [&[u8]; 8] = [
            &[0x17],
            &[0x39, 0xFF, 0xFF],
            b"\x63abc",
            b"\x43abc",
            &[0xF4],
            &[0xFB, 0, 0, 0, 0, 0, 0, 0, 0],
            b"\xBF\x61a\x9F\x01\x02\xFF\xFF",
            b"\xA1\x61a\x82\x01\xA0",
        ];
        for bytes in usual {
            assert_eq!(value(bytes, 0, MAX_DEPTH), Some(bytes.len()), "{bytes:x?}");
            for cut in 0..bytes.len() {
                assert_eq!(value(&bytes[..cut], 0, MAX_DEPTH), None, "{bytes:x?} cut at {cut}");
            }
        }
    }

    #[test]
    fn nesting_ends_at_the_limit() {
        let mut nested = [0x81_u8; 4];
        nested[3] = 0x01;
        assert_eq!(value(&nested, 0, 3), Some(4));
        assert_eq!(value(&nested, 0, 2), None);
        assert_eq!(map(b"\xA1\x61a\x80", 0, 1), None);
        assert_eq!(map(b"\xA1\x61a\x01", 0, 1), Some(4));
    }

    #[cfg(feature = "alloc")]
    #[test]
    fn only_what_is_canonical_is_taken_as_it_stands() {
        assert_eq!(canonical_fields(b"\xBF\x61a\x01\x61b\xF5\xFF"), Some((&b"\x61a\x01\x61b\xF5"[..], 2)));
        assert_eq!(canonical_fields(b"\xA1\x61a\x18\x18\x61b"), Some((&b"\x61a\x18\x18"[..], 1)));
        assert_eq!(canonical_fields(b"\xA0"), Some((&b""[..], 0)));
        assert_eq!(canonical_fields(b"\xA1\x61a\x18\x17"), None, "an integer that could be shorter");
        assert_eq!(canonical_fields(b"\xA1\x78\x01a\x01"), None, "a name whose head could be shorter");
        assert_eq!(canonical_fields(b"\xA2\x61b\x01\x61a\x01"), None, "not sorted");
        assert_eq!(canonical_fields(b"\xA2\x61a\x01\x61a\x01"), None, "twice");
        assert_eq!(canonical_fields(b"\xA1\x61a\xFB\0\0\0\0\0\0\0\0"), None, "a float may be an integer");
    }
}
