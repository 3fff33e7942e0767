//! Calls that share a transaction, which is written or fails.

use std::fs;
use std::path::Path;

use clap::Parser;
use guest_functions::wire::Encoding;
use guest_host::{Engine, EngineConfig};
use guest_tenants::RedbStore;
use tempfile::TempDir;

use super::*;
use crate::deployment::{Deployment, Loader};
use crate::folder::GuestFolder;
use crate::lanes::SlowOptions;
use crate::monitor::Monitor;
use crate::programs::{Common, ProgramOptions, Programs, tenant_of};
use crate::rate::Rate;
use crate::records::{IdempotencyKey, Request, make_tables};

/// `add` makes the record `c`, and `update` changes it, which fails if there is none.
const GUEST: &str = r#"(module
    (import "extension" "intents" (func $intents (param i32 i32)))
    (memory (export "memory") 8)
    (data (i32.const 0) "\85\00\6asys.Record\61c\a0\a1\61n\01") (data (i32.const 64) "\85\01\6asys.Record\61c\a0\a1\61n\02")
    (func (export "__guest_exchange") (param i32) (result i32) (i32.const 65536))
    (func (export "add") (result i64) (call $intents (i32.const 0) (i32.const 20)) (i64.const 0))
    (func (export "update") (result i64) (call $intents (i32.const 64) (i32.const 20)) (i64.const 0))
    (@custom "guest-abi" "\01\00\00\00"))"#;

const ADD: usize = 0;
const UPDATE: usize = 1;

#[derive(Parser)]
struct Options {
    #[command(flatten)]
    programs: ProgramOptions,
}

struct Tested {
    home: Home,
    store: RedbStore,
    deployment: Arc<Deployment>,
    programs: Programs,
    _folder: TempDir,
}

fn deployment(folder: &Path) -> Arc<Deployment> {
    let guest = folder.join("guest");
    fs::create_dir(&guest).unwrap();
    let route = |name: &str| format!("[[routes]]\npath = \"/{name}\"\nextension = \"{name}\"\n");
    fs::write(guest.join("guest.toml"), ["add", "update"].map(route).concat()).unwrap();
    fs::write(guest.join("guest.wasm"), wat::parse_str(GUEST).unwrap()).unwrap();
    let loader = Loader::new(Engine::new(&EngineConfig::default()).unwrap(), Monitor::default());
    let folder = GuestFolder::open(folder).unwrap();
    Deployment::load(&loader, folder.read(&"guest".parse().unwrap(), &folder.secrets().unwrap()).unwrap()).unwrap()
}

impl Tested {
    fn new() -> Self {
        let Options { programs } = Options::parse_from(["test", "--program-threads=1"]);
        let long = Duration::from_secs(50);
        let slow = SlowOptions { threads: 1, waiting: 9, instances: 1, slice: long, longer: long };
        let common = Common { slow, send: long, connections: 9 };
        let folder = tempfile::tempdir().unwrap();
        let registry = Registry::default();
        let mut store = RedbStore::open(&folder.path().join("records.redb"), 1 << 20).unwrap();
        store.commit_with(&[], make_tables).unwrap();
        Self {
            home: Home::new(store.reader(), &registry, 4, slow.slice, slow.longer),
            store,
            deployment: deployment(folder.path()),
            // Nothing enters its own threads.
            programs: Programs::start(folder.path(), &registry, &Monitor::default(), Rate::new(9), &common, &programs)
                .unwrap(),
            _folder: folder,
        }
    }

    fn call(&mut self, tenant: &str, route: usize, key: Option<&str>) -> oneshot::Receiver<Settled> {
        let (reply, settled) = oneshot::channel();
        self.take(tenant, route, key, reply);
        settled
    }

    fn take(&mut self, tenant: &str, route: usize, key: Option<&str>, reply: oneshot::Sender<Settled>) {
        let request = Request {
            tenant: tenant_of(&self.deployment.name, tenant),
            event: Arc::from([0xA0]),
            encoding: Encoding::Json,
            idempotency_key: key.map(|key| IdempotencyKey::new(key.as_bytes(), &[]).unwrap()),
        };
        let call = WriteCall {
            request,
            deployment: Arc::clone(&self.deployment),
            loaded: self.deployment.loaded().unwrap(),
            route,
            key: tenant.into(),
            entered: Instant::now(),
            entrance: self.programs.entrance(),
        };
        self.home.take(CallJob::Call(Waiting { call: Box::new(call), reply }));
    }

    /// Writes what the calls left, as the thread does.
    fn commit(&mut self) {
        if self.home.is_changed() {
            let (waits, home) = (self.home.waits(), &mut self.home);
            self.store.commit_with(&[], |transaction| home.write(transaction, waits)).unwrap();
        }
        self.home.end(Ok(()));
    }
}

