//! Waiting on a condition variable until a deadline.

use std::sync::{Condvar, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The time at which a call gives up waiting, if ever.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline(Option<Instant>);

impl Deadline {
    pub(super) const NEVER: Self = Self(None);

    /// Never, if the time is too far away for the clock.
    pub(super) fn after(timeout: Duration) -> Self {
        Self(Instant::now().checked_add(timeout))
    }

    pub(super) fn is_over(self) -> bool {
        self.0.is_some_and(|until| until <= Instant::now())
    }
}

/// Releases the lock, waits until someone notifies or the time is over, and takes the lock again. It may return early: callers
/// look at the state again.
pub(super) fn wait<'s, T>(condvar: &Condvar, state: MutexGuard<'s, T>, deadline: Deadline) -> MutexGuard<'s, T> {
    match deadline.0 {
        None => condvar.wait(state).unwrap_or_else(PoisonError::into_inner),
        Some(until) => {
            let left = until.saturating_duration_since(Instant::now());
            condvar.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
        }
    }
}
