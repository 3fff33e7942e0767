//! The error of reading bytes that should be CBOR of the value model.

use super::MAX_DEPTH;

/// Fault in bytes that should be a value, a key or an intent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum WireError {
    /// Bytes that end inside an item.
    Truncated,
    /// Bytes that are not well-formed CBOR, or text that is not UTF-8.
    Malformed {
        /// Offset of the item in bytes.
        at: usize,
    },
    /// An item that the value model does not have, for instance a null or an unknown tag.
    Unsupported {
        /// Offset of the item in bytes.
        at: usize,
    },
    /// A name that a map has twice, where each may be there once.
    Duplicate {
        /// Offset of the second one in bytes.
        at: usize,
    },
    /// Objects or arrays nested deeper than [`MAX_DEPTH`].
    TooDeep {
        /// Offset of the item in bytes.
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
            Self::Duplicate { at } => write!(f, "a name that the object has twice at byte {at}"),
            Self::TooDeep { at } => write!(f, "values nested deeper than {MAX_DEPTH} levels at byte {at}"),
        }
    }
}

impl core::error::Error for WireError {}
