//! Errors of reading and writing functions in plans.

use datafusion::error::DataFusionError;
use guest_ballista_plan::PayloadError;
use guest_datafusion::guest_functions::FunctionError;

use crate::store::StoreError;

/// Why a function cannot be read from a plan, or written to one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FunctionCodecError {
    /// The payload is damaged, or of another version.
    #[error(transparent)]
    Payload(#[from] PayloadError),
    /// The client's modules speak another version of the contract between guest and host.
    #[error(
        "`{function}` comes from a client with ABI version {found}, and this executor has version {expected}; run the same \
         release on both"
    )]
    AbiVersion {
        /// The function.
        function: String,
        /// The client's version.
        found: u32,
        /// This process's version.
        expected: u32,
    },
    /// The module's bytes cannot be had.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The plan has other bytes than it says.
    #[error(
        "the bytes of the module `{module}` in the plan have the hash {found}, not {expected}; submit the query again"
    )]
    Hash {
        /// The module.
        module: String,
        /// The hash that the plan has.
        expected: String,
        /// The hash of the bytes.
        found: String,
    },
    /// A limit that this process does not know.
    #[error("`{function}` asks for {what} `{given}`, which this executor does not know; run the same release on both")]
    Limit {
        /// The function.
        function: String,
        /// The limit.
        what: &'static str,
        /// Its value.
        given: String,
    },
    /// The module does not have the function that was planned with.
    #[error(
        "`{function}` was planned with another signature than the module `{module}` has: `{found}`; submit the query again"
    )]
    Signature {
        /// The function.
        function: String,
        /// The module.
        module: String,
        /// The signature in the module.
        found: String,
    },
    /// The module has other states of an aggregate than those that were planned with.
    #[error(
        "`{function}` was planned with version {planned} of its states, and the module `{module}` has version {found}; submit \
         the query again"
    )]
    StateVersion {
        /// The aggregate.
        function: String,
        /// The module.
        module: String,
        /// The version in the plan.
        planned: u32,
        /// The version in the module.
        found: u32,
    },
    /// The module cannot be loaded, or has no such function.
    #[error(transparent)]
    Function(#[from] FunctionError),
}

impl From<FunctionCodecError> for DataFusionError {
    fn from(error: FunctionCodecError) -> Self {
        Self::External(Box::new(error))
    }
}
