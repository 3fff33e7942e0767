//! Calls on the slow lane, and modules that are loaded for calls.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use guest_functions::FunctionError;
use tokio::sync::oneshot;

use super::{Entrance, Lane, Work};
use crate::call::{Attempt, Call, Instances, Kind, Output, Stop, is_at_limit, ran};
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

/// The slow lane of a server. Dropping it ends its threads and the calls that run.
#[derive(Debug)]
pub struct SlowCalls {
    stop: Stop,
    lane: Lane<SlowCall>,
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

impl SlowCalls {
    /// Starts the threads. Instances of guests that are not in the registry any more are dropped in time.
    ///
    /// # Errors
    /// If the system makes no thread.
    pub fn start(registry: &Registry, options: &SlowOptions) -> io::Result<Self> {
        let registry = registry.clone();
        let SlowOptions { threads, waiting, instances, slice, longer } = *options;
        let stop = Stop::default();
        let of_threads = stop.clone();
        let lane = Lane::start(threads, waiting, move || {
            let instances = Instances::new(instances, Kind::Slow { stop: of_threads.clone(), longer });
            Worker { instances, reader: registry.reader(), slice }
        })?;
        Ok(Self { stop, lane })
    }

    /// Where calls enter.
    #[must_use]
    pub fn entrance(&self) -> Entrance<SlowCall> {
        self.lane.entrance()
    }
}

impl Drop for SlowCalls {
    fn drop(&mut self) {
        self.stop.set();
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
        let Attempt::Ended(result) = self.instances.call(call) else {
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
