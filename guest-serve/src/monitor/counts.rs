//! The counts of one guest.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicI64, AtomicU64};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Upper bounds of the buckets of durations, in microseconds.
pub const LATENCY_BOUNDS: [u64; 14] =
    [10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 1_000_000];

/// The bounds, and one more bucket for what is above them.
const BUCKETS: usize = LATENCY_BOUNDS.len() + 1;

/// Counts that all threads write.
#[derive(Debug, Default)]
pub(super) struct Counters {
    succeeded: AtomicU64,
    slow: AtomicU64,
    limited: AtomicU64,
    buckets: [AtomicU64; BUCKETS],
    microseconds: AtomicU64,
    tenants: AtomicI64,
    instances: AtomicI64,
    memory: AtomicI64,
    /// Requests by status other than 200. Behind a lock, as they are few or slow themselves.
    by_status: Mutex<BTreeMap<u16, u64>>,
}

/// The counts of a guest at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Counts {
    /// Requests for functions by the status of their response.
    pub by_status: BTreeMap<u16, u64>,
    /// Calls that the slow lane made.
    pub slow: u64,
    /// Requests of tenants that made more calls than they may.
    pub limited: u64,
    /// Requests by how long they took, by [`LATENCY_BOUNDS`] and one more.
    pub buckets: [u64; BUCKETS],
    /// How long all of them took together, in microseconds.
    pub microseconds: u64,
    /// Tenants that are known now.
    pub tenants: u64,
    /// Instances that exist now.
    pub instances: u64,
    /// Bytes of the instances' memories.
    pub memory: u64,
}

impl Counters {
    pub(super) fn ended(&self, status: u16, took: Duration, slow: bool) {
        let microseconds = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.buckets[LATENCY_BOUNDS.partition_point(|bound| *bound < microseconds)].fetch_add(1, Relaxed);
        self.microseconds.fetch_add(microseconds, Relaxed);
        if slow {
            self.slow.fetch_add(1, Relaxed);
        }
        if status == 200 {
            self.succeeded.fetch_add(1, Relaxed);
        } else {
            *self.by_status.lock().unwrap_or_else(PoisonError::into_inner).entry(status).or_default() += 1;
        }
    }

    pub(super) fn limited(&self) {
        self.limited.fetch_add(1, Relaxed);
    }

    pub(super) fn tenants(&self, change: i64) {
        self.tenants.fetch_add(change, Relaxed);
    }

    pub(super) fn instances(&self, change: i64, bytes: i64) {
        self.instances.fetch_add(change, Relaxed);
        self.memory.fetch_add(bytes, Relaxed);
    }

    pub(super) fn read(&self) -> Counts {
        let mut by_status = self.by_status.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let succeeded = self.succeeded.load(Relaxed);
        if succeeded > 0 {
            by_status.insert(200, succeeded);
        }
        // A decrement may be counted before the increment that belongs to it.
        let present = |count: &AtomicI64| u64::try_from(count.load(Relaxed)).unwrap_or(0);
        Counts {
            by_status,
            slow: self.slow.load(Relaxed),
            limited: self.limited.load(Relaxed),
            buckets: std::array::from_fn(|at| self.buckets[at].load(Relaxed)),
            microseconds: self.microseconds.load(Relaxed),
            tenants: present(&self.tenants),
            instances: present(&self.instances),
            memory: present(&self.memory),
        }
    }
}

impl Counts {
    /// Requests for functions.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.by_status.values().sum()
    }

    /// Requests that failed for the guest's or the server's sake.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.by_status.iter().filter(|(status, _)| is_failure(**status)).map(|(_, count)| count).sum()
    }

    /// Requests that were wrong, or that asked for more than the tenant may have.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.by_status.range(400..).map(|(_, count)| count).sum::<u64>() - self.failed()
    }
}

/// Whether a request of this status failed for the guest's or the server's sake, and not for the client's.
pub(super) const fn is_failure(status: u16) -> bool {
    // 422 is the guest's own error.
    status >= 500 || status == 422
}
