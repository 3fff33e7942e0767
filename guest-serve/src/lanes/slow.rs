//! Calls on the slow lane.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use guest_functions::{FunctionError, Value};
use guest_host::{Supervise, Supervisor};
use tokio::sync::oneshot;

use super::{Entrance, Lane, low};
use crate::call::{Attempt, Call, Instances, Kind};

/// A call that waits for its turn.
#[derive(Debug)]
pub struct SlowCall {
    /// The call.
    pub call: Call,
    /// Where its end is awaited.
    pub reply: oneshot::Sender<Result<Value, FunctionError>>,
}

/// The slow lane of a server. Dropping it ends its threads and the calls that run.
#[derive(Debug)]
pub struct SlowCalls {
    stop: Arc<Stop>,
    lane: Lane<SlowCall>,
}

/// Ends the calls that run.
#[derive(Debug, Default)]
struct Stop(AtomicBool);

impl Supervise for Stop {
    fn is_interrupted(&self) -> bool {
        self.0.load(Relaxed)
    }
}

impl SlowCalls {
    /// Starts threads, each with at most `instances` instances. Calls that end within `slice` belong to the fast lane. At
    /// most `most` calls wait.
    ///
    /// # Errors
    /// If the system makes no thread.
    pub fn start(threads: usize, most: usize, instances: usize, slice: Duration) -> io::Result<Self> {
        let stop = Arc::new(Stop::default());
        let supervisor = Supervisor::new(Arc::clone(&stop) as Arc<dyn Supervise>);
        let lane = Lane::start(threads, most, move || {
            let mut instances = Instances::new(instances, Kind::Slow { supervisor: supervisor.clone() });
            move |job| make_call(&mut instances, job, slice)
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
        self.stop.0.store(true, Relaxed);
    }
}

fn make_call(instances: &mut Instances, SlowCall { call, reply }: SlowCall, slice: Duration) {
    // Nobody waits for it any more.
    if reply.is_closed() {
        return;
    }
    let pace = &call.deployment.paces[call.route];
    let start = low::ran();
    let Attempt::Ended(result) = instances.call(&call) else {
        return;
    };
    match low::ran().saturating_sub(start) < slice {
        true => pace.was_fast(),
        false => pace.was_slow(),
    }
    // It may have been given up meanwhile.
    let _ = reply.send(result);
}
