//! A square is looked up.

use guest_sdk::testing::{Host, MemoryState};

#[test]
fn a_square_is_looked_up() {
    super::build_squares();
    let mut state = MemoryState::new();
    let event = state.put(guest_sdk::storage::EVENT, "", |_| {}, |event| {
        event.put_i64("Number", 12);
    });
    event.unwrap();
    let mut host = Host::new(state);
    let outcome = host.call(super::square);
    assert_eq!(outcome.intents().next().unwrap().value.get_i64("Square"), Ok(144));
}
