//! Records of a tenant for people and programs outside.

use guest_host::StoredState;
use guest_host::guest_abi::key::Key;
use guest_host::guest_abi::value::ValueRef;
use guest_host::guest_state::StoredStateError;
use guest_host::guest_state::state_file::to_json;
use guest_host::{StateError, guest_abi::cbor::Reader};
use guest_tenants::RedbReader;
use serde_json::{Value, json};

use super::state::view;

/// Bytes behind which a listing has no further record.
const ENOUGH: usize = 1 << 20;

/// Why records are not listed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ListError {
    /// The request names none.
    #[error("{0}")]
    Request(StateError),
    /// The store failed.
    #[error("{0}")]
    Store(String),
}

/// The records of a tenant in a storage, of one entity: at most `most`, from the one behind that whose key map is `after`. They are
/// as state files have them; the second value is the key map of the last one, if there are more.
pub(crate) fn list(
    reader: &RedbReader,
    tenant: &str,
    (storage, entity): (&str, &str),
    after: Option<&[u8]>,
    most: usize,
) -> Result<(Vec<Value>, Option<Vec<u8>>), ListError> {
    // No field of the key: all records.
    let key = Key::of_parts(storage, entity, &[0xA0]).map_err(|error| ListError::Request(StateError::new(error)))?;
    if let Some(after) = after {
        let mut row = Reader::new(after);
        row.key_map().map_err(|error| ListError::Request(StateError::new(error)))?;
        if !row.is_at_end() {
            return Err(ListError::Request(StateError::new("`after` is not that of a listing")));
        }
    }
    read(reader, tenant, (storage, &key, entity), after, most)
}

fn read(
    reader: &RedbReader,
    tenant: &str,
    (storage, key, entity): (&str, &Key<'_>, &str),
    after: Option<&[u8]>,
    most: usize,
) -> Result<(Vec<Value>, Option<Vec<u8>>), ListError> {
    let failed = |error: &dyn std::fmt::Display| ListError::Store(error.to_string());
    let state = StoredState::of(tenant, view(reader).map_err(|error| failed(&error))?);
    let (mut rows, mut bytes, mut more) = (Vec::new(), 0, false);
    let read = state.rows(key, after.map(ValueRef::new), |map, value| {
        more = rows.len() >= most || bytes > ENOUGH;
        if !more {
            bytes += map.len() + value.len();
            rows.push((map.to_vec(), value.to_vec()));
        }
        !more
    });
    read.map_err(|error| match error {
        StoredStateError::State(error) => ListError::Request(error.into()),
        error => failed(&error),
    })?;
    let last = rows.last().filter(|_| more).map(|(map, _)| map.clone());
    let record = |(map, value): (Vec<u8>, Vec<u8>)| {
        let (key, value) = (to_json(ValueRef::new(&map)), to_json(ValueRef::new(&value)));
        Ok(json!({
            "storage": storage, "entity": entity,
            "key": key.map_err(|error| failed(&error))?, "value": value.map_err(|error| failed(&error))?,
        }))
    };
    Ok((rows.into_iter().map(record).collect::<Result<_, ListError>>()?, last))
}