/// The end of a call: its response, or its error.
fn end(settled: &mut oneshot::Receiver<Settled>) -> String {
    match settled.try_recv().expect("it has ended") {
        Settled::Ended(Ok(response)) => String::from_utf8(response.bytes).unwrap(),
        Settled::Ended(Err(CallError::Records(RecordsError::Intents(_)))) => "intents".to_owned(),
        Settled::Ended(Err(CallError::Records(RecordsError::Store(_)))) => "store".to_owned(),
        Settled::Ended(Err(error)) => error.to_string(),
        Settled::Slow(_) => "slow".to_owned(),
    }
}

#[test]
fn calls_find_what_was_left_before_them_and_are_answered_when_it_is_written() {
    let mut tested = Tested::new();
    let mut calls = [
        tested.call("a", UPDATE, None),
        tested.call("a", ADD, None),
        tested.call("a", UPDATE, None),
        tested.call("b", UPDATE, None),
    ];
    assert!(calls.iter_mut().all(|settled| settled.try_recv().is_err()), "nothing is written yet");
    tested.commit();
    assert_eq!(calls.each_mut().map(end), ["intents", "null\n", "null\n", "intents"]);
    let mut later = tested.call("a", UPDATE, None);
    tested.commit();
    assert_eq!(end(&mut later), "null\n");
}

#[test]
fn nothing_is_left_of_calls_whose_transaction_fails() {
    let mut tested = Tested::new();
    let mut calls =
        [tested.call("a", ADD, Some("key")), tested.call("a", UPDATE, None), tested.call("b", UPDATE, None)];
    tested.home.end(Err("the disk is full"));
    assert_eq!(calls.each_mut().map(end), ["store", "store", "store"]);
    // The record and the response are not there, and the next transaction is as if nothing had been.
    let mut calls =
        [tested.call("a", UPDATE, None), tested.call("a", ADD, Some("key")), tested.call("a", ADD, Some("key"))];
    tested.commit();
    assert_eq!(calls.each_mut().map(end), ["intents", "null\n", "null\n"]);
}

#[test]
fn calls_that_have_read_another_opening_of_the_file_leave_nothing_and_the_file_stays_open() {
    let mut tested = Tested::new();
    let mut call = tested.call("a", ADD, None);
    // An error that another thread meets.
    tested.store.reader().read(|_| -> Result<(), _> { Err(redb::Error::PreviousIo) }).unwrap_err();
    tested.commit();
    assert_eq!((end(&mut call), tested.store.opened(), tested.store.is_open()), ("store".to_owned(), 2, true));
    let mut later = [tested.call("a", UPDATE, None), tested.call("a", ADD, None)];
    tested.commit();
    assert_eq!((later.each_mut().map(end), tested.store.opened()), (["intents".to_owned(), "null\n".to_owned()], 2));
}

#[test]
fn the_first_calls_after_an_error_open_the_file_and_are_written() {
    let mut tested = Tested::new();
    tested.store.reader().read(|_| -> Result<(), _> { Err(redb::Error::PreviousIo) }).unwrap_err();
    let mut call = tested.call("a", ADD, None);
    tested.commit();
    assert_eq!((end(&mut call), tested.store.opened()), ("null\n".to_owned(), 2));
}

#[test]
fn a_call_that_nobody_waits_for_is_not_made() {
    let mut tested = Tested::new();
    drop(tested.call("a", ADD, None));
    // That one began, as its client waited then.
    let (reply, settled) = oneshot::channel();
    drop(settled);
    tested.take("b", ADD, None, reply);
    let mut calls = [tested.call("a", UPDATE, None), tested.call("b", UPDATE, None)];
    tested.commit();
    assert_eq!(calls.each_mut().map(end), ["null\n", "intents"]);
}

#[test]
fn a_call_elsewhere_does_not_bring_back_records_that_were_removed_meanwhile() {
    let mut tested = Tested::new();
    let tenant = tenant_of(&tested.deployment.name, "a");
    let intents = b"\x85\x00\x6asys.Record\x61c\xa0\xa1\x61n\x01".to_vec();
    for is_forgotten in [true, false] {
        tested.deployment.paces[ADD].was_slow();
        let mut slow = tested.call("a", ADD, None);
        let waiting = tested.home.leaving.pop().unwrap();
        if is_forgotten {
            let (reply, _forgotten) = oneshot::channel();
            tested.home.take(CallJob::Forget(Forgotten { tenant: Arc::clone(&tenant), records: 0, reply }));
            tested.commit();
        }
        tested.home.take(CallJob::Ended { waiting, intents: intents.clone() });
        let mut next = tested.call("a", UPDATE, None);
        tested.commit();
        let ended = (end(&mut slow), end(&mut next));
        match is_forgotten {
            true => assert!(ended.0.contains("were removed while the call ran") && ended.1 == "intents", "{ended:?}"),
            false => assert_eq!(ended, ("null\n".to_owned(), "null\n".to_owned())),
        }
    }
}
