//! The thread without a thread: a test hands jobs in, and does them.

use std::fs;
use std::path::PathBuf;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use clap::Parser;
use guest_abi::function::Declaration;
use guest_functions::wire::Encoding;
use guest_functions::{Kind, Scalar, Type};
use guest_host::{Engine, EngineConfig};
use guest_tenants::redb;
use tempfile::TempDir;
use tokio::sync::watch;

use super::*;
use crate::deployment::Loader;
use crate::folder::GuestFolder;
use crate::lanes::{Lane, SlowOptions};
use crate::programs::away::Errand;
use crate::programs::calls::{Settled, WriteCall};
use crate::programs::numbers::Numbers;
use crate::programs::outbox::{self, Closer, Out, Outgoing};
use crate::programs::{Entrance as Programs, Shared, open_store, tenant_of};
use crate::rate::Rate;
use crate::records::Request;
use crate::registry::Registry;
use crate::room::Room;

/// A program that keeps a number: a message counts 1 and is answered with it, and the end of a connection counts 1000. `add` makes a
/// small record, and `fill` one of 200 000 bytes.
const GUEST: &str = r#"(module
    (import "extension" "intents" (func $intents (param i32 i32)))
    (memory (export "memory") 8)
    (data (i32.const 0) "\85\00\6asys.Record\61c\a0\a1\61n\01")
    (data (i32.const 262144) "\85\00\6asys.Record\61c\a0\a1\61n\5a\00\03\0d\40")
    (data (i32.const 1024) "\01\01\00\00\00") (data (i32.const 1037) "\08\00\00\00")
    (func (export "__guest_exchange") (param i32) (result i32) (i32.const 65536))
    (func $count (param i64) (i64.store (i32.const 1041) (i64.add (i64.load (i32.const 1041)) (local.get 0))))
    (func (export "__guest_function_read") (param i64 i32 i32) (result i64)
        (call $count (i64.const 1))
        (i64.store (i32.const 1029) (local.get 0))
        (i64.or (i64.shl (i64.const 1024) (i64.const 32)) (i64.const 25)))
    (func (export "__guest_function_closed") (param i64) (result i64) (call $count (i64.const 1000)) (i64.const 0))
    (func (export "add") (result i64) (call $intents (i32.const 0) (i32.const 20)) (i64.const 0))
    (func (export "fill") (result i64) (call $intents (i32.const 262144) (i32.const 200024)) (i64.const 0))
    (@custom "guest-abi" "\01\00\00\00") (@custom "guest-functions" "SECTION"))"#;

/// A call of it beyond which a batch of calls is full: each leaves 200 024 bytes.
const FILLING: i64 = 42;

const CONFIG: &str = "[program]\nwebsocket = \"/{tenant}\"\nconnections = 100\n
    [[routes]]\npath = \"/add/{tenant}\"\nextension = \"add\"\n
    [[routes]]\npath = \"/fill/{tenant}\"\nextension = \"fill\"\n";
const ADD: usize = 0;
const FILL: usize = 1;

struct Tested {
    worker: Worker,
    jobs: mpsc::Receiver<Job>,
    programs: Programs,
    deployment: Arc<Deployment>,
    store: RedbStore,
    _slow: Lane<Errand>,
    folder: TempDir,
}

/// The client of a connection.
struct Client {
    number: i64,
    outgoing: Outgoing,
    _closer: Closer,
}

#[derive(Parser)]
struct Options {
    #[command(flatten)]
    programs: crate::programs::ProgramOptions,
}

fn deployment(folder: &TempDir) -> Arc<Deployment> {
    const READ: Declaration<'static> = Declaration::new(
        Kind::Scalar,
        "read",
        &[("connection", Type::of(Scalar::I64)), ("bytes", Type::of(Scalar::Bytes))],
        &[("", Type::of(Scalar::Bytes))],
    );
    const CLOSED: Declaration<'static> = Declaration::new(
        Kind::Scalar,
        "closed",
        &[("connection", Type::of(Scalar::I64))],
        &[("", Type::of(Scalar::Bytes))],
    );
    let entries = [READ.entry::<{ READ.size() }>().to_vec(), CLOSED.entry::<{ CLOSED.size() }>().to_vec()].concat();
    let section: String = entries.iter().map(|byte| format!("\\{byte:02x}")).collect();
    let guest = folder.path().join("guest");
    fs::create_dir(&guest).unwrap();
    fs::write(guest.join("guest.toml"), CONFIG).unwrap();
    fs::write(guest.join("guest.wasm"), wat::parse_str(GUEST.replace("SECTION", &section)).unwrap()).unwrap();
    let loader = Loader::new(Engine::new(&EngineConfig::default()).unwrap(), Monitor::default());
    let folder = GuestFolder::open(folder.path()).unwrap();
    Deployment::load(&loader, folder.read(&"guest".parse().unwrap(), &folder.secrets().unwrap()).unwrap()).unwrap()
}

