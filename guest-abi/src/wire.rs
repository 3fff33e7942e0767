//! The wire form: which CBOR items may cross, checked item by item, and skipping over them.
//!
//! [`validate`] is for bytes from the other side: it accepts exactly the value model. [`skip`] steps over an item
//! without looking at its content and is what the reading side uses between fields.

use minicbor::data::Type;
use minicbor::decode::Decoder;

use crate::quick;

/// CBOR tag of a qualified name: an array of two texts, package and entity.
pub const QNAME_TAG: u64 = 0x514E;

/// How deep objects and arrays may be nested.
pub const MAX_DEPTH: u32 = 64;

/// Why bytes are not what the contract says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum WireError {
    /// The bytes end inside an item.
    Truncated,
    /// Not well-formed CBOR, or text that is not UTF-8.
    Malformed {
        /// Offset of the item, in bytes from the first.
        at: usize,
    },
    /// An item that the value model does not have, for instance a null or an unknown tag.
    Unsupported {
        /// Offset of the item, in bytes from the first.
        at: usize,
    },
    /// Objects or arrays nested deeper than [`MAX_DEPTH`].
    TooDeep {
        /// Offset of the item, in bytes from the first.
        at: usize,
    },
}

impl core::fmt::Display for WireError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Truncated => write!(f, "the CBOR ends in the middle of an item"),
            Self::Malformed { at } => {
                write!(f, "malformed CBOR or text that is not UTF-8 at byte {at}")
            }
            Self::Unsupported { at } => write!(f, "a CBOR item that the value model does not have at byte {at}"),
            Self::TooDeep { at } => write!(f, "values nested deeper than {MAX_DEPTH} levels at byte {at}"),
        }
    }
}

impl core::error::Error for WireError {}

/// Checks that `decoder` stands before a value of the model and moves it behind.
///
/// # Errors
/// [`WireError`] with the offset of the first item that is not of the model.
pub fn validate(decoder: &mut Decoder<'_>) -> Result<(), WireError> {
    quickly(decoder, |bytes, at| quick::value(bytes, at, MAX_DEPTH))
        .map_or_else(|| validate_value(decoder, MAX_DEPTH), Ok)
}

/// Moves behind what the quick check is certain of, if it is.
#[inline]
fn quickly(decoder: &mut Decoder<'_>, check: impl FnOnce(&[u8], usize) -> Option<usize>) -> Option<()> {
    let behind = check(decoder.input(), decoder.position())?;
    decoder.set_position(behind);
    Some(())
}

/// Checks that `decoder` stands before a map from text to values and moves it behind.
///
/// # Errors
/// [`WireError`] with the offset of the first item that is not of the model.
pub fn validate_map(decoder: &mut Decoder<'_>) -> Result<(), WireError> {
    if quickly(decoder, |bytes, at| quick::map(bytes, at, MAX_DEPTH)).is_some() {
        return Ok(());
    }
    match item_type(decoder)? {
        Type::Map | Type::MapIndef => validate_value(decoder, MAX_DEPTH),
        other => Err(beyond(other, decoder.position())),
    }
}

/// Checks that `decoder` stands before a key's map, from text to values that are neither objects nor arrays.
///
/// # Errors
/// [`WireError`] with the offset of the first item that is not of the model.
pub fn validate_key_map(decoder: &mut Decoder<'_>) -> Result<(), WireError> {
    if quickly(decoder, |bytes, at| quick::map(bytes, at, 1)).is_some() {
        return Ok(());
    }
    match item_type(decoder)? {
        // Depth 1 is the map itself; what is nested in it is no scalar.
        Type::Map | Type::MapIndef => validate_value(decoder, 1).map_err(|error| match error {
            WireError::TooDeep { at } => WireError::Unsupported { at },
            error => error,
        }),
        other => Err(beyond(other, decoder.position())),
    }
}

/// Reads a text of definite length.
///
/// # Errors
/// [`WireError`] when there is none.
pub fn text<'b>(decoder: &mut Decoder<'b>) -> Result<&'b str, WireError> {
    if let Some((text, behind)) = quick::text(decoder.input(), decoder.position()) {
        decoder.set_position(behind);
        return Ok(text);
    }
    careful_text(decoder)
}

