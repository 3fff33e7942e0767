//! The errors of building and reading.

use core::fmt;

/// Reason why a value could not be built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BuildError {
    /// A buffer that is too small.
    TooSmall {
        /// Bytes that the buffer must have. From [`Builder::build`](super::Builder::build) they are exactly the bytes of
        /// the value; from a [`ListBuilder`](super::ListBuilder) they are the bytes of the list up to and including the
        /// part that did not fit.
        needed: usize,
        /// Bytes that the buffer has.
        room: usize,
    },
    /// A value that is longer than its offsets of 32 bits reach.
    TooLarge,
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooSmall { needed, room } => {
                write!(f, "the value needs a buffer of at least {needed} bytes, and this one has {room}")
            }
            Self::TooLarge => write!(f, "the value is longer than 4 GiB"),
        }
    }
}

impl core::error::Error for BuildError {}

/// Fault in bytes that should be a flat value of a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReadError {
    /// Bytes that end before the value does.
    Truncated {
        /// Bytes that the value or its header has.
        needed: usize,
        /// Bytes that there are.
        found: usize,
    },
    /// Bytes that do not begin with the header of this version, such as those of a value that is not finished.
    NoHeader,
    /// A value of another type.
    OtherType {
        /// Digest of the type that was asked for.
        asked: u64,
        /// Digest in the header.
        found: u64,
    },
    /// A slot whose part reaches beyond the end of the value, or a value that is too short for its own slot.
    OutOfBounds {
        /// Offset of the slot in bytes.
        at: usize,
    },
    /// A slot whose part is elsewhere than the order of the parts says, for instance inside another part.
    Misplaced {
        /// Offset of the slot in bytes.
        at: usize,
    },
    /// A text that is not UTF-8.
    NotUtf8 {
        /// Offset of the first wrong byte.
        at: usize,
    },
    /// A truth value, or the mark of an optional value, that is neither 0 nor 1.
    NotBool {
        /// Offset of the byte.
        at: usize,
    },
    /// A byte that should be 0, because it belongs to no field and no part.
    NotZero {
        /// Offset of the byte.
        at: usize,
    },
    /// Bytes at the end of the value that belong to no part.
    Unused {
        /// Offset of the first one.
        at: usize,
    },
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated { needed, found } => {
                write!(f, "the flat value ends early: it needs {needed} bytes, and there are {found}")
            }
            Self::NoHeader => {
                write!(f, "the bytes do not begin with the header of a flat value; perhaps it is not finished")
            }
            Self::OtherType { asked, found } => {
                write!(f, "the flat value is of another type: asked for {asked:016x}, found {found:016x}")
            }
            Self::OutOfBounds { at } => write!(f, "the slot at byte {at} refers beyond the end of the flat value"),
            Self::Misplaced { at } => {
                write!(f, "the slot at byte {at} refers to another place than the one where its part belongs")
            }
            Self::NotUtf8 { at } => write!(f, "text that is not UTF-8 at byte {at}"),
            Self::NotBool { at } => write!(f, "neither 0 nor 1 for a truth value at byte {at}"),
            Self::NotZero { at } => write!(f, "a byte between the parts that is not 0 at byte {at}"),
            Self::Unused { at } => write!(f, "bytes that belong to no part from byte {at} on"),
        }
    }
}

impl core::error::Error for ReadError {}
