//! What happened to each guest: counts, logs and the last error. It outlives the versions of a guest.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use guest_abi::Level;

use crate::folder::GuestName;

/// The monitors of all guests. Cheap to clone; the clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Monitor {
    guests: Arc<Mutex<BTreeMap<GuestName, Arc<GuestMonitor>>>>,
}

/// What happened to a guest. All threads write to it.
#[derive(Debug)]
pub struct GuestMonitor {
    name: GuestName,
    calls: AtomicU64,
}

/// The end of a call, or of a request that came to none.
#[derive(Debug, Clone, Copy)]
pub struct Ended<'a> {
    /// The tenant.
    pub tenant: &'a str,
    /// The function.
    pub function: &'a str,
    /// The status of the response.
    pub status: u16,
    /// From the request's last byte to the end of the call.
    pub took: Duration,
    /// Whether the slow lane made the call.
    pub slow: bool,
    /// The kind and message of the error, if it failed.
    pub error: Option<(&'a str, &'a str)>,
}

impl Monitor {
    /// The monitor of a guest, which begins now if there was none.
    #[must_use]
    pub fn guest(&self, name: &GuestName) -> Arc<GuestMonitor> {
        let mut guests = self.guests.lock().unwrap_or_else(PoisonError::into_inner);
        let begin = || Arc::new(GuestMonitor { name: name.clone(), calls: AtomicU64::new(0) });
        Arc::clone(guests.entry(name.clone()).or_insert_with(begin))
    }
}

impl GuestMonitor {
    /// The guest.
    #[must_use]
    pub fn name(&self) -> &GuestName {
        &self.name
    }

    /// A request for a function has ended. Each is recorded once.
    pub fn ended(&self, ended: &Ended<'_>) {
        let _ = ended;
        self.calls.fetch_add(1, Ordering::Relaxed);
    }

    /// The log lines of a call that ended.
    pub fn log<'l>(&self, tenant: &str, function: &str, lines: impl Iterator<Item = (Level, &'l str)>) {
        let _ = (tenant, function, lines.count());
    }

    /// A tenant was refused, because it makes more calls than its rate or its queue takes.
    pub fn limited(&self, tenant: &str, reason: &str) {
        let _ = (tenant, reason);
    }

    /// Adds to the number of tenants that are known, or takes from it.
    pub fn tenants(&self, change: i64) {
        let _ = change;
    }

    /// Adds to the number of instances that exist, and to the bytes of their memories, or takes from both.
    pub fn instances(&self, change: i64, bytes: i64) {
        let _ = (change, bytes);
    }
}