pub(crate) fn careful_text<'b>(decoder: &mut Decoder<'b>) -> Result<&'b str, WireError> {
    let at = decoder.position();
    match item_type(decoder)? {
        Type::String => decoder.str().map_err(|error| wire_error(&error, at)),
        other => Err(beyond(other, at)),
    }
}

fn item_type(decoder: &Decoder<'_>) -> Result<Type, WireError> {
    decoder.datatype().map_err(|error| wire_error(&error, decoder.position()))
}

fn wire_error(error: &minicbor::decode::Error, at: usize) -> WireError {
    if error.is_end_of_input() { WireError::Truncated } else { WireError::Malformed { at } }
}

pub(crate) fn validate_value(decoder: &mut Decoder<'_>, depth: u32) -> Result<(), WireError> {
    let at = decoder.position();
    let wire = |error: minicbor::decode::Error| wire_error(&error, at);
    match item_type(decoder)? {
        Type::U8 | Type::U16 | Type::U32 | Type::U64 | Type::I8 | Type::I16 | Type::I32 | Type::I64 => {
            // All bytes are there, so the integer lies outside the range of the model.
            decoder.i64().map(drop).map_err(|error| match wire(error) {
                WireError::Truncated => WireError::Truncated,
                _ => WireError::Unsupported { at },
            })
        }
        // An integer below that range.
        Type::Int => match decoder.int() {
            Ok(_) => Err(WireError::Unsupported { at }),
            Err(error) => Err(wire(error)),
        },
        Type::F32 => decoder.f32().map(drop).map_err(wire),
        Type::F64 => decoder.f64().map(drop).map_err(wire),
        Type::Bool => decoder.bool().map(drop).map_err(wire),
        Type::String => decoder.str().map(drop).map_err(wire),
        Type::Bytes => decoder.bytes().map(drop).map_err(wire),
        Type::Tag => {
            if decoder.tag().map_err(wire)?.as_u64() != QNAME_TAG {
                return Err(WireError::Unsupported { at });
            }
            match (item_type(decoder)?, decoder.array()) {
                (Type::Array, Ok(Some(2))) => {}
                (Type::Array, Err(error)) => return Err(wire(error)),
                _ => return Err(WireError::Unsupported { at }),
            }
            careful_text(decoder)?;
            careful_text(decoder).map(drop)
        }
        Type::Array | Type::ArrayIndef => {
            let length = decoder.array().map_err(wire)?;
            let depth = depth.checked_sub(1).ok_or(WireError::TooDeep { at })?;
            each(decoder, length, |decoder| validate_value(decoder, depth))
        }
        Type::Map | Type::MapIndef => {
            let length = decoder.map().map_err(wire)?;
            let depth = depth.checked_sub(1).ok_or(WireError::TooDeep { at })?;
            each(decoder, length, |decoder| {
                careful_text(decoder)?;
                validate_value(decoder, depth)
            })
        }
        other => Err(beyond(other, at)),
    }
}

/// The error for an item whose type is not allowed at this place.
pub(crate) fn beyond(found: Type, at: usize) -> WireError {
    match found {
        // A break outside of an item, and first bytes without a meaning in CBOR.
        Type::Break | Type::Unknown(_) => WireError::Malformed { at },
        _ => WireError::Unsupported { at },
    }
}

fn each<'b>(
    decoder: &mut Decoder<'b>,
    length: Option<u64>,
    mut step: impl FnMut(&mut Decoder<'b>) -> Result<(), WireError>,
) -> Result<(), WireError> {
    match length {
        Some(length) => (0..length).try_for_each(|_| step(decoder)),
        None => {
            while !at_break(decoder) {
                step(decoder)?;
            }
            decoder.set_position(decoder.position() + 1);
            Ok(())
        }
    }
}

/// Whether the next byte ends an array or map of indefinite length.
pub(crate) fn at_break(decoder: &Decoder<'_>) -> bool {
    decoder.input().get(decoder.position()) == Some(&0xFF)
}

/// Position behind the item that starts at `at`, without looking into texts and bytes.
///
/// minicbor's own `skip` allocates for indefinite lengths and checks every text again; fields are skipped far too
/// often for that.
///
/// # Errors
/// [`WireError`] when the item is not well-formed.
pub fn skip(bytes: &[u8], at: usize) -> Result<usize, WireError> {
    skip_item(bytes, at, MAX_DEPTH + 2)
}

