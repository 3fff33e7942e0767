//! Programs: tenants that keep their memory between events of their connections.
//!
//! The host owns the connections. For each event of a connection it calls the program of its tenant, and then carries out the actions
//! in the result. All events of a tenant go to one thread, which has the instances; between two events the tenant may sleep. A
//! call that fails is undone, and its connection is closed.

mod away;
mod batch;
mod calls;
mod connection;
mod event;
mod load;
mod manage;
mod name;
mod numbers;
mod outbox;
mod steps;
mod tcp;
mod websocket;
mod worker;

use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use guest_tenants::{RedbReader, RedbStore, TenantsConfig};
use tokio::sync::watch;

use crate::deployment::Deployment;
use crate::error::ServeError;
use crate::lanes::{Lane, SlowOptions};
use crate::monitor::Monitor;
use crate::rate::Rate;
use crate::records::make_tables;
use crate::registry::Registry;
use crate::room::Room;
use away::Errand;
pub use calls::CallError;
use calls::{CallJob, Home};
pub(crate) use calls::{Settled, WriteCall};
use load::Load;
pub(crate) use manage::{ManageError, Page, Places};
pub(crate) use name::{prefix_of, tenant_of};
use numbers::Numbers;
use tcp::Listeners;
pub use websocket::{Upgrade, is_upgrade};
use worker::{Event, Job, SlowLane, Worker};

/// The file of sleeping tenants, in the server's own folder.
const STORE: &str = "tenants.redb";

/// Bytes of this file that are kept in memory.
const STORE_CACHE: usize = 16 << 20;

/// How programs are run.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Programs")]
#[non_exhaustive]
pub struct ProgramOptions {
    /// Threads that run programs [default: as many as there are processors]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=256))]
    pub program_threads: Option<u32>,
    /// Instances of programs, and as many again for functions with records, that each of these threads keeps. Further tenants of programs
    /// sleep.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub program_instances: u32,
    /// Memory that sleeping programs may take, and as much again those whose events are on slow threads. Those that slept longest
    /// are in a file in FOLDER/.serve.
    #[arg(long, value_name = "SIZE", default_value = "64MiB", value_parser = guest_host::text::size)]
    pub asleep_memory: u64,
    /// How long a client of a program may be silent before it is asked whether it is still there: by a ping of a WebSocket, or
    /// by the system over TCP. One that does not answer for as long again is disconnected.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = guest_host::text::duration)]
    pub keep_alive: Duration,
}

/// What programs have in common with requests.
#[derive(Debug, Clone, Copy)]
pub struct Common {
    /// The slow lane, and what belongs to it.
    pub slow: SlowOptions,
    /// How long a client may read nothing of what is sent to it.
    pub send: Duration,
    /// Connections of clients that there are at most.
    pub connections: u32,
}

/// The way into the threads of programs. Cheap to clone; the clones are the same.
#[derive(Debug, Clone)]
pub struct Entrance {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    workers: Vec<mpsc::Sender<Job>>,
    numbers: Numbers,
    rate: Rate,
    /// The records of all tenants, and their images. Threads of requests read them, and must not wait for a file to be opened again:
    /// the threads of programs do that.
    records: RedbReader,
    /// The file of sleeping tenants.
    store: RedbStore,
    /// How long a client may read nothing of what is sent to it.
    send_time: Duration,
    /// How long a client may be silent before it is asked whether it is there.
    keep_alive: Duration,
    /// Room for connections.
    room: Arc<Room>,
    /// Whether connections are closed.
    closing: watch::Sender<bool>,
    /// Connections that are open.
    open: watch::Sender<usize>,
}

/// The threads of programs, until they are closed.
#[derive(Debug)]
pub struct Programs {
    entrance: Option<Entrance>,
    listeners: Option<Listeners>,
    workers: Vec<JoinHandle<bool>>,
    /// Ends after the threads that wait for it.
    slow: Option<Lane<Errand>>,
}

