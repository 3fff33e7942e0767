//! Calls on the slow lane, and modules that are loaded for calls.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use guest_functions::FunctionError;
use tokio::sync::oneshot;

use super::{Lane, Work};
use crate::call::{Attempt, Call, Instances, Kind, Output, is_at_limit, ran};
use crate::deployment::{Deployment, Loaded};
use crate::error::ServeError;
use crate::registry::{Reader, Registry};

/// Work that waits for its turn.
#[derive(Debug)]
pub enum SlowCall {
    /// A call.
    Call {
        /// The call.
        call: Call,
        /// Where its end is awaited.
        reply: oneshot::Sender<Result<Output, FunctionError>>,
    },
    /// A module that calls need.
    Load {
        /// The version of the guest.
        deployment: Arc<Deployment>,
        /// Where the module is awaited.
        reply: oneshot::Sender<Result<Arc<Loaded>, ServeError>>,
    },
}

/// How the slow lane is.
#[derive(Debug, Clone, Copy)]
pub struct SlowOptions {
    /// Its threads.
    pub threads: usize,
    /// Calls that wait at most.
    pub waiting: usize,
    /// Instances that each thread keeps at most.
    pub instances: usize,
    /// Calls that end within this time belong to the fast lane.
    pub slice: Duration,
    /// How much longer than its guest's deadline a call may take all in all.
    pub longer: Duration,
}

impl SlowCall {
    /// Starts the slow lane of a server. Instances of guests that are not in the registry any more are dropped in time.
    ///
    /// # Errors
    /// If the system makes no thread.
    pub fn lane(registry: &Registry, options: &SlowOptions) -> io::Result<Lane<Self>> {
        let registry = registry.clone();
        let SlowOptions { threads, waiting, instances, slice, longer } = *options;
        Lane::start(threads, waiting, move |stop| {
            let instances = Instances::new(instances, Kind::Slow { stop: stop.clone(), longer });
            Worker { instances, reader: registry.reader(), slice }
        })
    }
}

/// What a thread has.
struct Worker {
    instances: Instances,
    reader: Reader,
    slice: Duration,
}

impl Work<SlowCall> for Worker {
    fn work(&mut self, job: SlowCall) {
        match job {
            // Nobody waits for it any more.
            SlowCall::Call { reply, .. } if reply.is_closed() => {}
            SlowCall::Call { call, reply } => self.call(&call, reply),
            SlowCall::Load { deployment, reply } => drop(reply.send(deployment.loaded())),
        }
    }

    fn rest(&mut self) {
        self.instances.keep_current(self.reader.table());
    }
}

impl Worker {
    fn call(&mut self, call: &Call, reply: oneshot::Sender<Result<Output, FunctionError>>) {
        let pace = &call.deployment.paces[call.route];
        let start = ran();
        let Attempt::Ended(result) = self.instances.call(call, Instant::now()) else {
            return;
        };
        match ran().saturating_sub(start) < self.slice && !result.as_ref().is_err_and(is_at_limit) {
            true => pace.was_fast(),
            false => pace.was_slow(),
        }
        // It may have been given up meanwhile.
        let _ = reply.send(result);
    }
}
