//! The answers of a state, through its public interface.

use guest_abi::cbor::WireError;
use guest_abi::intent::{self, Operation};
use guest_abi::key::Key;
use guest_abi::storage;
use guest_abi::value::{ObjectEncoder, ValueRef};
use guest_state::record::key;
use guest_state::{MemoryState, MemoryStateError};

fn intent(operation: Operation, key: &[u8], fill: impl FnOnce(&mut ObjectEncoder<'_, Vec<u8>>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    intent::encode_header(&mut bytes, operation);
    bytes.extend_from_slice(key);
    let mut fields = ObjectEncoder::begin(&mut bytes);
    fill(&mut fields);
    fields.end();
    bytes
}

fn field(state: &mut MemoryState, key: &[u8], name: &str) -> Option<i64> {
    let value = state.get(&Key::parse(key).unwrap()).unwrap()?;
    Some(ValueRef::new(value).field(name).unwrap()?.as_i64().unwrap())
}

fn views() -> MemoryState {
    let mut state = MemoryState::new();
    for year in [2022, 2023] {
        for month in 1..=12 {
            let fill = |key: &mut ObjectEncoder<'_, Vec<u8>>| {
                key.put_i32("Year", year).put_i32("Month", month);
            };
            state
                .put(storage::VIEW, "Orders", fill, |value| {
                    value.put_i32("Amount", year + month);
                })
                .unwrap();
        }
    }
    state
}

#[test]
fn the_order_and_the_width_of_key_fields_do_not_matter() {
    let mut state = views();
    let sorted = key(storage::VIEW, "Orders", |key| {
        key.put_f64("Month", 3.0).put_i64("Year", 2023);
    });
    assert_eq!(field(&mut state, &sorted, "Amount"), Some(2026));
    let other = key(storage::VIEW, "Orders", |key| {
        key.put_i64("Year", 2023).put_i32("Month", 13);
    });
    assert_eq!(field(&mut state, &other, "Amount"), None);
}

#[test]
fn an_unknown_storage_is_an_error_and_a_missing_record_is_not() {
    let mut state = MemoryState::new();
    let unknown = key("my.Storage", "", |_| ());
    let unsupported = MemoryStateError::UnsupportedStorage { storage: "my.Storage".to_string() };
    assert_eq!(state.get(&Key::parse(&unknown).unwrap()), Err(unsupported));
    state.declare_storage("my.Storage");
    assert_eq!(state.get(&Key::parse(&unknown).unwrap()), Ok(None));
    assert_eq!(state.get(&Key::of_storage(storage::EVENT)), Ok(None));
}

#[test]
fn rows_come_in_chunks_of_whole_rows_and_each_once() {
    let mut state = views();
    let partial = key(storage::VIEW, "Orders", |key| {
        key.put_i32("Year", 2022);
    });
    let partial = Key::parse(&partial).unwrap();
    for room in [40, 64, 100, 4096] {
        let mut out = vec![0; room];
        let mut last: Option<Vec<u8>> = None;
        let mut amounts = Vec::new();
        loop {
            let after = last.as_deref().map(ValueRef::new);
            let written = state.read(&partial, after, &mut out).unwrap();
            if written == 0 {
                break;
            }
            assert!(written <= room);
            let mut rest = &out[..written];
            while !rest.is_empty() {
                let key = ValueRef::new(rest).exact_bytes().unwrap();
                let value = ValueRef::new(&rest[key.len()..]).exact_bytes().unwrap();
                amounts.push(ValueRef::new(value).field("Amount").unwrap().unwrap().as_i32().unwrap());
                last = Some(key.to_vec());
                rest = &rest[key.len() + value.len()..];
            }
        }
        assert_eq!(amounts, (2023..=2034).collect::<Vec<_>>(), "room {room}");
    }
    let needed = state.read(&partial, None, &mut [0; 5]).unwrap();
    assert!(needed > 5, "a row that does not fit says what it needs: {needed}");
}

#[test]
fn intents_apply_all_or_none() {
    let mut state = views();
    let before = state.clone();
    let view = key(storage::VIEW, "Orders", |key| {
        key.put_i32("Month", 1).put_i32("Year", 2023);
    });
    let fresh = key("my.Other", "x", |_| ());
    let update = intent(Operation::Update, &view, |value| {
        value.put_i32("Extra", 5);
    });
    let new = intent(Operation::New, &fresh, |value| {
        value.put_i32("A", 1);
    });
    let change = intent(Operation::Update, &fresh, |value| {
        value.put_i32("A", 2).put_i32("A", 3);
    });
    let absent = intent(Operation::Update, &key("my.Nothing", "", |_| ()), |_| ());

    let failing = [update.as_slice(), &new, &absent].concat();
    assert!(matches!(state.apply(&failing), Err(MemoryStateError::UpdateOfAbsent { .. })));
    assert_eq!(state, before);
    let cut = [update.as_slice(), &new[..new.len() - 1]].concat();
    assert_eq!(state.apply(&cut), Err(MemoryStateError::Malformed(WireError::Truncated)));
    assert_eq!(state, before);

    assert_eq!(state.apply(&[update, new, change].concat()), Ok(3));
    assert_eq!(field(&mut state, &view, "Extra"), Some(5));
    assert_eq!(field(&mut state, &view, "Amount"), Some(2024), "an update leaves other fields");
    assert_eq!(field(&mut state, &fresh, "A"), Some(3), "of a field written twice the last counts");
}

#[test]
fn a_key_that_no_record_can_have_is_refused() {
    let mut state = MemoryState::new();
    let twice = key(storage::VIEW, "", |key| {
        key.put_i32("A", 1).put_i32("A", 2);
    });
    let refused = state.get(&Key::parse(&twice).unwrap()).unwrap_err().to_string();
    assert!(refused.contains("field `A` is put twice"), "{refused}");
    let nested = key(storage::VIEW, "", |key| key.put_array("A", |_| ()));
    assert!(matches!(Key::parse(&nested), Err(WireError::Unsupported { .. })));
}
