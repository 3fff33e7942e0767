//! Errors of the in-memory state.

use std::fmt;

use guest_abi::cbor::WireError;

/// Error of a read from or a write to a [`MemoryState`](crate::MemoryState).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum MemoryStateError {
    /// A storage that is not well known, and that no record or declaration names.
    UnsupportedStorage {
        /// Name of the storage.
        storage: String,
    },
    /// A key that no record can have.
    InvalidKey {
        /// Storage of the key.
        storage: String,
        /// Description of the fault.
        reason: String,
    },
    /// An intent that updates a record which does not exist.
    UpdateOfAbsent {
        /// Storage of the record.
        storage: String,
        /// Entity of the record.
        entity: String,
    },
    /// Intents that are not valid by the contract.
    Malformed(WireError),
}

impl fmt::Display for MemoryStateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnsupportedStorage { storage } => write!(
                f,
                "unsupported storage `{storage}`: it is not a well-known one; declare it by a record in the state"
            ),
            Self::InvalidKey { storage, reason } => {
                write!(f, "invalid key for storage `{storage}`: {reason}")
            }
            Self::UpdateOfAbsent { storage, entity } => write!(
                f,
                "an intent updates a record of `{storage}` `{entity}` that does not exist; query it first and use `new_value`"
            ),
            Self::Malformed(error) => write!(f, "malformed intents: {error}"),
        }
    }
}

impl std::error::Error for MemoryStateError {}

impl From<WireError> for MemoryStateError {
    fn from(error: WireError) -> Self {
        Self::Malformed(error)
    }
}
