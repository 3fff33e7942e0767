//! The records, and the state that a guest reads in one call.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};

use guest_host::guest_abi::cbor::encode;
use guest_host::guest_abi::intent::{Operation, intents};
use guest_host::guest_abi::key::Key;
use guest_host::guest_abi::storage;
use guest_host::guest_abi::value::{ObjectEncoder, ValueRef};
use guest_host::{State, StateError};
use guest_state::record::{Fields, Wanted, definite, key_map, merged};

/// A record: the fields of its key, and its value.
#[derive(Clone)]
struct Record {
    key: Vec<u8>,
    value: Vec<u8>,
}

/// By the canonical form of their keys, so that equal keys are one record, and records of one entity lie side by side.
type Records = BTreeMap<Vec<u8>, Record>;

/// The records that all calls share. A call reads a snapshot of them, so other calls do not change what it reads.
#[derive(Clone, Default)]
pub(crate) struct Store(Arc<Mutex<Arc<Records>>>);

/// The state of one call: the event, and the records as they are when the call begins.
#[derive(Clone)]
pub(crate) struct Session {
    store: Store,
    event: Vec<u8>,
    records: Arc<Records>,
}

impl Store {
    /// The state of a call whose event has the fields that `fill` puts.
    ///
    /// # Errors
    /// A field is put twice.
    pub(crate) fn session(
        &self,
        fill: impl FnOnce(&mut ObjectEncoder<'_, Vec<u8>>),
    ) -> Result<Session, StateError> {
        let mut event = Vec::new();
        let mut object = ObjectEncoder::begin(&mut event);
        fill(&mut object);
        object.end();
        let event = definite(ValueRef::new(&event)).map_err(StateError::new)?;
        let records = Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(Session {
            store: self.clone(),
            event,
            records,
        })
    }
}

impl Session {
    /// Applies the intents of the call, all or none. Returns `false`, and applies none, if another call has changed records
    /// since this one began: call again then, with a new session.
    ///
    /// # Errors
    /// An intent cannot be applied, such as the update of a record that does not exist.
    pub(crate) fn commit(&self, stream: &[u8]) -> Result<bool, StateError> {
        let changed = changed(&self.records, stream).map_err(StateError::new)?;
        let mut current = self.store.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_unchanged = Arc::ptr_eq(&current, &self.records);
        if is_unchanged {
            *current = Arc::new(changed);
        }
        Ok(is_unchanged)
    }
}

/// The bytes with which the keys of an entity's records begin.
fn prefix(key: &Key<'_>) -> Vec<u8> {
    let mut prefix = Vec::new();
    encode::element(&mut prefix, key.storage);
    encode::element(&mut prefix, key.entity);
    prefix
}

/// The records with the intents applied.
fn changed(records: &Records, stream: &[u8]) -> Result<Records, Box<dyn Error + Send + Sync>> {
    let mut records = records.clone();
    for intent in intents(stream) {
        let intent = intent?;
        let fields = Fields::of(&intent.key)?;
        let place = [prefix(&intent.key), fields.bytes.clone()].concat();
        let value = match (intent.operation, records.get(&place)) {
            (Operation::New, _) => definite(intent.value)?,
            (Operation::Update, Some(found)) => merged(ValueRef::new(&found.value), intent.value)?,
            (Operation::Update, None) => return Err("the record to update does not exist".into()),
        };
        records.insert(
            place,
            Record {
                key: key_map(&fields.bytes, fields.count),
                value,
            },
        );
    }
    Ok(records)
}

impl State for Session {
    fn get(&mut self, key: &Key<'_>) -> Result<Option<&[u8]>, StateError> {
        if key.storage == storage::EVENT {
            return Ok(Some(&self.event));
        }
        let fields = Fields::of(key).map_err(StateError::new)?;
        Ok(self
            .records
            .get(&[prefix(key), fields.bytes].concat())
            .map(|record| record.value.as_slice()))
    }

    fn read(
        &mut self,
        key: &Key<'_>,
        after: Option<ValueRef<'_>>,
        out: &mut [u8],
    ) -> Result<usize, StateError> {
        let wanted = Wanted::of(key).map_err(StateError::new)?;
        let prefix = prefix(key);
        let after = after
            .map(|row| Fields::of_row(key, row))
            .transpose()
            .map_err(StateError::new)?;
        let after = after.map(|fields| [prefix.clone(), fields.bytes].concat());
        let rows = self
            .records
            .range(prefix.clone()..)
            .take_while(|(place, _)| place.starts_with(&prefix));
        let rows = rows.filter(|(place, _)| after.as_ref().is_none_or(|after| *place > after));
        let mut written = 0;
        for (_, record) in rows.filter(|(_, record)| wanted.matches(&record.key)) {
            let row = [record.key.as_slice(), record.value.as_slice()].concat();
            let Some(room) = out.get_mut(written..written + row.len()) else {
                // Not even the first row fits: the result is the size that it needs.
                return Ok(if written == 0 { row.len() } else { written });
            };
            room.copy_from_slice(&row);
            written += row.len();
        }
        Ok(written)
    }

    fn apply(&mut self, stream: &[u8]) -> Result<usize, StateError> {
        match self.commit(stream)? {
            true => Ok(intents(stream).count()),
            false => Err(StateError::new("another call changed records meanwhile")),
        }
    }
}
