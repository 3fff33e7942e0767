//! The store beside the in-memory state: whatever is done to both, they give the same.

use std::path::Path;
use std::task::{Context, Waker};

use example_service::metrics::ServiceMetrics;
use example_service::store::{Snapshot, Store, StoreError};
use example_service::turns::Turns;
use guest_abi::intent::{Operation, encode_header};
use guest_abi::key::Key;
use guest_abi::value::{ObjectEncoder, ValueRef};
use guest_host::MemoryState;
use guest_state::MemoryStateError;
use proptest::prelude::*;

/// The value of a field.
#[derive(Debug, Clone)]
enum Field {
    Narrow(i32),
    Wide(i64),
    Float(f64),
    Text(String),
    Bytes(Vec<u8>),
    Bool(bool),
    Nested(Vec<i32>),
}

#[derive(Debug, Clone)]
struct Place {
    storage: &'static str,
    entity: &'static str,
    fields: Vec<(&'static str, Field)>,
}

/// The effect of one intent: its operation, its place and its fields.
type Intended = (Operation, Place, Vec<(&'static str, Field)>);

#[derive(Debug, Clone)]
enum Step {
    Apply(Vec<Intended>),
    Get(Place),
    /// The number is the room for rows, in bytes.
    Read(Place, usize),
}

const NAMES: [&str; 4] = ["a", "b", "", "long name of a field"];

fn scalar() -> impl Strategy<Value = Field> {
    prop_oneof![
        (-3..30).prop_map(Field::Narrow),
        prop_oneof![Just(i64::MAX), Just(i64::MIN), -3..30_i64].prop_map(Field::Wide),
        prop_oneof![Just(0.5), Just(-0.0), (-3..30).prop_map(f64::from)].prop_map(Field::Float),
        "[ab]{0,2}".prop_map(Field::Text),
        proptest::collection::vec(any::<u8>(), 0..2).prop_map(Field::Bytes),
        any::<bool>().prop_map(Field::Bool),
    ]
}

fn place() -> impl Strategy<Value = Place> {
    let fields = proptest::collection::vec((proptest::sample::select(&NAMES[..2]), scalar()), 0..3);
    let storage = proptest::sample::select(&["sys.View", "sys.Record", "my.Store", "my.Store.b"][..]);
    (storage, proptest::sample::select(&["", "E", "F"][..]), fields).prop_map(|(storage, entity, fields)| Place {
        storage,
        entity,
        fields,
    })
}

fn value() -> impl Strategy<Value = Vec<(&'static str, Field)>> {
    let nested = proptest::collection::vec(0..9, 0..3).prop_map(Field::Nested);
    proptest::collection::vec((proptest::sample::select(&NAMES[..]), prop_oneof![3 => scalar(), 1 => nested]), 0..4)
}

fn step() -> impl Strategy<Value = Step> {
    let operation = prop_oneof![Just(Operation::New), Just(Operation::Update)];
    let intents = proptest::collection::vec((operation, place(), value()), 1..4);
    prop_oneof![
        3 => intents.prop_map(Step::Apply),
        1 => place().prop_map(Step::Get),
        1 => (place(), 0..100_usize).prop_map(|(place, room)| Step::Read(place, room)),
    ]
}

fn write(fields: &[(&'static str, Field)], out: &mut Vec<u8>) {
    let mut writer = ObjectEncoder::begin(out);
    for (name, field) in fields {
        match field {
            Field::Narrow(value) => _ = writer.put_i32(name, *value),
            Field::Wide(value) => _ = writer.put_i64(name, *value),
            Field::Float(value) => _ = writer.put_f64(name, *value),
            Field::Text(value) => _ = writer.put_str(name, value),
            Field::Bytes(value) => _ = writer.put_bytes(name, value),
            Field::Bool(value) => _ = writer.put_bool(name, *value),
            Field::Nested(values) => writer.put_array(name, |array| {
                for value in values {
                    array.push_object(|object| {
                        object.put_i32("x", *value).put_i32("x", 1);
                    });
                }
            }),
        }
    }
    writer.end();
}

/// A key map in its wire form.
fn key_map(place: &Place) -> Vec<u8> {
    let mut map = Vec::new();
    write(&place.fields, &mut map);
    map
}

fn key<'a>(place: &Place, map: &'a [u8]) -> Key<'a> {
    Key::of_parts(place.storage, place.entity, map).unwrap()
}

fn stream(intents: &[Intended]) -> Vec<u8> {
    let mut stream = Vec::new();
    for (operation, place, value) in intents {
        encode_header(&mut stream, *operation);
        let mut encoder = minicbor::Encoder::new(&mut stream);
        encoder.str(place.storage).unwrap().str(place.entity).unwrap();
        write(&place.fields, &mut stream);
        write(value, &mut stream);
    }
    stream
}

/// All rows, read in pages with this room, or with as much as the first row needs.
fn rows(
    mut read: impl FnMut(Option<ValueRef<'_>>, &mut [u8]) -> Result<usize, String>,
    room: usize,
) -> Result<Vec<u8>, ()> {
    let (mut all, mut last) = (Vec::new(), None::<Vec<u8>>);
    let mut out = vec![0; room];
    loop {
        let written = read(last.as_deref().map(ValueRef::new), &mut out).map_err(drop)?;
        match out.get(..written) {
            Some([]) => return Ok(all),
            Some(page) => {
                let mut rest = page;
                while !rest.is_empty() {
                    let key = ValueRef::new(rest).exact_bytes().unwrap();
                    let value = ValueRef::new(&rest[key.len()..]).exact_bytes().unwrap();
                    last = Some(key.to_vec());
                    rest = &rest[key.len() + value.len()..];
                }
                all.extend_from_slice(page);
            }
            None => out.resize(written, 0),
        }
    }
}

fn open(path: &Path) -> (Store, example_service::store::Writer) {
    Store::open(path, ServiceMetrics::default()).unwrap()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().build().unwrap()
}

async fn commit(store: &Store, turns: &Turns, tenant: &str, intents: Vec<u8>) -> Result<(), StoreError> {
    let turn = turns.enter(tenant).unwrap().turn().await;
    store.commit(turn, intents).await
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn the_store_gives_what_the_in_memory_state_gives(steps in proptest::collection::vec((0..2_usize, step()), 1..20)) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        let mut models = [MemoryState::new(), MemoryState::new()];
        let (runtime, turns) = (runtime(), Turns::new(1, 1));
        let (mut store, mut writer) = open(&path);
        for (number, (index, step)) in steps.iter().enumerate() {
            if number == 10 {
                drop(store);
                writer.join();
                (store, writer) = open(&path);
            }
            let (model, tenant) = (&mut models[*index], ["a", "ab"][*index]);
            match step {
                Step::Apply(intents) => {
                    let stream = stream(intents);
                    let expected = model.apply(&stream).map(drop).map_err(|error| error.to_string());
                    let applied = runtime.block_on(commit(&store, &turns, tenant, stream));
                    prop_assert_eq!(applied.is_ok(), expected.is_ok(), "{:?} {:?}", applied, expected);
                }
                Step::Get(place) => {
                    let map = key_map(place);
                    let expected = model.get(&key(place, &map)).map(|value| value.map(<[u8]>::to_vec)).map_err(drop);
                    let found = store.snapshot().unwrap().get(tenant, &key(place, &map)).map_err(drop);
                    prop_assert_eq!(found, expected);
                }
                Step::Read(place, room) => {
                    let map = key_map(place);
                    let key = key(place, &map);
                    let snapshot = store.snapshot().unwrap();
                    let expected = rows(|after, out| model.read(&key, after, out).map_err(|error| error.to_string()), *room);
                    let read = |after: Option<ValueRef<'_>>, out: &mut [u8]| {
                        let read = snapshot.read(tenant, &key, after, out.len()).map_err(|error| error.to_string())?;
                        if let Some(out) = out.get_mut(..read.len()) {
                            out.copy_from_slice(&read);
                        }
                        Ok(read.len())
                    };
                    prop_assert_eq!(rows(read, *room), expected);
                }
            }
        }
        drop(store);
        writer.join();
    }
}

/// The number of records of this storage.
fn count(snapshot: &Snapshot, tenant: &str, storage: &str) -> usize {
    snapshot.list(tenant, &Key::of_storage(storage), usize::MAX).unwrap().len()
}

fn new_record(name: &'static str) -> Vec<u8> {
    let place = Place { storage: "sys.View", entity: "", fields: vec![("a", Field::Text(name.to_owned()))] };
    stream(&[(Operation::New, place, Vec::new())])
}

#[test]
fn a_snapshot_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let (store, writer) = open(&folder.path().join("store"));
    let turns = Turns::new(9, 9);
    let before = store.snapshot().unwrap();
    runtime().block_on(commit(&store, &turns, "a", new_record("x"))).unwrap();
    assert_eq!(count(&before, "a", "sys.View"), 0);
    assert_eq!(count(&store.snapshot().unwrap(), "a", "sys.View"), 1);
    drop((before, store));
    writer.join();
}

#[test]
fn a_commit_that_nobody_waits_for_is_whole_before_the_next_turn_begins() {
    let folder = tempfile::tempdir().unwrap();
    let (store, writer) = open(&folder.path().join("store"));
    let turns = Turns::new(9, 9);
    runtime().block_on(async {
        for name in ["v", "w", "x", "y", "z"] {
            let before = store.snapshot().unwrap();
            let turn = turns.enter("a").unwrap().turn().await;
            let mut abandoned = Box::pin(store.commit(turn, new_record(name)));
            assert!(abandoned.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            drop(abandoned);
            let _turn = turns.enter("a").unwrap().turn().await;
            let now = store.snapshot().unwrap();
            assert_eq!(count(&now, "a", "sys.View"), count(&before, "a", "sys.View") + 1, "{name}");
        }
    });
    drop(store);
    writer.join();
}

#[test]
fn commits_that_are_written_together_fail_each_for_itself() {
    let folder = tempfile::tempdir().unwrap();
    let (store, writer) = open(&folder.path().join("store"));
    let turns = Turns::new(100, 100);
    let absent = Place { storage: "sys.View", entity: "none", fields: Vec::new() };
    let update = stream(&[(Operation::Update, absent, Vec::new())]);
    runtime().block_on(async {
        let mut commits = Vec::new();
        for number in 0..40 {
            let tenant = format!("t{number}");
            let (store, turns) = (store.clone(), turns.clone());
            let mut intents = new_record("x");
            if number % 3 == 0 {
                intents.extend_from_slice(&update);
            }
            commits.push((tenant.clone(), Box::pin(async move { commit(&store, &turns, &tenant, intents).await })));
        }
        // All of them are sent before the first is waited for.
        for (_, commit) in &mut commits {
            assert!(commit.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
        for (number, (tenant, commit)) in commits.into_iter().enumerate() {
            let failed = matches!(commit.await, Err(StoreError::State(MemoryStateError::UpdateOfAbsent { .. })));
            assert_eq!(failed, number % 3 == 0, "{tenant}");
            let snapshot = store.snapshot().unwrap();
            assert_eq!(count(&snapshot, &tenant, "sys.View"), usize::from(!failed), "{tenant}");
        }
    });
    drop(store);
    writer.join();
}
