//! The records are added up.

use guest_sdk::storage;
use guest_sdk::testing::{Host, MemoryState, RecordWriter};

#[test]
fn the_records_are_added_up() {
    let mut state = MemoryState::new();
    let key = |key: &mut RecordWriter<'_>| {
        key.put_i64("Id", 7);
    };
    let value = |value: &mut RecordWriter<'_>| {
        value.put_i64("Stock", 3);
    };
    state.put(storage::RECORD, "shop.Article", key, value).unwrap();
    let mut host = Host::new(state);
    let outcome = host.call(super::total_of_records);
    assert_eq!(outcome.intents().next().unwrap().value.get_i64("Stock"), Ok(3));
}
