//! Checking what guests write nearly always, in one pass without a decoder.
//!
//! Everything here answers "certainly valid" or nothing. Where it answers nothing, [`wire`](crate::wire) decides, and
//! says what is wrong; so this is about time alone, and must never accept what `wire` refuses. Qualified names and
//! everything unusual, integers of nine bytes included, are left to `wire`.

use crate::cbor::major::{ARRAY, MAP, TEXT};
use crate::cbor::{BREAK, Head};

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
        // Nine bytes may hold more than an `i64`.
        0 | 1 if initial & 0x1F < 27 => Some(Head::read(bytes, at)?.behind),
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
}