impl Tested {
    fn new() -> Self {
        let Options { programs: options } = Options::parse_from(["test"]);
        let folder = tempfile::tempdir().unwrap();
        let (store, registry) = (open_store(folder.path()).unwrap(), Registry::default());
        let long = Duration::from_secs(50);
        // Its lane takes no job at all.
        let slow = SlowOptions { threads: 1, waiting: 0, instances: 1, slice: long, longer: long };
        let lane = Errand::lane(&registry, &slow).unwrap();
        let (sender, jobs) = mpsc::channel();
        let shared = Shared {
            workers: vec![sender.clone()],
            numbers: Numbers::open(folder.path()).unwrap(),
            rate: Rate::new(9),
            records: store.reader().without_opening(),
            store: store.clone(),
            send_time: long,
            keep_alive: options.keep_alive,
            room: Room::new(9),
            closing: watch::Sender::new(false),
            open: watch::Sender::new(0),
        };
        let records = Home::new(store.reader(), &registry, 4, long, long);
        let slow = SlowLane { jobs: sender, entrance: lane.entrance(), load: Load::new(1 << 20), slice: long };
        let worker = Worker::new(TenantsConfig::default(), store.clone(), records, slow, Monitor::default());
        let (deployment, programs) = (deployment(&folder), Programs { shared: Arc::new(shared) });
        Self { worker, jobs, programs, deployment, store, _slow: lane, folder }
    }

    fn tenant(&self, key: &str) -> Arc<str> {
        tenant_of(&self.deployment.name, key)
    }

    fn call(&self, key: &str, route: usize) -> oneshot::Receiver<Settled> {
        let event = Arc::from([0xA0]);
        let call = WriteCall {
            request: Request { tenant: self.tenant(key), event, encoding: Encoding::Json, idempotency_key: None },
            deployment: Arc::clone(&self.deployment),
            loaded: self.deployment.loaded().unwrap(),
            route,
            key: key.into(),
            entered: Instant::now(),
            entrance: self.programs.clone(),
        };
        call.enter()
    }

    fn event(&self, key: &str, connection: i64, event: Event) {
        assert!(self.programs.enter(&self.deployment, &self.tenant(key), connection, event));
    }

    fn connect(&self, key: &str, number: i64) -> Client {
        let (outbox, outgoing, _closer) = outbox::queue(1 << 20);
        self.event(key, number, Event::Connected { peer: String::new(), outbox, done: oneshot::channel().0 });
        Client { number, outgoing, _closer }
    }

    fn send(&self, key: &str, client: &Client) {
        self.event(key, client.number, Event::Read { bytes: vec![0], done: oneshot::channel().0 });
    }

    /// Does the jobs that were handed in.
    fn turn(&mut self) {
        let job = self.jobs.try_recv().expect("something was handed in");
        assert!(self.worker.turn(job, &self.jobs).is_none());
    }

    /// Does all jobs, as the thread does, until it is stopped.
    fn run(self) -> RedbStore {
        self.programs.shared.workers[0].send(Job::Stop { within: Duration::ZERO }).unwrap();
        assert!(self.worker.run(&self.jobs));
        self.store
    }

    /// Has an error of the disk close the file, which cannot be opened again until it is [mended](Self::mend).
    fn break_disk(&self) {
        self.store.reader().read(|_| -> Result<(), _> { Err(redb::Error::PreviousIo) }).unwrap_err();
        fs::rename(self.file(), self.folder.path().join("away")).unwrap();
        fs::create_dir(self.file()).unwrap();
    }

    fn mend(&self) {
        fs::remove_dir(self.file()).unwrap();
        fs::rename(self.folder.path().join("away"), self.file()).unwrap();
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join(crate::programs::STORE)
    }

    /// Tenants that count though the file has none of them.
    fn fresh(&self) -> u64 {
        self.deployment.monitor.meter().counts().fresh
    }
}

impl Client {
    /// The number that the program has answered.
    fn number(&mut self) -> u64 {
        match pin!(self.outgoing.next()).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Some(Out::Bytes(bytes))) => u64::from_le_bytes(bytes.as_ref().try_into().unwrap()),
            other => panic!("{other:?}"),
        }
    }
}

fn is_done(settled: &mut oneshot::Receiver<Settled>) -> bool {
    matches!(settled.try_recv(), Ok(Settled::Ended(Ok(_))))
}

#[test]
fn jobs_beyond_those_that_share_a_write_are_done_after_it() {
    let tested = Tested::new();
    let mut calls: Vec<_> = (0..600).map(|tenant| tested.call(&tenant.to_string(), ADD)).collect();
    tested.run();
    assert_eq!(calls.iter_mut().filter_map(|settled| is_done(settled).then_some(())).count(), 600);
}

#[test]
fn a_job_behind_the_call_that_fills_a_batch_is_done_after_it() {
    let tested = Tested::new();
    let numbers = 1..=FILLING + 10;
    let _clients: Vec<Client> = numbers.clone().map(|number| tested.connect("a", number)).collect();
    let fill = |number: i64| {
        let settled = tested.call(&number.to_string(), FILL);
        tested.event("a", number, Event::Closed);
        settled
    };
    let mut calls: Vec<_> = numbers.map(fill).collect();
    let tenant = tested.tenant("a");
    let store = tested.run();
    assert!(calls.iter_mut().all(is_done));
    assert!(store.note(&tenant).unwrap().is_empty(), "the program knows of no connection any more");
}

