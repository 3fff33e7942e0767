//! States over ordered maps beside the in-memory state: whatever is done to all of them, they give the same.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use guest_abi::intent::{Operation, encode_header};
use guest_abi::key::Key;
use guest_abi::value::{ObjectEncoder, ValueRef};
use guest_state::{
    MemoryState, MemoryStateError, OrderedMap, OrderedMapMut, Overlay, StoredState, StoredStateError, record,
};
use guest_state_redb::{InTransaction, RedbMap};
use proptest::prelude::*;
use redb::Database;

#[derive(Debug, Clone)]
enum Field {
    Integer(i64),
    Float(f64),
    Text(String),
    Bool(bool),
    /// In values alone.
    Nested(i32),
}

type Fields = Vec<(&'static str, Field)>;

#[derive(Debug, Clone)]
struct Place {
    storage: &'static str,
    entity: &'static str,
    fields: Fields,
}

#[derive(Debug, Clone)]
enum Step {
    Apply(Vec<(Operation, Place, Fields)>),
    /// As `Apply`, and the stream ends too soon.
    Cut(Vec<(Operation, Place, Fields)>),
    Put(Place, Fields),
    Declare(&'static str),
    Get(Place),
    /// Reads page by page with this room in bytes.
    Read(Place, usize),
}

fn scalar() -> impl Strategy<Value = Field> {
    prop_oneof![
        4 => prop_oneof![Just(i64::MAX), Just(i64::MIN), -3..30_i64, 250..260_i64].prop_map(Field::Integer),
        2 => prop_oneof![Just(0.5), Just(-0.0), Just(1e300), (-3..30).prop_map(f64::from)].prop_map(Field::Float),
        4 => "[ab]{0,2}".prop_map(Field::Text),
        1 => any::<bool>().prop_map(Field::Bool),
    ]
}

fn place() -> impl Strategy<Value = Place> {
    let fields = proptest::collection::vec((proptest::sample::select(&["a", "b"][..]), scalar()), 0..3);
    let storage = proptest::sample::select(&["sys.View", "sys.Record", "my.Store", "my.Store.b", "my.Other"][..]);
    (storage, proptest::sample::select(&["", "E", "EE"][..]), fields).prop_map(|(storage, entity, fields)| Place {
        storage,
        entity,
        fields,
    })
}

fn value() -> impl Strategy<Value = Fields> {
    let field = prop_oneof![3 => scalar(), 1 => (0..9).prop_map(Field::Nested)];
    proptest::collection::vec((proptest::sample::select(&["a", "", "long name"][..]), field), 0..4)
}

fn step() -> impl Strategy<Value = Step> {
    let operation = prop_oneof![2 => Just(Operation::New), 1 => Just(Operation::Update)];
    let intents = proptest::collection::vec((operation, place(), value()), 1..4).boxed();
    prop_oneof![
        6 => intents.clone().prop_map(Step::Apply),
        1 => intents.prop_map(Step::Cut),
        2 => (place(), value()).prop_map(|(place, value)| Step::Put(place, value)),
        1 => proptest::sample::select(&["my.Other", "sys.View"][..]).prop_map(Step::Declare),
        3 => place().prop_map(Step::Get),
        4 => (place(), 0..100_usize).prop_map(|(place, room)| Step::Read(place, room)),
    ]
}

fn write(fields: &Fields, writer: &mut ObjectEncoder<'_, Vec<u8>>) {
    for (name, field) in fields {
        match field {
            Field::Integer(value) => _ = writer.put_i64(name, *value),
            Field::Float(value) => _ = writer.put_f64(name, *value),
            Field::Text(value) => _ = writer.put_str(name, value),
            Field::Bool(value) => _ = writer.put_bool(name, *value),
            Field::Nested(value) => writer.put_object(name, |object| {
                object.put_i32("x", 1).put_i32("x", *value);
            }),
        }
    }
}

fn key(place: &Place) -> Vec<u8> {
    record::key(place.storage, place.entity, |key| write(&place.fields, key))
}

fn stream(intents: &[(Operation, Place, Fields)]) -> Vec<u8> {
    let mut stream = Vec::new();
    for (operation, place, value) in intents {
        encode_header(&mut stream, *operation);
        stream.extend(key(place));
        stream.extend(record::object(|object| write(value, object)));
    }
    stream
}

/// A state, whatever is behind it.
trait Tested {
    fn get(&mut self, key: &Key<'_>) -> Result<Option<Vec<u8>>, MemoryStateError>;
    fn read(&mut self, key: &Key<'_>, after: Option<ValueRef<'_>>, out: &mut [u8]) -> Result<usize, MemoryStateError>;
    fn insert(&mut self, key: &Key<'_>, value: ValueRef<'_>) -> Result<(), MemoryStateError>;
    fn apply(&mut self, stream: &[u8]) -> Result<usize, MemoryStateError>;
    fn declare(&mut self, storage: &str);
}

impl Tested for MemoryState {
    fn get(&mut self, key: &Key<'_>) -> Result<Option<Vec<u8>>, MemoryStateError> {
        Ok(MemoryState::get(self, key)?.map(<[u8]>::to_vec))
    }

    fn read(&mut self, key: &Key<'_>, after: Option<ValueRef<'_>>, out: &mut [u8]) -> Result<usize, MemoryStateError> {
        MemoryState::read(self, key, after, out)
    }

    fn insert(&mut self, key: &Key<'_>, value: ValueRef<'_>) -> Result<(), MemoryStateError> {
        MemoryState::insert(self, key, value)
    }

    fn apply(&mut self, stream: &[u8]) -> Result<usize, MemoryStateError> {
        MemoryState::apply(self, stream)
    }

    fn declare(&mut self, storage: &str) {
        self.declare_storage(storage);
    }
}

/// The error of the state; the map gives none here.
fn state<T, E: Debug>(result: Result<T, StoredStateError<E>>) -> Result<T, MemoryStateError> {
    result.map_err(|error| match error {
        StoredStateError::State(error) => error,
        error => panic!("{error:?}"),
    })
}

impl<M: OrderedMapMut> Tested for StoredState<M> {
    fn get(&mut self, key: &Key<'_>) -> Result<Option<Vec<u8>>, MemoryStateError> {
        let found = state(self.find(key));
        assert_eq!(state(StoredState::get(self, key)).map(|value| value.map(<[u8]>::to_vec)), found);
        found
    }

    fn read(&mut self, key: &Key<'_>, after: Option<ValueRef<'_>>, out: &mut [u8]) -> Result<usize, MemoryStateError> {
        state(StoredState::read(self, key, after, out))
    }

    fn insert(&mut self, key: &Key<'_>, value: ValueRef<'_>) -> Result<(), MemoryStateError> {
        state(StoredState::insert(self, key, value))
    }

    fn apply(&mut self, stream: &[u8]) -> Result<usize, MemoryStateError> {
        state(StoredState::apply(self, stream))
    }

    fn declare(&mut self, storage: &str) {
        self.declare_storage(storage);
    }
}

/// All pages of a read, each with the room that it had.
fn pages(tested: &mut dyn Tested, key: &Key<'_>, room: usize) -> Result<Vec<(usize, Vec<u8>)>, MemoryStateError> {
    let (mut pages, mut last) = (Vec::new(), None::<Vec<u8>>);
    let mut out = vec![0; room];
    loop {
        let written = tested.read(key, last.as_deref().map(ValueRef::new), &mut out)?;
        let Some(page) = out.get(..written) else {
            out.resize(written, 0);
            continue;
        };
        if page.is_empty() {
            return Ok(pages);
        }
        pages.push((out.len(), page.to_vec()));
        let mut rest = page;
        while !rest.is_empty() {
            let map = ValueRef::new(rest).exact_bytes().unwrap();
            let value = ValueRef::new(&rest[map.len()..]).exact_bytes().unwrap();
            last = Some(map.to_vec());
            rest = &rest[map.len() + value.len()..];
        }
    }
}

/// Everything that a step shows, as text.
fn run(tested: &mut dyn Tested, step: &Step) -> String {
    match step {
        Step::Apply(intents) => format!("{:?}", tested.apply(&stream(intents))),
        Step::Cut(intents) => {
            let stream = stream(intents);
            format!("{:?}", tested.apply(&stream[..stream.len() - 1]))
        }
        Step::Put(place, value) => {
            let (key, value) = (key(place), record::object(|object| write(value, object)));
            format!("{:?}", tested.insert(&Key::parse(&key).unwrap(), ValueRef::new(&value)))
        }
        Step::Declare(storage) => {
            tested.declare(storage);
            String::new()
        }
        Step::Get(place) => format!("{:?}", tested.get(&Key::parse(&key(place)).unwrap())),
        Step::Read(place, room) => format!("{:?}", pages(tested, &Key::parse(&key(place)).unwrap(), *room)),
    }
}

fn database() -> (tempfile::TempDir, Arc<Database>) {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::create(folder.path().join("records")).unwrap();
    (folder, Arc::new(database))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn adapters_give_what_the_in_memory_state_gives(steps in proptest::collection::vec(step(), 1..40)) {
        let (_folder, database) = database();
        let transaction = database.begin_write().unwrap();
        let mut memory = MemoryState::new();
        {
            let mut shared = BTreeMap::new();
            // The records of others, in front of the owner's and behind them.
            for other in ["", "owne", "owner2", "z"] {
                StoredState::of(other, &mut shared).put("my.Store", "E", |_| {}, |_| {}).unwrap();
            }
            let mut tree = StoredState::new(BTreeMap::new());
            let mut owned = StoredState::of("owner", &mut shared);
            let mut redb = StoredState::new(InTransaction::open(&transaction, "records").unwrap());
            let mut overlay = StoredState::of("owner", Overlay::new(BTreeMap::new()));
            for (number, step) in steps.iter().enumerate() {
                // What was written goes below, at some time.
                if number % 5 == 4 {
                    let mut below = overlay.map().below().clone();
                    below.extend(overlay.map().written().clone());
                    *overlay.map_mut() = Overlay::new(below);
                }
                let mut tested: [(&str, &mut dyn Tested); 4] =
                    [("tree", &mut tree), ("owned", &mut owned), ("redb", &mut redb), ("overlay", &mut overlay)];
                let expected = run(&mut memory, step);
                for (name, tested) in &mut tested {
                    prop_assert_eq!(&run(*tested, step), &expected, "{}", name);
                }
            }
        }
    }
}

#[test]
fn a_table_keeps_its_records_and_a_snapshot_stays_as_it_is() {
    let (_folder, database) = database();
    let mut state = StoredState::new(RedbMap::open(Arc::clone(&database), "records").unwrap());
    let put = |state: &mut StoredState<RedbMap>, year: i32| {
        state
            .put("my.Store", "E", |key| _ = key.put_i32("Year", year), |value| _ = value.put_i32("Amount", 1))
            .unwrap();
    };
    put(&mut state, 1);
    let snapshot = StoredState::new(state.map().snapshot().unwrap());
    put(&mut state, 2);
    let rows = |state: &StoredState<&dyn OrderedMap<Error = redb::Error>>| {
        let mut rows = 0;
        let counted = |_: &[u8], _: &[u8]| {
            rows += 1;
            true
        };
        state.rows(&Key::parse(&record::key("my.Store", "E", |_| {})).unwrap(), None, counted).unwrap();
        rows
    };
    assert_eq!(rows(&StoredState::new(snapshot.map() as _)), 1);
    let again = RedbMap::open(Arc::clone(&database), "records").unwrap();
    assert_eq!(rows(&StoredState::new(&again as _)), 2);
}

#[test]
fn intents_that_cannot_all_be_applied_leave_the_table_as_it_was() {
    let (_folder, database) = database();
    let mut state = StoredState::new(RedbMap::open(database, "records").unwrap());
    let place = |entity| Place { storage: "sys.View", entity, fields: Vec::new() };
    let intents = [(Operation::New, place("E"), Vec::new()), (Operation::Update, place("F"), Vec::new())];
    assert!(matches!(
        state.apply(&stream(&intents)),
        Err(StoredStateError::State(MemoryStateError::UpdateOfAbsent { .. }))
    ));
    assert_eq!(state.find(&Key::parse(&key(&place("E"))).unwrap()).unwrap(), None);
    assert_eq!(state.apply_if(&stream(&intents), |intent| intent.key.entity == "E").unwrap(), 1);
    assert!(state.find(&Key::parse(&key(&place("E"))).unwrap()).unwrap().is_some());
}

#[test]
fn an_entry_that_is_no_record_is_an_error() {
    let mut map = BTreeMap::new();
    let place = record::canonical_key(&Key::of_storage("sys.View")).unwrap();
    OrderedMapMut::write(&mut map, BTreeMap::from([(place, b"text".to_vec())])).unwrap();
    let state = StoredState::new(map);
    let key = Key::of_storage("sys.View");
    assert_eq!(state.find(&key), Err(StoredStateError::Damaged));
    assert_eq!(state.rows(&key, None, |_, _| true), Err(StoredStateError::Damaged));
}
