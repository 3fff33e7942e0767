//! The rate of each tenant's calls: one second's worth of them may come at once.
//!
//! Each tenant has a bucket that is filled evenly. It is kept as one number, the time at which the bucket is full again
//! ([generic cell rate algorithm](https://en.wikipedia.org/wiki/Generic_cell_rate_algorithm)): a bucket that is full needs no
//! entry. The clock is monotonic.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustc_hash::FxHashMap;

use crate::folder::GuestName;
use crate::monitor::GuestMonitor;

/// Parts of the map, each with a lock of its own. A power of two.
const PARTS: usize = 64;

/// Entries of a part below which it is not searched for full buckets.
const FEW: usize = 64;

/// Nanoseconds that a bucket takes to fill: it holds one second's worth of calls.
const FULL: u64 = 1_000_000_000;

/// The buckets of all tenants. Cheap to clone; the clones are the same.
#[derive(Debug, Clone)]
pub struct Rate {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    start: Instant,
    hasher: RandomState,
    most_per_part: usize,
    parts: [Mutex<Part>; PARTS],
}

#[derive(Debug, Default)]
struct Part {
    /// By hashes of guests and tenants that nobody else can foresee.
    buckets: FxHashMap<u64, Bucket>,
    /// Entries with which it is searched for full buckets next.
    search_at: usize,
}

#[derive(Debug)]
struct Bucket {
    /// Nanoseconds from the start to the time at which it is full.
    full_at: u64,
    monitor: Arc<GuestMonitor>,
}

