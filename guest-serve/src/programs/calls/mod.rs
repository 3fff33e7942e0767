//! Calls of extension functions that may leave records.
//!
//! Such a call runs on the thread of its tenant, one after the other. Calls of many tenants, and the memory of programs, share a
//! transaction; responses are sent when it is on the disk. Until then the next calls of a tenant find what the calls before them left.
//! A query leaves nothing, and runs on the thread that took the request.

mod error;
mod home;
mod ticket;

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::oneshot;

use super::Entrance;
use crate::deployment::{Deployment, Loaded};
use crate::records::{Request, Response};
pub use error::CallError;
pub(super) use home::Home;
pub(crate) use ticket::Ticket;

/// Work for the thread of a tenant.
#[derive(Debug)]
pub(super) enum CallJob {
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
pub(super) struct Forgotten {
    tenant: Arc<str>,
    records: u64,
    reply: oneshot::Sender<Result<u64, CallError>>,
}

/// A call of an extension function that may leave records.
#[derive(Debug)]
pub(crate) struct WriteCall {
    pub(crate) request: Request,
    pub(crate) deployment: Arc<Deployment>,
    /// Its module.
    pub(crate) loaded: Arc<Loaded>,
    /// The route, among those of the deployment.
    pub(crate) route: usize,
    /// The key of the tenant among those of its guest.
    pub(crate) key: Box<str>,
    /// When it began to wait.
    pub(crate) entered: Instant,
    /// The way back to the tenant's thread.
    pub(crate) entrance: Entrance,
}

/// A call, and where its end is awaited.
#[derive(Debug)]
pub(super) struct Waiting {
    call: Box<WriteCall>,
    reply: oneshot::Sender<Settled>,
}

/// The outcome of a call.
#[derive(Debug)]
pub(crate) enum Settled {
    /// It ended, and what it left is where its guest wants it to be.
    Ended(Result<Response, CallError>),
    /// It takes longer than the thread of its tenant can wait, and is to be made elsewhere.
    Slow(Ticket),
}

impl WriteCall {
    /// Hands the call to the thread of its tenant. Returns where its end is awaited.
    pub(crate) fn enter(self) -> oneshot::Receiver<Settled> {
        let (reply, settled) = oneshot::channel();
        let (tenant, entrance) = (Arc::clone(&self.request.tenant), self.entrance.clone());
        entrance.enter_call(&tenant, CallJob::Call(Waiting { call: Box::new(self), reply }));
        settled
    }
}

impl Entrance {
    /// Removes the records and the kept responses of a tenant. Returns the number of records, once that is on the disk.
    pub(crate) async fn forget_records(&self, tenant: Arc<str>) -> Result<u64, CallError> {
        let (reply, forgotten) = oneshot::channel();
        self.enter_call(&tenant, CallJob::Forget(Forgotten { tenant: Arc::clone(&tenant), records: 0, reply }));
        forgotten.await.map_err(|_| CallError::Stopping)?
    }
}
