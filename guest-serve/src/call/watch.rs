//! The time that a thread runs, and the end of calls that run for too long.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use guest_functions::FunctionError;
use guest_host::{Cause, Supervise, Supervisor};

/// Ends all calls of slow threads, once it is [set](Stop::set). Cheap to clone; the clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Ends the calls that run, and those that begin later.
    pub fn set(&self) {
        self.0.store(true, Relaxed);
    }
}

/// Watches over the calls of one slow thread. A deadline there is of the time that the thread runs, as others may keep it
/// waiting.
#[derive(Debug)]
pub(crate) struct Watch {
    stop: Stop,
    /// Nanoseconds that the thread has run when the call must have ended.
    until: AtomicU64,
}

/// That no call runs: guests that start have a time of their own.
const NONE: u64 = u64::MAX;

impl Watch {
    pub(crate) fn new(stop: Stop) -> Arc<Self> {
        Arc::new(Self { stop, until: AtomicU64::new(NONE) })
    }

    pub(crate) fn supervisor(self: &Arc<Self>) -> Supervisor {
        Supervisor::new(Arc::clone(self) as Arc<dyn Supervise>)
    }

    /// Makes a call, which may run for so long.
    pub(crate) fn call<T>(
        &self,
        deadline: Duration,
        call: impl FnOnce() -> Result<T, FunctionError>,
    ) -> Result<T, FunctionError> {
        self.until.store(nanoseconds(ran().saturating_add(deadline)), Relaxed);
        let mut result = call();
        self.until.store(NONE, Relaxed);
        if let Err(FunctionError::Call(failure)) = &mut result {
            let is_deadline = match failure.cause {
                Cause::Interrupted => !self.stop.0.load(Relaxed),
                Cause::DeadlineExceeded { .. } => true,
                _ => false,
            };
            if is_deadline {
                failure.cause = Cause::DeadlineExceeded { deadline };
            }
        }
        result
    }
}

impl Supervise for Watch {
    fn is_interrupted(&self) -> bool {
        let until = self.until.load(Relaxed);
        self.stop.0.load(Relaxed) || (until != NONE && nanoseconds(ran()) >= until)
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// How long the calling thread has run; where the system does not say, since some moment.
///
/// On a busy machine a thread of low priority waits longer than it runs.
#[cfg(target_os = "linux")]
pub fn ran() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

#[cfg(not(target_os = "linux"))]
pub fn ran() -> Duration {
    use std::sync::LazyLock;
    use std::time::Instant;

    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    START.elapsed()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_of_the_time_that_the_thread_runs() {
        let stop = Stop::default();
        let watch = Watch::new(stop.clone());
        assert!(!watch.is_interrupted());
        let called = watch.call(Duration::from_millis(20), || {
            std::thread::sleep(Duration::from_millis(25));
            assert!(!watch.is_interrupted(), "it waited");
            let end = ran() + Duration::from_millis(20);
            while ran() < end {}
            assert!(watch.is_interrupted());
            Ok(())
        });
        assert!(called.is_ok() && !watch.is_interrupted(), "no call runs");
        stop.set();
        assert!(watch.is_interrupted());
    }
}
