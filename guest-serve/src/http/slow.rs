//! The way from requests to the slow lane.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

use super::Refusal;
use crate::call::{Call, Output};
use crate::deployment::{Deployment, Loaded};
use crate::lanes::{Entrance, SlowCall};

/// The slow lane as requests see it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct SlowLane {
    /// Where work waits for its turn.
    pub entrance: Entrance<SlowCall>,
    /// How much longer than the guest's deadline a call may take here, waiting included.
    pub wait: Duration,
}

impl SlowLane {
    /// The module of a guest. One that is not loaded is loaded in the turn of the tenant.
    ///
    /// # Errors
    /// [`Refusal::Busy`], [`Refusal::WaitedTooLong`], [`Refusal::Stopping`] and [`Refusal::NotLoaded`].
    pub async fn loaded(&self, deployment: &Arc<Deployment>, tenant: &str) -> Result<Arc<Loaded>, Refusal> {
        match deployment.loaded_now() {
            Some(loaded) => Ok(loaded),
            // Few requests meet it, and the future of the others stays small.
            None => Box::pin(self.load(deployment, tenant)).await,
        }
    }

    async fn load(&self, deployment: &Arc<Deployment>, tenant: &str) -> Result<Arc<Loaded>, Refusal> {
        let (reply, loaded) = oneshot::channel();
        let job = SlowCall::Load { deployment: Arc::clone(deployment), reply };
        self.entrance.enter(&deployment.name, tenant, deployment.config.limits.waiting, job)?;
        self.end(Duration::ZERO, loaded).await?.map_err(|error| Refusal::NotLoaded(Box::new(error)))
    }

    /// Makes a call.
    ///
    /// # Errors
    /// [`Refusal::Busy`], [`Refusal::WaitedTooLong`], [`Refusal::Stopping`] and [`Refusal::Failed`].
    pub async fn call(&self, call: Call) -> Result<Output, Refusal> {
        let (guest, tenant, limits) =
            (call.deployment.name.clone(), call.tenant.clone(), call.deployment.config.limits);
        let (reply, result) = oneshot::channel();
        self.entrance.enter(&guest, &tenant, limits.waiting, SlowCall::Call { call, reply })?;
        Ok(self.end(limits.deadline, result).await??)
    }

    /// Waits for the end of work that may run for `deadline`.
    async fn end<T>(&self, deadline: Duration, reply: oneshot::Receiver<T>) -> Result<T, Refusal> {
        match timeout(deadline.saturating_add(self.wait), reply).await {
            Ok(Ok(reply)) => Ok(reply),
            // It was dropped without an answer.
            Ok(Err(_)) => Err(Refusal::Stopping),
            Err(_) => Err(Refusal::WaitedTooLong),
        }
    }
}