fn skip_item(bytes: &[u8], at: usize, depth: u32) -> Result<usize, WireError> {
    let initial = *bytes.get(at).ok_or(WireError::Truncated)?;
    let (major, info) = (initial >> 5, initial & 0x1F);
    let (argument, behind) = match info {
        0..24 => (u64::from(info), at + 1),
        24..28 => {
            let width = 1_usize << (info - 24);
            let digits = bytes.get(at + 1..at + 1 + width).ok_or(WireError::Truncated)?;
            (digits.iter().fold(0, |value, digit| value << 8 | u64::from(*digit)), at + 1 + width)
        }
        31 if major == 4 || major == 5 => (u64::MAX, at + 1),
        _ => return Err(WireError::Malformed { at }),
    };
    let nested = || depth.checked_sub(1).ok_or(WireError::TooDeep { at });
    match major {
        0 | 1 | 7 => Ok(behind),
        2 | 3 => match usize::try_from(argument) {
            Ok(length) if length <= bytes.len() - behind => Ok(behind + length),
            _ => Err(WireError::Truncated),
        },
        6 => skip_item(bytes, behind, nested()?),
        _ if info == 31 => {
            let depth = nested()?;
            let mut behind = behind;
            while *bytes.get(behind).ok_or(WireError::Truncated)? != 0xFF {
                behind = skip_item(bytes, behind, depth)?;
            }
            Ok(behind + 1)
        }
        _ => {
            let depth = nested()?;
            let mut behind = behind;
            let items = if major == 5 { argument.saturating_mul(2) } else { argument };
            for _ in 0..items {
                behind = skip_item(bytes, behind, depth)?;
            }
            Ok(behind)
        }
    }
}

