//! The value model once more, over another implementation of CBOR.

use guest_abi::cbor::{MAX_DEPTH, QNAME_TAG, WireError};
use minicbor::data::Type;
use minicbor::decode::{Decoder, Error};

/// Position behind the value that `bytes` begin with.
pub(crate) fn value(bytes: &[u8]) -> Result<usize, WireError> {
    let mut decoder = Decoder::new(bytes);
    check(&mut decoder, MAX_DEPTH)?;
    Ok(decoder.position())
}

/// The text that `bytes` begin with, and the position behind it.
pub(crate) fn text(bytes: &[u8]) -> Result<(&str, usize), WireError> {
    let mut decoder = Decoder::new(bytes);
    let text = check_text(&mut decoder)?;
    Ok((text, decoder.position()))
}

fn check_text<'b>(decoder: &mut Decoder<'b>) -> Result<&'b str, WireError> {
    let at = decoder.position();
    if is_negative(decoder) {
        return Err(WireError::Unsupported { at });
    }
    match item_type(decoder)? {
        Type::String => decoder.str().map_err(|error| wire_error(&error, at)),
        other => Err(beyond(other, at)),
    }
}

/// Whether a negative integer begins here. To tell its type the decoder looks further than its first byte, so one that is
/// cut short is asked for here, where no integer is allowed.
fn is_negative(decoder: &Decoder<'_>) -> bool {
    decoder.input().get(decoder.position()).is_some_and(|initial| initial >> 5 == 1 && initial & 0x1F < 28)
}

fn item_type(decoder: &Decoder<'_>) -> Result<Type, WireError> {
    decoder.datatype().map_err(|error| wire_error(&error, decoder.position()))
}

fn wire_error(error: &Error, at: usize) -> WireError {
    if error.is_end_of_input() { WireError::Truncated } else { WireError::Malformed { at } }
}

fn check(decoder: &mut Decoder<'_>, depth: u32) -> Result<(), WireError> {
    let at = decoder.position();
    let wire = |error: Error| wire_error(&error, at);
    match item_type(decoder)? {
        Type::U8 | Type::U16 | Type::U32 | Type::I8 | Type::I16 | Type::I32 | Type::I64 => {
            decoder.i64().map(drop).map_err(wire)
        }
        // Beyond an `i64`, it is not of the model.
        Type::U64 | Type::Int => match i64::try_from(decoder.int().map_err(wire)?) {
            Ok(_) => Ok(()),
            Err(_) => Err(WireError::Unsupported { at }),
        },
        Type::F32 => decoder.f32().map(drop).map_err(wire),
        Type::F64 => decoder.f64().map(drop).map_err(wire),
        Type::Bool => decoder.bool().map(drop).map_err(wire),
        Type::String => decoder.str().map(drop).map_err(wire),
        Type::Bytes => decoder.bytes().map(drop).map_err(wire),
        Type::Tag => {
            if decoder.tag().map_err(wire)?.as_u64() != u64::from(QNAME_TAG) {
                return Err(WireError::Unsupported { at });
            }
            if is_negative(decoder) {
                return Err(WireError::Unsupported { at });
            }
            match (item_type(decoder)?, decoder.array()) {
                (Type::Array, Ok(Some(2))) => {}
                (Type::Array, Err(error)) => return Err(wire(error)),
                _ => return Err(WireError::Unsupported { at }),
            }
            check_text(decoder)?;
            check_text(decoder).map(drop)
        }
        Type::Array | Type::ArrayIndef => {
            let length = decoder.array().map_err(wire)?;
            let depth = depth.checked_sub(1).ok_or(WireError::TooDeep { at })?;
            each(decoder, length, |decoder| check(decoder, depth))
        }
        Type::Map | Type::MapIndef => {
            let length = decoder.map().map_err(wire)?;
            let depth = depth.checked_sub(1).ok_or(WireError::TooDeep { at })?;
            each(decoder, length, |decoder| {
                check_text(decoder)?;
                check(decoder, depth)
            })
        }
        other => Err(beyond(other, at)),
    }
}

/// The error of an item whose type is not allowed in its place.
fn beyond(found: Type, at: usize) -> WireError {
    match found {
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
            while decoder.input().get(decoder.position()) != Some(&0xFF) {
                step(decoder)?;
            }
            decoder.set_position(decoder.position() + 1);
            Ok(())
        }
    }
}
