//! Something that fails, until it works again: told once when it begins, and once when it ends.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Whether something fails. All threads tell what they see.
#[derive(Debug, Default)]
pub(super) struct Fault {
    /// So that nobody takes the lock while all is well.
    is_failing: AtomicBool,
    last: Mutex<Option<Failure>>,
}

#[derive(Debug)]
struct Failure {
    error: String,
    at: Instant,
}

impl Fault {
    /// Takes note that it failed. Says whether it worked before.
    #[cold]
    pub(super) fn failed(&self, error: &str) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        self.is_failing.store(true, Relaxed);
        last.replace(Failure { error: error.to_owned(), at: Instant::now() }).is_none()
    }

    /// Takes note that it worked. Says whether it failed before.
    #[inline]
    pub(super) fn worked(&self) -> bool {
        self.is_failing.load(Relaxed) && self.works_again()
    }

    #[cold]
    fn works_again(&self) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        self.is_failing.store(false, Relaxed);
        last.take().is_some()
    }

    /// The last error, if it fails.
    pub(super) fn error(&self) -> Option<String> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|last| last.error.clone())
    }

    /// Whether it fails, and did so within this time.
    pub(super) fn failed_within(&self, time: Duration) -> bool {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().is_some_and(|last| last.at.elapsed() < time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_and_the_end_are_told_once() {
        let fault = Fault::default();
        assert!(!fault.worked());
        assert!(fault.failed("full") && !fault.failed("still full"));
        assert_eq!(fault.error().as_deref(), Some("still full"));
        assert!(fault.failed_within(Duration::MAX) && !fault.failed_within(Duration::ZERO));
        assert!(fault.worked() && !fault.worked() && !fault.failed_within(Duration::MAX));
        assert_eq!(fault.error(), None);
        assert!(fault.failed("again"));
    }
}
