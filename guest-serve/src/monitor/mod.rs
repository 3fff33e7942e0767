//! The record of each guest: counts, the last error, logs and events. It outlives the versions of a guest.
//!
//! Threads that serve requests never wait for a disk here: a thread of its own writes logs and events, and lines that it cannot
//! take are counted instead.

mod counts;
mod event;
mod fault;
mod memory;
pub mod ring;
mod writer;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use guest_abi::Level;
use guest_host::Instance;
use guest_tenants::Meter;
use serde_json::json;

pub use counts::{Counts, LATENCY_BOUNDS};
pub use event::Event;
pub(crate) use event::{hex, line_for_people};
pub(crate) use memory::CountedInstance;
pub use writer::Writer;

use crate::error::ServeError;
use crate::folder::GuestName;
use counts::Counters;
use fault::Fault;
use writer::{Job, Sender};

/// The monitors of all guests. Cheap to clone; the clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Monitor {
    guests: Arc<Mutex<BTreeMap<GuestName, Arc<GuestMonitor>>>>,
    /// The counts of tenants, also of guests that were removed.
    meters: Arc<Mutex<BTreeMap<GuestName, Arc<Meter>>>>,
    /// Of the file of programs and records.
    store: Arc<Fault>,
    sender: Sender,
}

/// The record of a guest. All threads write to it.
#[derive(Debug)]
pub struct GuestMonitor {
    name: GuestName,
    counters: Counters,
    last_error: Mutex<Option<LastError>>,
    /// Of making instances.
    instances: Fault,
    /// Counts the tenants of its program.
    meter: Arc<Meter>,
    /// When the last event about a tenant that was limited was written.
    limited: Mutex<Option<Instant>>,
    sender: Sender,
}

/// The last error of a guest's calls. Faults of requests are none.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LastError {
    /// When, as RFC 3339 has it.
    pub time: String,
    /// The tenant.
    pub tenant: String,
    /// The function.
    pub function: String,
    /// The kind of the error.
    pub kind: String,
    /// Its message.
    pub message: String,
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

/// How long nothing has failed before a small write shows that the file works again.
const QUIET: Duration = Duration::from_secs(3);

/// Between two events about tenants of a guest that were limited. There may be thousands each second.
const LIMITED_EVENTS: Duration = Duration::from_secs(10);

/// The kind of an error where no instance could be made.
pub(crate) const NO_INSTANCE: &str = "no-instance";

/// Characters of a message that are kept.
const MESSAGE: usize = 1000;

impl Monitor {
    /// A monitor that writes logs and events to files below `folder`, with at most `log_size` bytes for each guest and for
    /// the events. [`Writer::close`] ends its thread.
    ///
    /// # Errors
    /// [`ServeError::Io`] if the folder cannot be made, and [`ServeError::System`] if there is no thread.
    pub fn start(folder: &Path, log_size: u64) -> Result<(Self, Writer), ServeError> {
        let (sender, writer) = Writer::start(folder, log_size)?;
        Ok((Self { sender, ..Self::default() }, writer))
    }

    /// The monitor of a guest, which begins now if there was none.
    #[must_use]
    pub fn guest(&self, name: &GuestName) -> Arc<GuestMonitor> {
        let mut guests = self.guests.lock().unwrap_or_else(PoisonError::into_inner);
        let mut meters = self.meters.lock().unwrap_or_else(PoisonError::into_inner);
        let begin = || {
            Arc::new(GuestMonitor {
                name: name.clone(),
                counters: Counters::default(),
                last_error: Mutex::default(),
                instances: Fault::default(),
                meter: Arc::clone(meters.entry(name.clone()).or_default()),
                limited: Mutex::default(),
                sender: self.sender.clone(),
            })
        };
        Arc::clone(guests.entry(name.clone()).or_insert_with(begin))
    }

    /// Forgets what was counted of a guest. Its log stays, and so does the count of its tenants: those in memory outlive it.
    pub fn forget(&self, name: &GuestName) {
        self.guests.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }

    /// The counts of all guests, by name.
    #[must_use]
    pub fn counts(&self) -> Vec<(GuestName, Counts)> {
        let guests = self.guests.lock().unwrap_or_else(PoisonError::into_inner);
        guests.iter().map(|(name, guest)| (name.clone(), guest.counts())).collect()
    }