impl Rate {
    /// Buckets of at most about so many tenants. Beyond that, those that are nearest to full are forgotten.
    #[must_use]
    pub fn new(most: usize) -> Self {
        let shared = Shared {
            start: Instant::now(),
            hasher: RandomState::new(),
            most_per_part: most.div_ceil(PARTS).max(1),
            parts: std::array::from_fn(|_| Mutex::default()),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Takes a call out of the bucket of a guest's tenant, which gets `per_second` calls in each second.
    ///
    /// # Errors
    /// The time after which there is a call again.
    pub fn admit(
        &self,
        monitor: &Arc<GuestMonitor>,
        tenant: &str,
        per_second: u32,
        now: Instant,
    ) -> Result<(), Duration> {
        let Shared { start, hasher, most_per_part, .. } = &*self.shared;
        let key = hasher.hash_one((monitor.name(), tenant));
        let now = u64::try_from(now.saturating_duration_since(*start).as_nanos()).unwrap_or(u64::MAX);
        let each = FULL / u64::from(per_second.max(1));
        let mut part = self.part(key);
        if let Some(bucket) = part.buckets.get_mut(&key) {
            return bucket.take(each, now);
        }
        part.make_room(*most_per_part, now);
        monitor.tenants(1);
        part.buckets.entry(key).or_insert_with(|| Bucket { full_at: now, monitor: Arc::clone(monitor) }).take(each, now)
    }

    /// Forgets the calls of a guest's tenant.
    pub fn forget(&self, guest: &GuestName, tenant: &str) {
        let key = self.shared.hasher.hash_one((guest, tenant));
        self.part(key).buckets.remove(&key);
    }

    /// The part of an entry.
    fn part(&self, key: u64) -> MutexGuard<'_, Part> {
        // The lower bits choose the place in the map.
        self.shared.parts[(key >> 32) as usize % PARTS].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tenants with an entry.
    #[must_use]
    pub fn tenants(&self) -> usize {
        let parts = self.shared.parts.iter();
        parts.map(|part| part.lock().unwrap_or_else(PoisonError::into_inner).buckets.len()).sum()
    }
}

impl Bucket {
    fn take(&mut self, each: u64, now: u64) -> Result<(), Duration> {
        let full_at = self.full_at.max(now).saturating_add(each);
        match full_at.saturating_sub(now) {
            lacks if lacks > FULL => Err(Duration::from_nanos(lacks - FULL)),
            _ => {
                self.full_at = full_at;
                Ok(())
            }
        }
    }
}

impl Drop for Bucket {
    fn drop(&mut self) {
        self.monitor.tenants(-1);
    }
}

impl Part {
    /// Forgets full buckets now and then, and others where there are too many.
    fn make_room(&mut self, most: usize, now: u64) {
        let entries = self.buckets.len();
        if entries < most && entries < self.search_at.max(FEW) {
            return;
        }
        self.buckets.retain(|_, bucket| bucket.full_at > now);
        if self.buckets.len() >= most {
            let nearest = self.buckets.iter().min_by_key(|(_, bucket)| bucket.full_at).map(|(key, _)| *key);
            nearest.map(|key| self.buckets.remove(&key));
        }
        self.search_at = self.buckets.len() * 2;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::monitor::Monitor;

    fn guest(name: &str) -> Arc<GuestMonitor> {
        Monitor::default().guest(&name.parse().unwrap())
    }

    /// Tenants of `guest` that are admitted in a row at one moment.
    fn burst(rate: &Rate, guest: &Arc<GuestMonitor>, tenant: &str, per_second: u32, now: Instant) -> usize {
        (0..1000).take_while(|_| rate.admit(guest, tenant, per_second, now).is_ok()).count()
    }

    #[test]
    fn a_second_holds_as_many_calls_as_it_says() {
        let (rate, guest, other) = (Rate::new(1000), guest("a"), guest("b"));
        let start = Instant::now();
        assert_eq!(burst(&rate, &guest, "x", 10, start), 10);
        assert_eq!(rate.admit(&guest, "x", 10, start), Err(Duration::from_millis(100)));
        // Others have buckets of their own.
        assert_eq!((burst(&rate, &guest, "y", 10, start), burst(&rate, &other, "x", 7, start)), (10, 7));
        assert_eq!(burst(&rate, &guest, "x", 10, start + Duration::from_millis(99)), 0);
        assert_eq!(burst(&rate, &guest, "x", 10, start + Duration::from_millis(300)), 3);
        assert_eq!(burst(&rate, &guest, "x", 10, start + Duration::from_secs(60)), 10, "no more than a second's worth");
        assert_eq!(burst(&rate, &guest, "z", 1, start), 1);
        rate.forget(guest.name(), "x");
        assert_eq!((burst(&rate, &guest, "x", 10, start), burst(&rate, &guest, "y", 10, start)), (10, 0));
        // A moment before the last one takes nothing away.
        assert_eq!(burst(&rate, &guest, "x", 10, start), 0);
    }

    #[test]
    fn the_map_is_bounded_and_full_buckets_go_first() {
        let (rate, guest) = (Rate::new(PARTS * 8), guest("a"));
        let start = Instant::now();
        for tenant in 0..5000 {
            rate.admit(&guest, &tenant.to_string(), 1, start).unwrap();
        }
        assert!((PARTS..=PARTS * 8).contains(&rate.tenants()), "{}", rate.tenants());
        let later = start + Duration::from_secs(2);
        for tenant in 5000..6000 {
            rate.admit(&guest, &tenant.to_string(), 1, later).unwrap();
            assert!(rate.admit(&guest, &tenant.to_string(), 1, later).is_err(), "the new one is not forgotten");
        }
    }

    proptest! {
        /// In whatever rhythm calls come, no window of a second admits more than two seconds' worth, and a tenant that
        /// waits as long as it was told is admitted.
        #[test]
        fn no_rhythm_gets_more(steps in proptest::collection::vec(0_u64..400, 1..200), per_second in 1_u32..20) {
            let (rate, guest) = (Rate::new(1000), guest("a"));
            let mut now = Instant::now();
            let mut admitted: Vec<Instant> = Vec::new();
            for step in steps {
                now += Duration::from_millis(step);
                match rate.admit(&guest, "x", per_second, now) {
                    Ok(()) => admitted.push(now),
                    Err(wait) => {
                        now += wait;
                        prop_assert!(rate.admit(&guest, "x", per_second, now).is_ok());
                        admitted.push(now);
                    }
                }
                let within = admitted.iter().filter(|at| now - **at < Duration::from_secs(1)).count();
                prop_assert!(within <= 2 * per_second as usize);
            }
        }
    }
}
