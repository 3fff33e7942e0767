//! The rows of the year are added up.

use guest_sdk::storage;
use guest_sdk::testing::{Host, MemoryState, RecordWriter};

#[test]
fn the_rows_of_the_year_are_added_up() {
    let mut state = MemoryState::new();
    for month in 1..=12 {
        let key = |key: &mut RecordWriter<'_>| {
            key.put_i32("Year", 2023).put_i32("Month", month);
        };
        let value = |value: &mut RecordWriter<'_>| {
            value.put_i64("Amount", 10);
        };
        state.put(storage::VIEW, "example.com/shop.OrderedItems", key, value).unwrap();
    }
    let mut host = Host::new(state);
    let outcome = host.call(super::total_of_year);
    assert_eq!(outcome.intents().next().unwrap().value.get_i64("Total"), Ok(120));
}