    /// The file of programs and records was read or written, or could not be. An event tells when that begins, and when it ends.
    pub fn store(&self, result: Result<(), &str>) {
        match result {
            Ok(()) if self.store.worked() => self.event(&Event::Store { error: None }),
            Err(error) if self.store.failed(error) => self.event(&Event::Store { error: Some(error) }),
            _ => {}
        }
    }

    /// As [`Monitor::store`], for a write of a few bytes while nothing else is to be written. A disk that is full takes those, so they
    /// count only if nothing has failed for a while.
    pub(crate) fn store_at_rest(&self, result: Result<(), &str>) {
        if result.is_err() || !self.store.failed_within(QUIET) {
            self.store(result);
        }
    }

    /// Why the file of programs and records cannot be used at the moment.
    #[must_use]
    pub fn store_error(&self) -> Option<String> {
        self.store.error()
    }

    /// Writes an event to the file of events and to standard error.
    pub fn event(&self, event: &Event<'_>) {
        self.sender.send(Job::Event(event.line()));
    }
}

impl GuestMonitor {
    /// The guest.
    #[must_use]
    pub fn name(&self) -> &GuestName {
        &self.name
    }

    /// Where the tenants of its program are counted.
    #[must_use]
    pub fn meter(&self) -> &Arc<Meter> {
        &self.meter
    }

    /// A request for a function has ended. Each is recorded once.
    pub fn ended(&self, ended: &Ended<'_>) {
        self.counters.ended(ended.status, ended.took, ended.slow);
        if let Some((kind, message)) = ended.error.filter(|_| counts::is_failure(ended.status)) {
            self.failed(ended, kind, message);
        } else if ended.error.is_none() && self.instances.worked() {
            self.tell_instances(None);
        }
    }

    fn tell_instances(&self, error: Option<&str>) {
        self.sender.send(Job::Event(Event::Instances { guest: self.name.as_str(), error }.line()));
    }

    #[cold]
    fn failed(&self, ended: &Ended<'_>, kind: &str, message: &str) {
        if kind == NO_INSTANCE && self.instances.failed(message) {
            self.tell_instances(Some(message));
        }
        let error = LastError {
            time: event::now(),
            tenant: ended.tenant.to_owned(),
            function: ended.function.to_owned(),
            kind: kind.to_owned(),
            message: guest_host::text::printable_within(message, MESSAGE).into_owned(),
        };
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    }

    /// Writes the log lines of an instance's last call, and how many were cut off. If the disk cannot follow, they are dropped and counted.
    pub fn log(&self, tenant: &str, function: &str, instance: &Instance) {
        self.lines(tenant, function, instance.last_log(), instance.last_log_dropped());
    }

    fn lines<'l>(&self, tenant: &str, function: &str, lines: impl Iterator<Item = (Level, &'l str)>, cut: u64) {
        let mut lines = lines.peekable();
        if lines.peek().is_none() && cut == 0 {
            return;
        }
        let (time, mut text) = (event::now(), String::new());
        let mut write = |level: Level, line: &str| {
            let rest = json!({"tenant": tenant, "function": function, "line": line});
            text.push_str(&event::line(&time, "level", &level.to_string(), &rest));
            text.push('\n');
        };
        lines.for_each(|(level, line)| write(level, line));
        if cut > 0 {
            write(Level::Warn, &format!("{cut} lines were cut off: the call logged more than `log`"));
        }
        self.sender.send(Job::Log(self.name.clone(), text));
    }

    /// A tenant was refused, because it makes more calls than its rate or its queue takes; `reason` says which.
    pub fn limited(&self, tenant: &str, reason: &str) {
        self.counters.limited();
        let mut last = self.limited.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_none_or(|last| last.elapsed() >= LIMITED_EVENTS) {
            *last = Some(Instant::now());
            let (guest, tenant) = (self.name.as_str(), tenant);
            self.sender.send(Job::Event(Event::Limited { guest, tenant, reason }.line()));
        }
    }

    /// Adds to the number of tenants that are known, or takes from it.
    pub fn tenants(&self, change: i64) {
        self.counters.tenants(change);
    }

    /// Adds to the number of instances that exist, and to the bytes of their memories, or takes from both.
    fn instances(&self, change: i64, bytes: i64) {
        self.counters.instances(change, bytes);
    }

    /// The counts so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counters.read()
    }

    /// The last error of its calls.
    #[must_use]
    pub fn last_error(&self) -> Option<LastError> {
        self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests;
