//! Why records were not written, or a response not given.

/// Why a call left no records, or has no response. Nothing was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordsError {
    /// The store failed.
    #[error("the store failed: {0}")]
    Store(String),
    /// Intents that cannot be applied.
    #[error("{0}")]
    Intents(String),
    /// More records than the tenant may have.
    #[error("{0}")]
    Full(String),
    /// Records that were removed while the call ran, which had read them.
    #[error("the records of the tenant were removed while the call ran; send the request again")]
    Forgotten,
    /// An idempotency key that another request has had.
    #[error("another request had this idempotency key; send each request with a key of its own")]
    OtherRequest,
    /// A result with more bytes than a response may have.
    #[error("the result has {bytes} bytes, and a response may have {most}")]
    ResponseTooLarge {
        /// Bytes of the result.
        bytes: usize,
        /// Bytes of a response.
        most: usize,
    },
}
