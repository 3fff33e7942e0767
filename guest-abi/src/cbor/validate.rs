//! The check of bytes from the other side. It accepts exactly the value model.
//!
//! One pass finds both whether bytes are valid and what is wrong with them: a pass that answers only yes or no was
//! measured on keys, values and intents of 12 to 650 bytes and is not faster.

use super::major::{ARRAY, BYTES, MAP, NEGATIVE, SIMPLE, TAG, TEXT, UNSIGNED};
use super::{BREAK, Head, INDEFINITE, QNAME_TAG, WireError};

const FALSE: u8 = 0xF4;
const TRUE: u8 = 0xF5;
const F32: u8 = 0xFA;
const F64: u8 = 0xFB;

/// The head at `at` of an item of definite length.
#[inline(always)]
pub(crate) fn head(bytes: &[u8], at: usize) -> Result<Head, WireError> {
    match Head::read(bytes, at) {
        Some(head) => Ok(head),
        None => Err(no_head(bytes, at)),
    }
}

#[cold]
#[inline(never)]
fn no_head(bytes: &[u8], at: usize) -> WireError {
    match bytes.get(at) {
        Some(initial) if initial & 0x1F > 27 => beyond(*initial, at),
        _ => WireError::Truncated,
    }
}

/// The error for an item that is not allowed at its place, by its first byte.
#[cold]
#[inline(never)]
pub(crate) fn beyond(initial: u8, at: usize) -> WireError {
    match (initial >> 5, initial & 0x1F) {
        (BYTES | TEXT | ARRAY | MAP, INDEFINITE) => WireError::Unsupported { at },
        // The end of nothing, and first bytes that CBOR leaves without a meaning.
        (_, 28..) => WireError::Malformed { at },
        _ => WireError::Unsupported { at },
    }
}

/// The bytes of a text or of bytes, and the position behind them.
#[inline(always)]
fn content(bytes: &[u8], at: usize) -> Result<(&[u8], usize), WireError> {
    let head = head(bytes, at)?;
    let content = bytes.get(head.behind..).and_then(|rest| rest.get(..head.argument));
    match content {
        Some(content) => Ok((content, head.behind + head.argument)),
        None => Err(WireError::Truncated),
    }
}

/// The text at `at` and the position behind it.
#[inline]
pub(crate) fn text(bytes: &[u8], at: usize) -> Result<(&str, usize), WireError> {
    match bytes.get(at) {
        Some(initial) if initial >> 5 == TEXT => {}
        Some(initial) => return Err(beyond(*initial, at)),
        None => return Err(WireError::Truncated),
    }
    let (text, behind) = content(bytes, at)?;
    match core::str::from_utf8(text) {
        Ok(text) => Ok((text, behind)),
        Err(_) => Err(WireError::Malformed { at }),
    }
}

/// Position behind the value at `at`, in which objects and arrays are nested at most `depth` deep.
pub(super) fn value(bytes: &[u8], at: usize, depth: u32) -> Result<usize, WireError> {
    let Some(&initial) = bytes.get(at) else { return Err(WireError::Truncated) };
    match initial >> 5 {
        UNSIGNED | NEGATIVE => {
            let head = head(bytes, at)?;
            if fits_i64(bytes, at) { Ok(head.behind) } else { Err(WireError::Unsupported { at }) }
        }
        BYTES => Ok(content(bytes, at)?.1),
        TEXT => Ok(text(bytes, at)?.1),
        major @ (ARRAY | MAP) => {
            let head = match initial & 0x1F {
                INDEFINITE => None,
                _ => Some(head(bytes, at)?),
            };
            let depth = depth.checked_sub(1).ok_or(WireError::TooDeep { at })?;
            let member = |at| match major {
                MAP => value(bytes, text(bytes, at)?.1, depth),
                _ => value(bytes, at, depth),
            };
            match head {
                Some(head) => (0..head.argument).try_fold(head.behind, |next, _| member(next)),
                None => {
                    let mut next = at + 1;
                    while bytes.get(next) != Some(&BREAK) {
                        next = member(next)?;
                    }
                    Ok(next + 1)
                }
            }
        }
        TAG => qname(bytes, at),
        _ => simple(bytes, at, initial),
    }
}

/// Whether the integer at `at`, whose head is complete, fits an `i64`.
#[inline]
pub(crate) fn fits_i64(bytes: &[u8], at: usize) -> bool {
    let has_nine_bytes = bytes.get(at).is_some_and(|initial| initial & 0x1F == 27);
    !has_nine_bytes || bytes.get(at + 1).is_some_and(|most_significant| *most_significant < 0x80)
}

#[inline]
fn simple(bytes: &[u8], at: usize, initial: u8) -> Result<usize, WireError> {
    debug_assert_eq!(initial >> 5, SIMPLE);
    let behind = match initial {
        FALSE | TRUE => at + 1,
        F32 => at + 5,
        F64 => at + 9,
        _ => return Err(beyond(initial, at)),
    };
    if behind <= bytes.len() { Ok(behind) } else { Err(WireError::Truncated) }
}

/// Position behind the qualified name at `at`: a tag, an array of two, and two texts.
#[inline(never)]
fn qname(bytes: &[u8], at: usize) -> Result<usize, WireError> {
    let tag = head(bytes, at)?;
    if tag.argument != usize::from(QNAME_TAG) {
        return Err(WireError::Unsupported { at });
    }
    match bytes.get(tag.behind) {
        Some(initial) if initial >> 5 == ARRAY && initial & 0x1F <= 27 => {}
        Some(_) => return Err(WireError::Unsupported { at }),
        None => return Err(WireError::Truncated),
    }
    let array = head(bytes, tag.behind)?;
    if array.argument != 2 {
        return Err(WireError::Unsupported { at });
    }
    let (_, behind_package) = text(bytes, array.behind)?;
    Ok(text(bytes, behind_package)?.1)
}
