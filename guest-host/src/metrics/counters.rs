//! The counts of one function in one instance, and the sum over several instances.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Upper bounds of the histogram's buckets, in nanoseconds: from the shortest call to the default deadline.
const BOUNDS: [u64; 22] = [
    100,
    250,
    500,
    1_000,
    2_500,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
];

/// The bounds, and one more bucket for what is above them.
const BUCKETS: usize = BOUNDS.len() + 1;

const NANOSECONDS: f64 = 1e9;

/// Counts of one instance and function. One instance writes them, and whoever wants to reads them.
// Aligned as to keep what different threads write out of each other's cache lines, or the pair of them that processors
// fetch.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct FunctionCounters {
    /// Calls by how long they took.
    buckets: [AtomicU64; BUCKETS],
    /// How long all of them took together.
    nanoseconds: AtomicU64,
    restored_bytes: AtomicU64,
    recovered: AtomicU64,
    failed_again: AtomicU64,
    /// Behind a lock that only a scrape ever contends for: what is counted there takes long by itself.
    by_name: Mutex<ByName>,
}

/// Counts by the names of what is counted; there are few, so they stand in a row.
#[derive(Debug, Default)]
struct ByName {
    errors: Vec<(&'static str, u64)>,
    replacements: Vec<(&'static str, u64)>,
}

impl FunctionCounters {
    pub(super) fn called(&self, took: Duration) {
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        add(&self.buckets[BOUNDS.partition_point(|bound| *bound < nanoseconds)], 1);
        add(&self.nanoseconds, nanoseconds);
    }

    pub(super) fn restored(&self, bytes: u64) {
        add(&self.restored_bytes, bytes);
    }

    /// A call was tried again, and recovered or not.
    #[cold]
    pub(super) fn retried(&self, recovered: bool) {
        add(if recovered { &self.recovered } else { &self.failed_again }, 1);
    }

    #[cold]
    pub(super) fn failed(&self, cause: &'static str) {
        self.by_name(|by_name| increment(&mut by_name.errors, cause));
    }

    pub(super) fn replaced(&self, reason: &'static str) {
        self.by_name(|by_name| increment(&mut by_name.replacements, reason));
    }

    fn by_name<T>(&self, work: impl FnOnce(&mut ByName) -> T) -> T {
        work(&mut self.by_name.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Adds without locking the bus: there is one writer, so nothing comes between the two halves.
fn add(cell: &AtomicU64, number: u64) {
    cell.store(cell.load(Relaxed).wrapping_add(number), Relaxed);
}

fn increment(counts: &mut Vec<(&'static str, u64)>, name: &'static str) {
    match counts.iter_mut().find(|(known, _)| *known == name) {
        Some((_, count)) => *count += 1,
        None => counts.push((name, 1)),
    }
}

/// Sums over counters.
#[derive(Debug, Default)]
pub(super) struct Totals {
    buckets: [u64; BUCKETS],
    nanoseconds: u64,
    pub(super) restored_bytes: u64,
    pub(super) recovered: u64,
    pub(super) failed_again: u64,
    errors: BTreeMap<&'static str, u64>,
    replacements: BTreeMap<&'static str, u64>,
}

impl Totals {
    pub(super) fn of(all: &[Arc<FunctionCounters>]) -> Self {
        let mut totals = Self::default();
        for counters in all {
            for (total, cell) in totals.buckets.iter_mut().zip(&counters.buckets) {
                *total += cell.load(Relaxed);
            }
            totals.nanoseconds = totals.nanoseconds.wrapping_add(counters.nanoseconds.load(Relaxed));
            totals.restored_bytes = totals.restored_bytes.wrapping_add(counters.restored_bytes.load(Relaxed));
            totals.recovered += counters.recovered.load(Relaxed);
            totals.failed_again += counters.failed_again.load(Relaxed);
            counters.by_name(|by_name| {
                for (names, sums) in
                    [(&by_name.errors, &mut totals.errors), (&by_name.replacements, &mut totals.replacements)]
                {
                    for (name, count) in names {
                        *sums.entry(name).or_default() += count;
                    }
                }
            });
        }
        totals
    }

    /// Calls, of which each is in a bucket: so the two never disagree, however a scrape falls.
    pub(super) fn calls(&self) -> u64 {
        self.buckets.iter().sum()
    }

    #[expect(clippy::cast_precision_loss, reason = "seconds of a metric are no exact figure")]
    pub(super) fn seconds(&self) -> f64 {
        self.nanoseconds as f64 / NANOSECONDS
    }

    /// Upper bounds in seconds, with the calls of each bucket alone.
    #[expect(clippy::cast_precision_loss, reason = "the bounds are far from where integers lose precision")]
    pub(super) fn buckets(&self) -> Vec<(f64, u64)> {
        let bounds = BOUNDS.iter().map(|bound| *bound as f64 / NANOSECONDS).chain([f64::INFINITY]);
        bounds.zip(self.buckets).collect()
    }

    pub(super) fn errors(&self) -> Vec<(&'static str, u64)> {
        self.errors.iter().map(|(name, count)| (*name, *count)).collect()
    }

    pub(super) fn replacements(&self) -> Vec<(&'static str, u64)> {
        self.replacements.iter().map(|(name, count)| (*name, *count)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_in_the_first_bucket_that_it_does_not_exceed() {
        let counters = Arc::new(FunctionCounters::default());
        for nanoseconds in [0, 100, 101, 1_000_000_000, 1_000_000_001] {
            counters.called(Duration::from_nanos(nanoseconds));
        }
        counters.called(Duration::from_secs(60));
        let totals = Totals::of(&[counters]);
        let filled: Vec<_> = totals.buckets().into_iter().filter(|(_, calls)| *calls > 0).collect();
        assert_eq!(filled, [(1e-7, 2), (2.5e-7, 1), (1.0, 1), (f64::INFINITY, 2)]);
        assert_eq!((totals.calls(), totals.nanoseconds), (6, 62_000_000_202));
        assert!(BOUNDS.is_sorted_by(|left, right| left < right));
    }

    #[test]
    fn totals_are_sums() {
        let all: Vec<Arc<FunctionCounters>> = (0..3).map(|_| Arc::default()).collect();
        for (counters, bytes) in all.iter().zip([1, 20, 300]) {
            counters.restored(bytes);
            counters.retried(bytes > 1);
            counters.failed(if bytes > 1 { "panic" } else { "trap" });
            counters.failed("panic");
            counters.replaced("shrunk");
        }
        let totals = Totals::of(&all);
        assert_eq!((totals.restored_bytes, totals.recovered, totals.failed_again), (321, 2, 1));
        assert_eq!(totals.errors(), [("panic", 5), ("trap", 1)]);
        assert_eq!(totals.replacements(), [("shrunk", 3)]);
    }
}
