//! Records of tenants: what extension functions read and leave, and the responses that are kept.
//!
//! They are in the file of the programs' memory, so that one transaction has both.

mod account;
mod batch;
mod error;
mod forget;
mod kept;
mod listing;
mod meter;
mod response;
mod state;
mod tables;

use std::sync::Arc;

use guest_functions::wire::Encoding;

pub(crate) use batch::Batch;
pub use error::RecordsError;
pub(crate) use forget::forget;
pub use kept::IdempotencyKey;
pub(crate) use listing::{ListError, list};
pub(crate) use response::{Response, query_response};
pub use state::CallState;
pub(crate) use state::{View, view};
pub(crate) use tables::make as make_tables;

/// A request for an extension function that may leave records.
#[derive(Debug)]
pub(crate) struct Request {
    /// The tenant among all tenants.
    pub(crate) tenant: Arc<str>,
    /// The value that the function reads as its event.
    pub(crate) event: Arc<[u8]>,
    /// Of the response.
    pub(crate) encoding: Encoding,
    /// Under which the response is kept.
    pub(crate) idempotency_key: Option<IdempotencyKey>,
}