/// Appends a text.
#[cfg(feature = "alloc")]
#[inline]
pub fn append_text(text: &str, out: &mut alloc::vec::Vec<u8>) {
    /// Head of a text of no bytes; up to 23 are said in the same byte.
    const TEXT: u8 = 0x60;
    match u8::try_from(text.len()) {
        Ok(length @ 0..24) => {
            out.push(TEXT | length);
            out.extend_from_slice(text.as_bytes());
        }
        // Writing to a vector cannot fail.
        _ => drop(minicbor::Encoder::new(out).str(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::{ValueError, ValueRef};

    fn validated(bytes: &[u8]) -> Result<usize, WireError> {
        let mut decoder = Decoder::new(bytes);
        validate(&mut decoder).map(|()| decoder.position())
    }

    #[test]
    fn every_kind_is_accepted_and_skipped_alike() {
        let samples: [&[u8]; 12] = [
            &[0x00],
            &[0x3B, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF],
            &[0xFA, 0, 0, 0, 0],
            &[0xFB, 0, 0, 0, 0, 0, 0, 0, 0],
            &[0xF5],
            b"\x63abc",
            b"\x43abc",
            b"\xD9\x51\x4E\x82\x61a\x61b",
            b"\x82\x01\x80",
            b"\xA1\x61a\xA0",
            b"\xBF\x61a\x9F\x01\x02\xFF\xFF",
            b"\x81\x9F\xFF",
        ];
        for sample in samples {
            assert_eq!(validated(sample), Ok(sample.len()), "{sample:x?}");
            assert_eq!(skip(sample, 0), Ok(sample.len()), "{sample:x?}");
            for cut in 0..sample.len() {
                assert_eq!(validated(&sample[..cut]), Err(WireError::Truncated), "{sample:x?} cut at {cut}");
                assert_eq!(skip(&sample[..cut], 0), Err(WireError::Truncated), "{sample:x?} cut at {cut}");
            }
        }
    }

    #[test]
    fn what_is_not_of_the_model_is_refused_where_it_stands() {
        assert_eq!(validated(&[0xF6]), Err(WireError::Unsupported { at: 0 }), "null");
        assert_eq!(validated(b"\x82\x01\xF7"), Err(WireError::Unsupported { at: 2 }), "undefined");
        assert_eq!(validated(b"\xA1\x01\x01"), Err(WireError::Unsupported { at: 1 }), "a key that is no text");
        assert_eq!(validated(b"\xC1\x01"), Err(WireError::Unsupported { at: 0 }), "another tag");
        assert_eq!(validated(b"\x62\xC3\x28"), Err(WireError::Malformed { at: 0 }), "not UTF-8");
        assert_eq!(validated(b"\x7F\x61a\xFF"), Err(WireError::Unsupported { at: 0 }), "chunked text");
        assert_eq!(validated(b"\x9B\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"), Err(WireError::Truncated), "a huge array");
    }

    #[test]
    fn integers_beyond_64_bits_with_sign_are_refused_alike() {
        for (head, digits, within) in [
            (0x1B, i64::MAX.cast_unsigned(), true),
            (0x1B, 1 << 63, false),
            (0x1B, u64::MAX, false),
            (0x3B, i64::MAX.cast_unsigned(), true),
            (0x3B, 1 << 63, false),
            (0x3B, u64::MAX, false),
        ] {
            let mut item = [head; 9];
            item[1..].copy_from_slice(&digits.to_be_bytes());
            let expected = if within { Ok(9) } else { Err(WireError::Unsupported { at: 0 }) };
            assert_eq!(validated(&item), expected, "{item:x?}");
            assert_eq!(skip(&item, 0), Ok(9), "{item:x?} is well-formed");
            for cut in 0..9 {
                assert_eq!(validated(&item[..cut]), Err(WireError::Truncated), "{item:x?} cut at {cut}");
            }
            let read = ValueRef::new(&item);
            match (within, expected) {
                (true, _) => assert_eq!(read.as_i64().map(i64::is_negative), Ok(head == 0x3B)),
                (false, Err(error)) => {
                    let error = ValueError::Malformed(error);
                    assert_eq!((read.kind(), read.as_i64(), read.as_i32()), (Err(error), Err(error), Err(error)));
                    assert_eq!((read.as_f64(), read.as_f32(), read.as_str()), (Err(error), Err(error), Err(error)));
                }
                (false, Ok(_)) => unreachable!("it is not within"),
            }
            let mut array = [0x81; 10];
            array[1..].copy_from_slice(&item);
            let expected = if within { Ok(10) } else { Err(WireError::Unsupported { at: 1 }) };
            assert_eq!(validated(&array), expected, "{item:x?} in an array");
        }
    }

    #[test]
    fn what_is_no_cbor_is_malformed_and_not_beyond_the_model() {
        for byte in [0x1C, 0x3D, 0x5E, 0x7C, 0x9D, 0xBE, 0xDC, 0xFC, 0xFF, 0x1F, 0x3F, 0xDF] {
            assert_eq!(validated(&[byte, 0, 0]), Err(WireError::Malformed { at: 0 }), "{byte:#x}");
            assert_eq!(skip(&[byte, 0, 0], 0), Err(WireError::Malformed { at: 0 }), "{byte:#x}");
            assert_eq!(validated(&[0xA1, byte, 0, 0]), Err(WireError::Malformed { at: 1 }), "{byte:#x} for a name");
            for map in [validate_map, validate_key_map] {
                assert_eq!(map(&mut Decoder::new(&[byte, 0, 0])), Err(WireError::Malformed { at: 0 }), "{byte:#x}");
            }
            assert_eq!(ValueRef::new(&[byte, 0, 0]).kind(), Err(ValueError::Malformed(WireError::Malformed { at: 0 })));
        }
        for item in [&[0xF6][..], &[0xF7], &[0xF9, 0, 0], &[0xE0], &[0xF8, 0x20]] {
            assert_eq!(validated(item), Err(WireError::Unsupported { at: 0 }), "{item:x?}");
            assert_eq!(skip(item, 0), Ok(item.len()), "{item:x?}");
        }
    }

    #[test]
    fn nesting_ends_at_the_limit() {
        let depth = MAX_DEPTH as usize;
        let mut nested = [0x81_u8; 66];
        nested[depth] = 0x01;
        assert_eq!(validated(&nested[..=depth]), Ok(depth + 1));
        nested[depth] = 0x81;
        nested[depth + 1] = 0x01;
        assert_eq!(validated(&nested), Err(WireError::TooDeep { at: depth }));
        assert_eq!(skip(&[0x81; 5000], 0), Err(WireError::TooDeep { at: depth + 2 }));
    }
}
