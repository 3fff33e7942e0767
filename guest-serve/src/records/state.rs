//! What an extension function reads during a call.

use std::sync::Arc;

use guest_host::guest_abi::key::Key;
use guest_host::guest_abi::storage;
use guest_host::guest_abi::value::ValueRef;
use guest_host::guest_state::Overlay;
use guest_host::{State, StateError, StoredState};
use guest_state_redb::Snapshot;
use guest_tenants::{RedbReader, RedbStoreError};

use super::tables::RECORDS;

/// The records of all tenants: those that were committed, and what calls have written since.
pub(crate) type View = Overlay<Arc<Snapshot>>;

/// The records as they were committed last.
pub(crate) fn view(reader: &RedbReader) -> Result<Arc<View>, RedbStoreError> {
    let snapshot = reader.read(|transaction| Snapshot::open(transaction, RECORDS))?;
    Ok(Arc::new(Overlay::new(Arc::new(snapshot))))
}

/// The state that an extension function reads during a call: the event, and the records of its tenant. They stay as they are while others
/// write. Cheap to clone.
#[derive(Debug, Clone)]
pub struct CallState {
    event: Arc<[u8]>,
    records: StoredState<Arc<View>>,
}

impl CallState {
    pub(crate) fn new(tenant: &str, event: Arc<[u8]>, view: Arc<View>) -> Self {
        Self { event, records: StoredState::of(tenant, view) }
    }
}

/// Whether a storage has the event of the call, whatever the function is for.
pub(super) fn is_event(storage: &str) -> bool {
    matches!(storage, storage::EVENT | storage::COMMAND_CONTEXT | storage::QUERY_CONTEXT)
}

impl State for CallState {
    fn get(&mut self, key: &Key<'_>) -> Result<Option<&[u8]>, StateError> {
        match is_event(key.storage) {
            true => Ok(Some(&self.event)),
            false => Ok(self.records.get(key)?),
        }
    }

    fn read(&mut self, key: &Key<'_>, after: Option<ValueRef<'_>>, out: &mut [u8]) -> Result<usize, StateError> {
        Ok(self.records.read(key, after, out)?)
    }

    fn apply(&mut self, _intents: &[u8]) -> Result<usize, StateError> {
        Err(StateError::new("intents are applied by the thread of the tenant"))
    }
}
