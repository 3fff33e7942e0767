//! How long guest code may run before it waits for its client again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use guest_host::{Engine, Supervise, Supervisor};

/// Counts the ticks of the engine's clock that pass while the guest's code runs. Time in which other guests have the thread does not
/// count, and neither does the time of a client.
#[derive(Debug, Clone)]
pub(super) struct Budget(Arc<Ticks>);

#[derive(Debug)]
struct Ticks {
    left: AtomicU64,
    most: u64,
}

impl Budget {
    /// It begins with the first [`Budget::renew`]: guests that start have a time of their own.
    pub(super) fn new(engine: &Engine, deadline: Duration) -> Self {
        let tick = engine.config().tick.as_nanos().max(1);
        // At least one, and one more, as the first may pass at once.
        let most = u64::try_from(deadline.as_nanos().div_ceil(tick)).unwrap_or(u64::MAX).saturating_add(1);
        Self(Arc::new(Ticks { left: AtomicU64::new(u64::MAX), most }))
    }

    pub(super) fn supervisor(&self) -> Supervisor {
        Supervisor::new(Arc::clone(&self.0) as Arc<dyn Supervise>)
    }

    /// The guest has all its time from now on.
    pub(super) fn renew(&self) {
        self.0.left.store(self.0.most, Relaxed);
    }
}

impl Supervise for Ticks {
    /// Is asked with each tick that passes while the code runs.
    fn is_interrupted(&self) -> bool {
        self.left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_err()
    }
}

#[cfg(test)]
mod tests {
    use guest_host::EngineConfig;

    use super::*;

    #[test]
    fn a_guest_has_its_ticks_anew_when_they_are_renewed() {
        let engine = Engine::new(&EngineConfig::default().with_tick(Duration::from_millis(2))).unwrap();
        let budget = Budget::new(&engine, Duration::from_millis(5));
        let ticks = || (0..100).take_while(|_| !budget.0.is_interrupted()).count();
        assert_eq!(ticks(), 100, "it has not begun");
        budget.renew();
        assert_eq!((ticks(), ticks()), (4, 0));
        budget.renew();
        assert_eq!(ticks(), 4);
    }
}
