//! A state of the embedder's own: one storage that the host answers itself, and records behind the rest.

use guest_abi::cbor::encode;
use guest_abi::key::Key;
use guest_abi::storage;
use guest_abi::value::ValueRef;
use guest_host::{MemoryState, State, StateError};

// ANCHOR: state
/// The caller, and the records.
#[derive(Debug, Default)]
struct Session {
    /// `{"Name": ..}`, encoded.
    caller: Vec<u8>,
    records: MemoryState,
}

impl Session {
    fn of(caller: &str, records: MemoryState) -> Self {
        let mut value = Vec::new();
        // An object of one field: what a host gives to guests has definite lengths.
        encode::object_of(&mut value, 1);
        encode::field(&mut value, "Name", caller);
        Self { caller: value, records }
    }
}

impl State for Session {
    fn get(&mut self, key: &Key<'_>) -> Result<Option<&[u8]>, StateError> {
        match key.storage {
            storage::REQUEST_SUBJECT => Ok(Some(&self.caller)),
            storage::APP_SECRET => Err(StateError::new("this host keeps its secrets")),
            _ => State::get(&mut self.records, key),
        }
    }

    fn read(&mut self, key: &Key<'_>, after: Option<ValueRef<'_>>, out: &mut [u8]) -> Result<usize, StateError> {
        State::read(&mut self.records, key, after, out)
    }

    fn apply(&mut self, intents: &[u8]) -> Result<usize, StateError> {
        for intent in guest_abi::intent::intents(intents) {
            let intent = intent.map_err(StateError::new)?;
            if intent.key.storage == storage::APP_SECRET {
                return Err(StateError::new("this host keeps its secrets"));
            }
        }
        State::apply(&mut self.records, intents)
    }
}
// ANCHOR_END: state

fn main() -> Result<(), StateError> {
    let mut session = Session::of("tester", MemoryState::new());
    for storage in [storage::REQUEST_SUBJECT, storage::RECORD, storage::APP_SECRET] {
        match session.get(&Key::of_storage(storage)) {
            Ok(value) => println!("{storage}: {:?}", value.map(ValueRef::new)),
            Err(error) => println!("{storage}: {error}"),
        }
    }
    println!("{} intents applied", session.apply(&[])?);
    Ok(())
}
