//! Threads that apply events to the records of tenants. Nothing here knows of NATS: a record and events give a record.

mod worker;

use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};

use guest_serve::deployment::Deployment;
use guest_serve::error::ServeError;
use guest_serve::monitor::Monitor;
use sha2::{Digest as _, Sha256};
use tokio::sync::oneshot;

use crate::names::Tenant;
use crate::record::Record;
use worker::Worker;

/// The connection over which a program is reached: there is one, which is open from its first event on.
pub const CONNECTION: i64 = 0;

/// An event of a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its place in the stream of events.
    pub sequence: u64,
    /// A hash of the id that its sender gave it: see [`hash_of_id`].
    pub id: Option<u64>,
    /// The bytes that the program reads.
    pub bytes: Vec<u8>,
}

/// The hash of an event's id: it is kept, so it is the same in all versions.
#[must_use]
pub fn hash_of_id(id: &str) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = <[u8; 32]>::from(Sha256::digest(id));
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}

/// Bytes that the parts of a record may have, as it has them, so that it fits into a message of NATS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// Of an image, encoded.
    pub image: u64,
    /// Of the outputs of a record: further events are for the next one.
    pub outputs: usize,
    /// Of the outputs of one event.
    pub event: usize,
}

impl Sizes {
    /// The sizes for messages of at most `message` bytes: half is for the image, and three eighths for outputs. The last eighth is for the
    /// other fields, among them kind and reason of an event that failed.
    #[must_use]
    pub const fn of(message: usize) -> Self {
        Self { image: message as u64 / 2, outputs: message / 8, event: message / 4 }
    }
}

/// Threads that apply events. Cheap to clone; the clones are the same.
#[derive(Debug, Clone)]
pub struct Executor {
    threads: Arc<Threads>,
}

#[derive(Debug)]
struct Threads {
    senders: Vec<mpsc::Sender<Job>>,
    handles: Vec<JoinHandle<()>>,
}

/// Events that are to be applied.
#[derive(Debug)]
struct Job {
    deployment: Arc<Deployment>,
    tenant: Tenant,
    record: Arc<Record>,
    events: Vec<Event>,
    done: oneshot::Sender<Record>,
}

/// The executor has stopped.
#[derive(Debug, thiserror::Error)]
#[error("the threads of programs have ended")]
pub struct Stopped;

impl Executor {
    /// Starts `threads` threads with `instances` instances each.
    ///
    /// # Errors
    /// [`ServeError::System`] if the system has no thread.
    pub fn start(
        threads: NonZeroUsize,
        instances: NonZeroUsize,
        sizes: Sizes,
        monitor: &Monitor,
    ) -> Result<Self, ServeError> {
        let (mut senders, mut handles) = (Vec::new(), Vec::new());
        for number in 0..threads.get() {
            let (sender, jobs) = mpsc::channel();
            let monitor = monitor.clone();
            let run = move || {
                let mut worker = Worker::new(instances, sizes, monitor.clone());
                for job in jobs {
                    if catch_unwind(AssertUnwindSafe(|| worker.run(job))).is_err() {
                        // A fault of this program: its data may be inconsistent. The caller tries again.
                        worker = Worker::new(instances, sizes, monitor.clone());
                    }
                }
            };
            let handle = thread::Builder::new().name(format!("programs-{number}")).spawn(run);
            handles
                .push(handle.map_err(|source| ServeError::System { what: "start the threads of programs", source })?);
            senders.push(sender);
        }
        Ok(Self { threads: Arc::new(Threads { senders, handles }) })
    }

    /// Applies events to the record of a tenant, in order. The new record has the outputs of those that it took, which are
    /// those up to [`Record::applied`]: at least the first.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn apply(
        &self,
        deployment: &Arc<Deployment>,
        tenant: &Tenant,
        record: &Arc<Record>,
        events: Vec<Event>,
    ) -> Result<Record, Stopped> {
        let (done, result) = oneshot::channel();
        let (deployment, record) = (Arc::clone(deployment), Arc::clone(record));
        let senders = &self.threads.senders;
        let hasher: BuildHasherDefault<DefaultHasher> = BuildHasherDefault::default();
        // Less than the number of threads.
        let thread = (hasher.hash_one(tenant) % senders.len() as u64) as usize;
        let job = Job { deployment, tenant: tenant.clone(), record, events, done };
        senders[thread].send(job).map_err(|_| Stopped)?;
        result.await.map_err(|_| Stopped)
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.senders.clear();
        for handle in self.handles.drain(..) {
            // A fault in it was printed.
            let _ = handle.join();
        }
    }
}
