//! A call that leaves the thread of its tenant for a while.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::{CallJob, Settled, Waiting, WriteCall};
use crate::call::{Call, Input};
use crate::records::{CallState, View};

/// A call that is made elsewhere, on what its tenant has now. The tenant's next calls wait until it [ends](Ticket::end) or is
/// dropped.
#[derive(Debug)]
pub(crate) struct Ticket {
    call: Option<Box<WriteCall>>,
    view: Arc<View>,
}

impl Ticket {
    pub(super) const fn new(call: Box<WriteCall>, view: Arc<View>) -> Self {
        Self { call: Some(call), view }
    }

    /// The call; `None` when it has ended.
    pub(crate) fn call(&self) -> Option<Call> {
        let call = self.call.as_ref()?;
        let request = &call.request;
        let state = CallState::new(&request.tenant, Arc::clone(&request.event), Arc::clone(&self.view));
        Some(Call {
            deployment: Arc::clone(&call.deployment),
            loaded: Arc::clone(&call.loaded),
            route: call.route,
            tenant: call.key.clone(),
            input: Input::State(state),
        })
    }

    /// Gives the intents of the call to the thread of its tenant.
    pub(crate) fn end(mut self, intents: Vec<u8>) -> oneshot::Receiver<Settled> {
        let (reply, settled) = oneshot::channel();
        if let Some(call) = self.call.take() {
            let (tenant, entrance) = (Arc::clone(&call.request.tenant), call.entrance.clone());
            entrance.enter_call(&tenant, CallJob::Ended { waiting: Waiting { call, reply }, intents });
        }
        settled
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some(call) = self.call.take() {
            let tenant = &call.request.tenant;
            call.entrance.enter_call(tenant, CallJob::GivenUp(Arc::clone(tenant)));
        }
    }
}
