//! The mail is built from the order.

use guest_sdk::testing::{Host, MemoryState};

#[test]
fn the_mail_is_built_from_the_order() {
    let mut state = MemoryState::new();
    let event = state.put(guest_sdk::storage::EVENT, "", |_| {}, |event| {
        event.put_object("ArgumentObject", |order| {
            order.put_str("Mail", "who@example.com");
            order.put_array("Items", |items| {
                items.push_object(|item| {
                    item.put_str("Name", "tea");
                });
            });
        });
    });
    event.unwrap();
    let mut host = Host::new(state);
    let outcome = host.call(super::confirm_order);
    outcome.unwrap();
    let mail = outcome.intents().next().unwrap();
    assert_eq!(mail.value.get("To").unwrap().get_str("Address"), Ok("who@example.com"));
    assert_eq!(mail.value.get("Lines").unwrap().get_str_at(0), Ok("tea"));
}
