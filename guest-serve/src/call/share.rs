//! The share of a thread's time that each guest has: so that calls of one guest, each of which is fast, do not hold up others.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustc_hash::FxHashMap;

/// Within this time a guest beside others may use half of it.
const WINDOW: Duration = Duration::from_millis(50);

/// A guest is beside others if one of them was called within this time.
const RECENT: Duration = Duration::from_secs(10);

/// A thread's time. Cheap to clone; the clones are the same, for all that the thread calls.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shares(Arc<Mutex<Used>>);

#[derive(Debug, Default)]
struct Used {
    /// The begin of the window, and the time that each guest has used in it.
    begin: Option<Instant>,
    used: FxHashMap<u64, Duration>,
    /// The two guests that were called last.
    last: Option<(u64, Instant)>,
    last_other: Option<(u64, Instant)>,
}

impl Shares {
    /// Whether there is time for a call of the guest.
    pub(crate) fn has_time(&self, guest: u64, now: Instant) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).has_time(guest, now)
    }

    /// A call of the guest took so long.
    pub(crate) fn add(&self, guest: u64, time: Duration) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).used.entry(guest).or_default() += time;
    }
}

impl Used {
    fn has_time(&mut self, guest: u64, now: Instant) -> bool {
        match self.last {
            Some((last, _)) if last == guest => {}
            last => self.last_other = last,
        }
        self.last = Some((guest, now));
        if self.begin.is_none_or(|begin| now.saturating_duration_since(begin) >= WINDOW) {
            self.begin = Some(now);
            self.used.clear();
        }
        let is_alone = self.last_other.is_none_or(|(_, at)| now.saturating_duration_since(at) > RECENT);
        is_alone || self.used.get(&guest).is_none_or(|used| *used < WINDOW / 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALL: Duration = Duration::from_millis(1);

    /// Calls of a guest that are made one after the other, until there is no time or so many were made.
    fn calls(shares: &Shares, guest: u64, now: &mut Instant, most: usize) -> usize {
        for made in 0..most {
            if !shares.has_time(guest, *now) {
                return made;
            }
            shares.add(guest, CALL);
            *now += CALL;
        }
        most
    }

    #[test]
    fn a_guest_alone_has_all_time_and_half_of_it_beside_others() {
        let shares = Shares::default();
        let mut now = Instant::now();
        assert_eq!(calls(&shares, 1, &mut now, 1000), 1000);
        assert_eq!(calls(&shares, 2, &mut now, 1), 1);
        now += WINDOW;
        assert_eq!(calls(&shares, 1, &mut now, 1000), 25);
        assert_eq!(calls(&shares, 2, &mut now, 25), 25, "the other one has its half");
        now += WINDOW;
        assert_eq!(calls(&shares, 1, &mut now, 1000), 25);
        now += RECENT + WINDOW;
        assert_eq!(calls(&shares, 1, &mut now, 1000), 1000, "it is alone again");
    }
}
