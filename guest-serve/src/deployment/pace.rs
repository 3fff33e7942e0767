//! Whether calls of a function end within the slice of the fast lane.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Slices that a guest may take to start on a thread that others wait for.
pub(crate) const SLICES_TO_START: u32 = 10;

/// Calls in a row that must be fast on the slow lane before the function is tried on the fast one again.
const FAST_IN_A_ROW: u32 = 4;

/// The lane of a function's next call. All threads share it.
#[derive(Debug, Default)]
pub struct Pace {
    /// Calls that must still be fast on the slow lane.
    needed: AtomicU32,
}

impl Pace {
    /// Whether the next call goes to the slow lane at once.
    #[inline]
    #[must_use]
    pub fn is_slow(&self) -> bool {
        self.needed.load(Relaxed) > 0
    }

    /// A call did not end within the slice.
    pub fn was_slow(&self) {
        self.needed.store(FAST_IN_A_ROW, Relaxed);
    }

    /// A call on the slow lane would have ended within the slice.
    pub fn was_fast(&self) {
        let _ = self.needed.fetch_update(Relaxed, Relaxed, |needed| needed.checked_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_function_is_slow_until_it_was_fast_for_some_calls() {
        let pace = Pace::default();
        pace.was_fast();
        assert!(!pace.is_slow());
        pace.was_slow();
        (1..FAST_IN_A_ROW).for_each(|_| pace.was_fast());
        assert!(pace.is_slow());
        pace.was_slow();
        (1..FAST_IN_A_ROW).for_each(|_| pace.was_fast());
        assert!(pace.is_slow(), "the calls before do not count");
        pace.was_fast();
        assert!(!pace.is_slow());
    }
}
