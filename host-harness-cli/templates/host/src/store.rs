//! The records, and the state that a guest reads in one call.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use guest_host::guest_abi::key::Key;
use guest_host::guest_abi::storage;
use guest_host::guest_abi::value::{ObjectEncoder, ValueRef};
use guest_host::guest_state::record::{definite, object};
use guest_host::{OrderedMap, OrderedMapMut, State, StateError, StoredState, StoredStateError};

/// The entries of a store, in their order. A database has them in a table.
type Entries = BTreeMap<Vec<u8>, Vec<u8>>;

/// The records that all calls share.
#[derive(Clone, Default)]
pub(crate) struct Store(Arc<Mutex<Arc<Entries>>>);

/// The state of one call: the event, and the records as they are when the call begins.
#[derive(Clone)]
pub(crate) struct Session {
    event: Vec<u8>,
    records: StoredState<Snapshot>,
}

/// A store as it was, read as the map that it is. It is written only if no other call has changed the store since.
#[derive(Clone)]
struct Snapshot {
    store: Store,
    entries: Arc<Entries>,
}

/// Another call changed the store since the snapshot was taken.
#[derive(Debug)]
struct Overtaken;

impl Store {
    /// The state of a call whose event has the fields that `fill` puts.
    ///
    /// # Errors
    /// A field is put twice.
    pub(crate) fn session(
        &self,
        fill: impl FnOnce(&mut ObjectEncoder<'_, Vec<u8>>),
    ) -> Result<Session, StateError> {
        let event = definite(ValueRef::new(&object(fill))).map_err(StateError::new)?;
        let snapshot = Snapshot {
            store: self.clone(),
            entries: Arc::clone(&self.current()),
        };
        Ok(Session {
            event,
            records: StoredState::new(snapshot),
        })
    }

    fn current(&self) -> MutexGuard<'_, Arc<Entries>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session {
    /// Applies the intents of the call, all or none. Returns `false`, and applies none, if another call has changed records
    /// since this one began: call again then, with a new session.
    ///
    /// # Errors
    /// An intent cannot be applied, such as the update of a record that does not exist.
    pub(crate) fn commit(mut self, stream: &[u8]) -> Result<bool, StateError> {
        match self.records.apply(stream) {
            Ok(_) => Ok(true),
            Err(StoredStateError::Map(Overtaken)) => Ok(false),
            Err(error) => Err(StateError::new(error)),
        }
    }
}

impl State for Session {
    fn get(&mut self, key: &Key<'_>) -> Result<Option<&[u8]>, StateError> {
        match key.storage {
            storage::EVENT => Ok(Some(&self.event)),
            _ => State::get(&mut self.records, key),
        }
    }

    fn read(
        &mut self,
        key: &Key<'_>,
        after: Option<ValueRef<'_>>,
        out: &mut [u8],
    ) -> Result<usize, StateError> {
        State::read(&mut self.records, key, after, out)
    }

    fn apply(&mut self, stream: &[u8]) -> Result<usize, StateError> {
        State::apply(&mut self.records, stream)
    }
}

impl OrderedMap for Snapshot {
    type Error = Overtaken;

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Overtaken> {
        let Ok(value) = self.entries.get(key);
        Ok(value)
    }

    fn range(
        &self,
        first: &[u8],
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), Overtaken> {
        let Ok(()) = self.entries.range(first, visit);
        Ok(())
    }
}

impl OrderedMapMut for Snapshot {
    fn write(&mut self, entries: BTreeMap<Vec<u8>, Vec<u8>>) -> Result<(), Overtaken> {
        let mut current = self.store.current();
        if !Arc::ptr_eq(&current, &self.entries) {
            return Err(Overtaken);
        }
        let mut changed = Entries::clone(&self.entries);
        changed.extend(entries);
        *current = Arc::new(changed);
        Ok(())
    }
}

impl fmt::Display for Overtaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("another call changed records meanwhile")
    }
}

impl std::error::Error for Overtaken {}
