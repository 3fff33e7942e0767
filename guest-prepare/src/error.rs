//! Why a module cannot be prepared.

use crate::names::RESERVED_PREFIX;

/// Why a module cannot be prepared.
///
/// ```
/// use guest_prepare::{ModuleInfo, PrepareError, PrepareOptions, prepare};
///
/// let wasm = wat::parse_str(r#"(module (memory (export "__harness_mine") 1))"#)?;
/// let error = prepare(&wasm, &ModuleInfo::analyse(&wasm)?, PrepareOptions::default()).unwrap_err();
/// assert!(matches!(error, PrepareError::ReservedName { .. }), "{error}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PrepareError {
    /// An export with a name that is reserved for the preparation.
    #[error(
        "the module exports `{name}`, but preparation reserves names that begin with `{RESERVED_PREFIX}`: use the module \
         as it was built, not a prepared one, or rename the export"
    )]
    ReservedName {
        /// The name.
        name: String,
    },
    /// A prepared module above [`PrepareOptions::size_limit`](crate::PrepareOptions::size_limit).
    #[error(
        "the prepared module has {prepared} bytes ({module} before preparation), and the limit is {limit} bytes; build a \
         smaller module, for instance without debug information, or raise the limit"
    )]
    TooLarge {
        /// Bytes of the module.
        module: u64,
        /// Bytes of the prepared module.
        prepared: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// A card size that card tables cannot have.
    #[error("a card size of {given} bytes is not possible; use a power of two from 256 to 4096")]
    CardSize {
        /// The size in bytes.
        given: u32,
    },
    /// A function with so many locals that the write barrier cannot add its own.
    #[error("a function has {locals} locals, which leaves no room for those of the write barrier")]
    TooManyLocals {
        /// The number of its locals.
        locals: u32,
    },
    /// Bytes that cannot be read as a module. The analysis has validated the module, so these are other bytes.
    #[error("the module could not be rewritten: {message} (at byte {offset})")]
    Malformed {
        /// The parser's message.
        message: String,
        /// The place, in bytes from the start of the file.
        offset: u64,
    },
}

impl From<wasmparser::Error> for PrepareError {
    fn from(error: wasmparser::Error) -> Self {
        Self::Malformed { message: error.message().to_owned(), offset: offset_of(&error) }
    }
}

/// The place of a parser's error, in bytes from the start of the file.
pub(crate) fn offset_of(error: &wasmparser::Error) -> u64 {
    error.offset() as u64
}
