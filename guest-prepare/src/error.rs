//! Why a module cannot be prepared.

use crate::names::RESERVED_PREFIX;

/// Why a module cannot be prepared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PrepareError {
    /// The module uses one of the names under which preparation exports.
    #[error(
        "the module exports `{name}`, and names beginning with `{RESERVED_PREFIX}` are the harness's: give the module \
         as it was built, not one that was prepared before, or rename the export"
    )]
    ReservedName {
        /// The name.
        name: String,
    },
    /// The prepared module would be larger than it may be.
    #[error(
        "the module has {module} bytes and {prepared} once it is prepared, and the limit is {limit} bytes; build it \
         smaller, without debug information for one, or raise `--prepared-limit` (`PrepareOptions::size_limit`)"
    )]
    TooLarge {
        /// Bytes of the module.
        module: u64,
        /// Bytes that it would have.
        prepared: u64,
        /// Bytes that it may have.
        limit: u64,
    },
    /// Cards cannot have this size.
    #[error("cards of {given} bytes are not possible; give a power of two from 256 to 4096")]
    CardSize {
        /// What was given.
        given: u32,
    },
    /// A function has so many locals that the write barrier cannot add its own.
    #[error("a function has {locals} locals, which leaves no room for those of the write barrier")]
    TooManyLocals {
        /// How many.
        locals: u32,
    },
    /// The module could not be read. It was validated before, so the bytes are others than those that were analysed.
    #[error("the module could not be rewritten: {message} (at byte {offset})")]
    Malformed {
        /// What the parser says.
        message: String,
        /// Where, in bytes from the start of the file.
        offset: u64,
    },
}

impl From<wasmparser::Error> for PrepareError {
    fn from(error: wasmparser::Error) -> Self {
        Self::Malformed { message: error.message().to_owned(), offset: error.offset() }
    }
}
