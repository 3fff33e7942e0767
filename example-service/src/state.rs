//! The state that a guest reads during one call: the event, and the records of its tenant.

use std::sync::Arc;

use guest_abi::key::Key;
use guest_abi::storage;
use guest_abi::value::ValueRef;
use guest_host::{State, StateError};

use crate::store::Snapshot;

/// The event and a tenant's records as they were when the call began.
#[derive(Debug)]
pub struct TenantState {
    tenant: String,
    /// The value in the storages of [`TenantState::is_event`].
    event: Vec<u8>,
    snapshot: Arc<Snapshot>,
    /// The value that was read last.
    value: Vec<u8>,
}

impl TenantState {
    /// The state for one call with this event.
    #[must_use]
    pub fn new(tenant: &str, event: Vec<u8>, snapshot: Arc<Snapshot>) -> Self {
        Self { tenant: tenant.to_owned(), event, snapshot, value: Vec::new() }
    }

    /// Whether a storage holds the event of the call. Commands ask for their context, projectors for the event.
    fn is_event(storage: &str) -> bool {
        matches!(storage, storage::EVENT | storage::COMMAND_CONTEXT)
    }
}

impl State for TenantState {
    fn get(&mut self, key: &Key<'_>) -> Result<Option<&[u8]>, StateError> {
        if Self::is_event(key.storage) {
            return Ok(Some(&self.event));
        }
        match self.snapshot.get(&self.tenant, key).map_err(StateError::new)? {
            Some(value) => {
                self.value = value;
                Ok(Some(&self.value))
            }
            None => Ok(None),
        }
    }

    fn read(&mut self, key: &Key<'_>, after: Option<ValueRef<'_>>, out: &mut [u8]) -> Result<usize, StateError> {
        self.snapshot.read(&self.tenant, key, after, out).map_err(StateError::new)
    }

    fn apply(&mut self, _: &[u8]) -> Result<usize, StateError> {
        Err(StateError::new("a snapshot is for reading; the store applies intents"))
    }
}