#[test]
fn a_thread_that_always_has_something_to_do_tidies() {
    let mut tested = Tested::new();
    let instances = |tested: &Tested| tested.deployment.monitor.counts().instances;
    let mut call = tested.call("a", ADD);
    tested.turn();
    assert!(is_done(&mut call) && instances(&tested) == 1);
    let _call = tested.call("a", ADD);
    tested.worker.rested = tested.worker.rested.checked_sub(REST).unwrap();
    tested.turn();
    assert_eq!(instances(&tested), 0, "its guest is not served any more");
}

#[test]
fn the_thread_opens_the_file_again_and_tells_whether_it_can() {
    let mut tested = Tested::new();
    tested.break_disk();
    tested.worker.rest();
    assert!(tested.worker.monitor.store_error().is_some());
    tested.mend();
    tested.worker.rest();
    assert_eq!(tested.store.opened(), 2);
    // A disk that is full would take what was written then, so it counts only after a while without errors.
    assert!(tested.worker.monitor.store_error().is_some());
    while tested.worker.monitor.store_error().is_some() {
        std::thread::sleep(Duration::from_millis(20));
        tested.worker.rest();
    }
    assert_eq!(tested.store.opened(), 2);
    assert!(tested.programs.records_reader().usage("guest").is_ok());
}

#[test]
fn a_program_is_told_later_of_the_end_of_a_connection_if_it_could_not_be_read() {
    let mut tested = Tested::new();
    let (first, mut second) = (tested.connect("a", 1), tested.connect("a", 2));
    tested.turn();
    tested.worker.tenants.store_mut().sync().unwrap();
    tested.break_disk();
    tested.event("a", first.number, Event::Closed);
    tested.turn();
    // Nothing can be read for the next event either.
    let third = tested.connect("a", 3);
    tested.turn();
    drop(third);
    tested.mend();
    tested.send("a", &second);
    tested.turn();
    assert_eq!(second.number(), 1001);
}

#[test]
fn a_tenant_with_a_connection_counts_though_the_slow_lane_takes_no_event_of_it() {
    let mut tested = Tested::new();
    let client = tested.connect("a", 1);
    tested.turn();
    assert_eq!(tested.fresh(), 1);
    tested.worker.paces.was_slow(&tested.tenant("a"));
    tested.send("a", &client);
    tested.turn();
    assert_eq!(tested.fresh(), 1);
    tested.event("a", 1, Event::Closed);
    tested.worker.paces.forget(&tested.tenant("a"));
    tested.turn();
    assert!(tested.worker.open.is_empty());
}

#[test]
fn a_tenant_with_a_connection_counts_though_its_event_on_the_slow_lane_came_to_nothing() {
    let mut tested = Tested::new();
    let client = tested.connect("a", 1);
    tested.turn();
    let (deployment, tenant) = (Arc::clone(&tested.deployment), tested.tenant("a"));
    let task = Task { deployment, tenant, connection: client.number, function: "read", moves: false, done: None };
    let tenant = tested.tenant("a");
    let away = Away { number: 1, task, is_void: false, waiting: VecDeque::new() };
    tested.worker.away.insert(Arc::clone(&tenant), away);
    let result = Err(TenantError::Failed(EventError::GivenUp));
    let back = Back { number: 1, tenant, input: Input::Read(vec![0]), result, took: Duration::ZERO };
    tested.programs.shared.workers[0].send(Job::Back(back)).unwrap();
    tested.turn();
    assert_eq!(tested.fresh(), 1);
}

#[test]
fn a_tenant_with_a_connection_counts_though_its_memory_could_not_be_written() {
    let mut tested = Tested::new();
    let client = tested.connect("a", 1);
    tested.turn();
    tested.send("a", &client);
    let Ok(Job::Event { deployment, tenant, connection, event }) = tested.jobs.try_recv() else { panic!() };
    let mut batch = Batch::new(tested.store.opened());
    tested.worker.proceed(&tenant, Step::new(deployment, connection, event), VecDeque::new(), &mut batch);
    tested.break_disk();
    tested.worker.commit(batch);
    assert_eq!((tested.fresh(), tested.worker.undone.len()), (1, 1));
}

#[test]
fn a_guest_has_one_share_of_the_time_for_its_program_and_its_calls() {
    let mut tested = Tested::new();
    let (version, other) = (tested.deployment.version, tested.deployment.version + 1);
    // The window begins later, so that it does not end before the call.
    let later = Instant::now() + Duration::from_secs(3600);
    assert!(tested.worker.shares.has_time(other, later));
    tested.worker.shares.add(version, Duration::from_secs(1));
    let mut call = tested.call("a", ADD);
    tested.turn();
    assert!(matches!(call.try_recv(), Ok(Settled::Slow(_))), "its program has used it");
}
