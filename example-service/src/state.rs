//! The state that a guest reads during one call: the event, and the records of its tenant.

use std::sync::Arc;

use guest_abi::key::Key;
use guest_abi::storage;
use guest_abi::value::ValueRef;
use guest_host::{AsyncState, StateError};

use crate::store::Snapshot;

/// The event and a tenant's records as they were when the call began.
#[derive(Debug)]
pub struct TenantState {
    tenant: String,
    /// The value in the storages of [`TenantState::is_event`].
    event: Vec<u8>,
    snapshot: Arc<Snapshot>,
}

impl TenantState {
    /// The state for one call with this event.
    #[must_use]
    pub fn new(tenant: &str, event: Vec<u8>, snapshot: Arc<Snapshot>) -> Self {
        Self { tenant: tenant.to_owned(), event, snapshot }
    }

    /// Whether a storage holds the event of the call. Commands ask for their context, projectors for the event.
    fn is_event(storage: &str) -> bool {
        matches!(storage, storage::EVENT | storage::COMMAND_CONTEXT)
    }
}

// The store is a file that is mapped or cached: its reads take microseconds, and none of them waits. A store behind a network
// would await here.
impl AsyncState for TenantState {
    async fn get(&mut self, key: &Key<'_>) -> Result<Option<Vec<u8>>, StateError> {
        if Self::is_event(key.storage) {
            return Ok(Some(self.event.clone()));
        }
        self.snapshot.get(&self.tenant, key).map_err(StateError::new)
    }

    async fn read(&mut self, key: &Key<'_>, after: Option<ValueRef<'_>>, room: usize) -> Result<Vec<u8>, StateError> {
        self.snapshot.read(&self.tenant, key, after, room).map_err(StateError::new)
    }
}
