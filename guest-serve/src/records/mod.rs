//! Records of tenants: what extension functions read and leave.
//!
//! A call that may write runs on the thread of its tenant, one after the other. Calls of many tenants, and the memory of
//! programs, share a transaction; responses are sent when it is on the disk. Until then the next calls of a tenant find what the
//! calls before them left in an [`Overlay`](guest_host::guest_state::Overlay). A query runs on the thread that took the request, on
//! the records as they were committed last.

mod account;
mod batch;
mod forget;
mod home;
mod kept;
mod listing;
mod meter;
mod response;
mod state;
mod tables;
mod ticket;

use std::sync::Arc;
use std::time::Instant;

use guest_functions::wire::Encoding;
use tokio::sync::oneshot;

use crate::deployment::Deployment;
use crate::http::Refusal;
use crate::programs::Entrance;
pub(crate) use home::Home;
pub use kept::IdempotencyKey;
pub(crate) use listing::list;
pub(crate) use response::{Response, query_response};
pub use state::CallState;
pub(crate) use state::view;
pub(crate) use tables::make as make_tables;
pub(crate) use ticket::Ticket;

/// Work for the thread of a tenant.
#[derive(Debug)]
pub(crate) enum Job {
    /// A call.
    Call(Waiting),
    /// A call that ended elsewhere, with these intents.
    Ended { waiting: Waiting, intents: Vec<u8> },
    /// A call that was elsewhere came to nothing: the next of the tenant may begin.
    GivenUp(Arc<str>),
    /// Removes all that the tenant has.
    Forget(Forgotten),
}

/// A tenant that is to be forgotten, and where the number of its records is awaited.
#[derive(Debug)]
pub(crate) struct Forgotten {
    tenant: Arc<str>,
    records: u64,
    reply: oneshot::Sender<Result<u64, Refusal>>,
}

/// Removes the records and the kept responses of a tenant. Returns the number of records, once that is on the disk.
pub(crate) async fn forget(entrance: &Entrance, tenant: Arc<str>) -> Result<u64, Refusal> {
    let (reply, forgotten) = oneshot::channel();
    let job = Job::Forget(Forgotten { tenant: Arc::clone(&tenant), records: 0, reply });
    // If the server stops, nobody answers.
    let _ = entrance.records(&tenant, job);
    forgotten.await.map_err(|_| Refusal::Stopping)?
}

/// A call of an extension function that may leave records.
#[derive(Debug)]
pub(crate) struct WriteCall {
    pub(crate) deployment: Arc<Deployment>,
    /// The route, among those of the deployment.
    pub(crate) route: usize,
    /// The tenant among all tenants.
    pub(crate) tenant: Arc<str>,
    /// The key of the tenant among those of its guest.
    pub(crate) key: Box<str>,
    /// The value that the function reads as its event.
    pub(crate) event: Arc<[u8]>,
    /// Of the response.
    pub(crate) encoding: Encoding,
    /// Under which the response is kept.
    pub(crate) idempotency_key: Option<IdempotencyKey>,
    /// When it began to wait.
    pub(crate) entered: Instant,
    /// The way back to the tenant's thread.
    pub(crate) entrance: Entrance,
}

/// A call, and where its end is awaited.
#[derive(Debug)]
pub(crate) struct Waiting {
    call: Box<WriteCall>,
    reply: oneshot::Sender<Settled>,
}

impl WriteCall {
    /// Hands the call to the thread of its tenant. Returns where its end is awaited.
    pub(crate) fn enter(self) -> oneshot::Receiver<Settled> {
        let (reply, settled) = oneshot::channel();
        let (tenant, entrance) = (Arc::clone(&self.tenant), self.entrance.clone());
        // If the server stops, nobody answers.
        let _ = entrance.records(&tenant, Job::Call(Waiting { call: Box::new(self), reply }));
        settled
    }
}

/// What becomes of a call.
#[derive(Debug)]
pub(crate) enum Settled {
    /// It ended, and what it left is where its guest wants it to be.
    Ended(Result<Response, Refusal>),
    /// It takes longer than the thread of its tenant can wait, and is to be made elsewhere.
    Slow(Ticket),
}
