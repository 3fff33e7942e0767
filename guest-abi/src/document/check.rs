//! The check of a document from the other side. It accepts exactly what the module's documentation says.

use alloc::vec::Vec;

use super::item::{F64, FALSE, NULL, TRUE, embedded};
use super::reader::Document;
use super::walk::{FEW, Members, index};
use crate::cbor::major::{ARRAY, MAP, NEGATIVE, TAG, TEXT, UNSIGNED};
use crate::cbor::{Head, MAX_DEPTH, WireError, beyond, fits_i64, head, text};

/// Checks that the bytes are a document, and nothing follows it.
///
/// # Errors
/// [`WireError`] if they are not as the [module](super) says, with the offset of the first fault.
pub fn check(bytes: &[u8]) -> Result<(), WireError> {
    let document = Document::new(bytes)?;
    let start = bytes.len() - document.fields().bytes().len();
    let end = container(bytes, start, MAX_DEPTH)?;
    if end == bytes.len() { Ok(()) } else { Err(WireError::Malformed { at: end }) }
}

/// Position behind the map or the array at `at`, of which at most `depth` are nested.
pub(super) fn container(bytes: &[u8], at: usize, depth: u32) -> Result<usize, WireError> {
    let depth = depth.checked_sub(1).ok_or(WireError::TooDeep { at })?;
    let Head { major, argument, behind } = head(bytes, at)?;
    match major {
        ARRAY => (0..argument).try_fold(behind, |next, _| item(bytes, next, depth)),
        MAP => {
            let mut names = Vec::new();
            let parts =
                Members::of(bytes.get(at..).unwrap_or_default()).map_err(|_| WireError::Unsupported { at: behind })?;
            let start = bytes.len() - parts.bytes.len();
            let mut next = start;
            for _ in 0..parts.count {
                let (name, value) = text(bytes, next)?;
                names.push((name, next));
                next = item(bytes, value, depth)?;
            }
            names.sort_unstable();
            if let Some(pair) = names.windows(2).find(|pair| pair[0].0 == pair[1].0) {
                return Err(WireError::Duplicate { at: pair[1].1 });
            }
            // The members have been checked.
            let expected = if parts.count > FEW { index(parts.bytes, parts.count).ok() } else { None };
            match expected.as_deref() == parts.index && argument - parts.count == usize::from(expected.is_some()) {
                true => Ok(next),
                false => Err(WireError::Malformed { at: behind }),
            }
        }
        _ => Err(WireError::Unsupported { at }),
    }
}

/// Position behind the item at `at`.
pub(super) fn item(bytes: &[u8], at: usize, depth: u32) -> Result<usize, WireError> {
    let initial = *bytes.get(at).ok_or(WireError::Truncated)?;
    match (initial >> 5, initial) {
        (UNSIGNED, _) => Ok(head(bytes, at)?.behind),
        (NEGATIVE, _) => {
            let behind = head(bytes, at)?.behind;
            if fits_i64(bytes, at) { Ok(behind) } else { Err(WireError::Unsupported { at }) }
        }
        (TEXT, _) => Ok(text(bytes, at)?.1),
        (_, FALSE | TRUE | NULL) => Ok(at + 1),
        (_, F64) if bytes.len() - at < 9 => Err(WireError::Truncated),
        (_, F64) => Ok(at + 9),
        (TAG, _) => {
            let content = embedded(bytes.get(at..).unwrap_or_default()).ok_or(WireError::Unsupported { at })?;
            // The content lies in the bytes, behind two heads.
            let start = head(bytes, head(bytes, at)?.behind)?.behind;
            let end = start + content.len();
            match container(bytes.get(..end).unwrap_or_default(), start, depth)? {
                behind if behind == end => Ok(end),
                behind => Err(WireError::Malformed { at: behind }),
            }
        }
        _ => Err(beyond(initial, at)),
    }
}
