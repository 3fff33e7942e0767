//! Of two calls that read the same records, the second is refused; nothing but records is stored.

use guest_host::guest_abi::cbor::encode;
use guest_host::guest_abi::intent::{self, Operation};
use guest_host::guest_abi::storage;
use guest_host::guest_state::record;

use super::Store;

/// The intent to make a record of this storage.
fn new(storage: &str) -> Vec<u8> {
    let mut stream = Vec::new();
    intent::begin(&mut stream, Operation::New, &record::key(storage, "shop.Counter", |_| {}));
    encode::field(&mut stream, "Value", 1_i64);
    encode::mark(&mut stream, encode::END);
    stream
}

#[test]
fn of_two_calls_that_read_the_same_records_the_second_is_refused() {
    let store = Store::default();
    let (one, other) = (store.session(|_| {}).unwrap(), store.session(|_| {}).unwrap());
    assert!(one.commit(&new(storage::RECORD)).unwrap());
    assert!(!other.commit(&new(storage::RECORD)).unwrap(), "it read what was there before");
    assert!(store.session(|_| {}).unwrap().commit(&new(storage::RECORD)).unwrap(), "a new snapshot");
}

#[test]
fn results_and_mail_are_not_stored() {
    let store = Store::default();
    let stream = [new(storage::RESULT), new(storage::VIEW), new(storage::SEND_MAIL)].concat();
    assert!(store.session(|_| {}).unwrap().commit(&stream).unwrap());
    assert_eq!(store.current().len(), 1);
}