impl Programs {
    /// Starts the threads. Tenants that slept when the server stopped go on; `own` is the server's own folder, and `common` has
    /// what programs and requests have in common.
    ///
    /// # Errors
    /// [`ServeError`] if a file in the folder cannot be used, or the system has no thread.
    pub fn start(
        own: &Path,
        registry: &Registry,
        monitor: &Monitor,
        rate: Rate,
        common: &Common,
        options: &ProgramOptions,
    ) -> Result<Self, ServeError> {
        let store = open_store(own)?;
        let count = options
            .program_threads
            .map_or_else(|| thread::available_parallelism().map_or(1, NonZeroUsize::get), |threads| threads as usize);
        let asleep = usize::try_from(options.asleep_memory).unwrap_or(usize::MAX) / count;
        let instances = NonZeroUsize::new(options.program_instances as usize).unwrap_or(NonZeroUsize::MIN);
        let config = TenantsConfig::default().with_instances(instances).with_asleep_bytes(asleep);
        let numbers = Numbers::open(own)?;
        let no_thread = |source| ServeError::System { what: "start the threads of programs", source };
        let slow = Errand::lane(registry, &common.slow).map_err(no_thread)?;
        let entrance = slow.entrance();
        let mut programs = Self { entrance: None, listeners: None, workers: Vec::new(), slow: Some(slow) };
        let load = Load::new(usize::try_from(options.asleep_memory).unwrap_or(usize::MAX));
        let mut senders = Vec::new();
        for number in 0..count {
            let (sender, jobs) = mpsc::channel();
            let records = Home::new(store.reader(), registry, instances.get(), common.slow.slice, common.slow.longer);
            let (back, entrance, load) = (sender.clone(), entrance.clone(), Arc::clone(&load));
            let slow = SlowLane { jobs: back, entrance, load, slice: common.slow.slice };
            let worker = Worker::new(config, store.clone(), records, slow, monitor.clone());
            let thread = thread::Builder::new().name(format!("programs-{number}")).spawn(move || worker.run(&jobs));
            match thread {
                Ok(thread) => programs.workers.push(thread),
                Err(error) => {
                    stop(&senders, Duration::ZERO);
                    return Err(no_thread(error));
                }
            }
            senders.push(sender);
        }
        let shared = Shared {
            workers: senders,
            numbers,
            rate,
            records: store.reader().without_opening(),
            store,
            send_time: common.send,
            keep_alive: options.keep_alive,
            room: Room::new(common.connections),
            closing: watch::Sender::new(false),
            open: watch::Sender::new(0),
        };
        let entrance = Entrance { shared: Arc::new(shared) };
        programs.entrance = Some(entrance.clone());
        programs.listeners = Some(Listeners::start(registry.clone(), monitor.clone(), entrance)?);
        Ok(programs)
    }

    /// The way in.
    ///
    /// # Panics
    /// After [`Programs::close`].
    #[must_use]
    pub fn entrance(&self) -> Entrance {
        self.entrance.clone().expect("it is open")
    }

    /// Closes all connections, and tells the programs. Waits at most so long for connections to end; says whether all have. Calls of
    /// extension functions go on.
    pub fn hang_up(&self, longest: Duration) -> bool {
        let Some(entrance) = &self.entrance else { return true };
        entrance.shared.closing.send_replace(true);
        let begun = Instant::now();
        let mut ended = *entrance.shared.open.borrow() == 0;
        while !ended && begun.elapsed() < longest {
            thread::sleep(Duration::from_millis(5));
            ended = *entrance.shared.open.borrow() == 0;
        }
        ended
    }

    /// [Hangs up](Programs::hang_up), and keeps what tenants have. Waits at most so long, also for events on the slow lane. Says whether
    /// all connections and events have ended.
    pub fn close(&mut self, longest: Duration) -> bool {
        let begun = Instant::now();
        let mut ended = self.hang_up(longest);
        let Some(entrance) = self.entrance.take() else { return ended };
        drop(self.listeners.take());
        stop(&entrance.shared.workers, longest.saturating_sub(begun.elapsed()));
        for worker in self.workers.drain(..) {
            // A fault in it was printed.
            ended &= worker.join().unwrap_or(false);
        }
        drop(self.slow.take());
        ended
    }
}

/// Has threads of programs end, after so long at most.
fn stop(workers: &[mpsc::Sender<Job>], within: Duration) {
    for worker in workers {
        // A thread that has ended has nothing left to keep.
        let _ = worker.send(Job::Stop { within });
    }
}

impl Drop for Programs {
    fn drop(&mut self) {
        self.close(Duration::ZERO);
    }
}

impl Entrance {
    /// The thread of a tenant, which stays the same as long as the number of threads does.
    fn worker(&self, tenant: &str) -> &mpsc::Sender<Job> {
        &self.shared.workers[self.number_of(tenant)]
    }

    fn number_of(&self, tenant: &str) -> usize {
        let hasher: BuildHasherDefault<DefaultHasher> = BuildHasherDefault::default();
        // Less than the number of threads.
        (hasher.hash_one(tenant) % self.shared.workers.len() as u64) as usize
    }

    /// The room for connections, which those of requests take, too.
    pub(crate) fn room(&self) -> &Arc<Room> {
        &self.shared.room
    }

    /// Hands in work for the thread of a tenant. If the server stops, nobody takes it: what it holds is dropped.
    fn enter_call(&self, tenant: &str, job: CallJob) {
        let _ = self.worker(tenant).send(Job::Call(job));
    }

    /// Reads the records of all tenants.
    pub(crate) fn records_reader(&self) -> &RedbReader {
        &self.shared.records
    }

    /// Hands an event in. Says whether there is a thread that takes it.
    fn enter(&self, deployment: &Arc<Deployment>, tenant: &Arc<str>, connection: i64, event: Event) -> bool {
        let job = Job::Event { deployment: Arc::clone(deployment), tenant: Arc::clone(tenant), connection, event };
        self.worker(tenant).send(job).is_ok()
    }
}

/// Opens the file of sleeping tenants, or makes it.
///
/// # Errors
/// [`ServeError::Io`].
pub(crate) fn open_store(own: &Path) -> Result<RedbStore, ServeError> {
    let path = own.join(STORE);
    let store = RedbStore::open(&path, STORE_CACHE).and_then(|mut store| {
        store.commit_with(&[], make_tables)?;
        Ok(store)
    });
    store.map_err(|error| ServeError::io("use the file of sleeping programs", &path)(std::io::Error::other(error)))
}
