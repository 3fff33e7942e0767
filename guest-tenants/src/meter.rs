//! Counts of tenants, for one program or for several together.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

/// Counts the tenants of the programs that have it, in all [`Tenants`](crate::Tenants) of all threads. See
/// [`Program::with_meter`](crate::Program::with_meter).
#[derive(Debug, Default)]
pub struct Meter {
    awake: AtomicI64,
    asleep: AtomicI64,
    asleep_bytes: AtomicI64,
    fresh: AtomicI64,
    woken: AtomicU64,
    loaded: AtomicU64,
    slept: AtomicU64,
}

/// The counts of a [`Meter`] at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Counts {
    /// Tenants on an instance.
    pub awake: u64,
    /// Tenants that sleep in memory.
    pub asleep: u64,
    /// Bytes of memory that their images take.
    pub asleep_bytes: u64,
    /// Tenants of which the store has no image yet, whether awake, asleep or called elsewhere.
    pub fresh: u64,
    /// Times that a tenant was woken from memory.
    pub woken: u64,
    /// Times that a tenant was read from the store.
    pub loaded: u64,
    /// Times that a tenant gave up its instance.
    pub slept: u64,
}

impl Meter {
    /// The counts of this moment.
    #[must_use]
    pub fn counts(&self) -> Counts {
        // A decrement may be seen before the increment that belongs to it.
        let present = |count: &AtomicI64| u64::try_from(count.load(Relaxed)).unwrap_or(0);
        Counts {
            awake: present(&self.awake),
            asleep: present(&self.asleep),
            asleep_bytes: present(&self.asleep_bytes),
            fresh: present(&self.fresh),
            woken: self.woken.load(Relaxed),
            loaded: self.loaded.load(Relaxed),
            slept: self.slept.load(Relaxed),
        }
    }

    pub(crate) fn woke(&self) {
        self.woken.fetch_add(1, Relaxed);
    }

    pub(crate) fn loaded(&self) {
        self.loaded.fetch_add(1, Relaxed);
    }

    pub(crate) fn slept(&self) {
        self.slept.fetch_add(1, Relaxed);
    }
}

/// Where a tenant is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Awake,
    Asleep { bytes: usize },
    Fresh,
}

/// A tenant that is counted at a place, as long as this exists.
#[derive(Debug)]
pub(crate) struct Tally {
    meter: Arc<Meter>,
    place: Place,
}

impl Tally {
    pub(crate) fn new(meter: &Arc<Meter>, place: Place) -> Self {
        let tally = Self { meter: Arc::clone(meter), place };
        tally.add(1);
        tally
    }

    fn add(&self, tenants: i64) {
        match self.place {
            Place::Awake => &self.meter.awake,
            Place::Asleep { bytes } => {
                // A size of memory.
                self.meter.asleep_bytes.fetch_add(bytes.cast_signed() as i64 * tenants, Relaxed);
                &self.meter.asleep
            }
            Place::Fresh => &self.meter.fresh,
        }
        .fetch_add(tenants, Relaxed);
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        self.add(-1);
    }
}
