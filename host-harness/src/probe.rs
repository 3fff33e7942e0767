//! Finds the records that a guest asks for and the state does not have, so that somebody can write a state file.
//!
//! Each function is called on a new instance. Where it fails after it asked for a record that there is not, it gets that record
//! with an empty value and is called again, until it succeeds, fails for another reason or has asked for [`MOST`] records. What
//! it reads of a record's value stays inside the guest, so the values are for you to fill; the failure that is left says
//! what is missing first.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use guest_abi::key::Key;
use guest_abi::value::{ValueError, ValueRef};
use guest_host::{Guest, InstanceConfig, LoadError, MemoryState, RestorePolicy, RestoreStrategy, State, StateError};
use guest_state::state_file::key_to_json;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::measure::FailedCall;

/// Records that one function is given at most.
pub const MOST: usize = 64;

/// A record that a guest asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct WantedRecord {
    /// The storage.
    pub storage: String,
    /// The entity; may be empty.
    pub entity: String,
    /// The fields of the key, as a state file writes them. A query may have given only the first of them.
    pub key: Value,
}

impl fmt::Display for WantedRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { storage, entity, key } = self;
        write!(f, "{storage}")?;
        if !entity.is_empty() {
            write!(f, " {entity}")?;
        }
        match key.as_object().is_some_and(serde_json::Map::is_empty) {
            true => Ok(()),
            false => write!(f, " {key}"),
        }
    }
}

/// A function that fails with a state, and the records that it asked for in vain.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Starving {
    /// The function.
    pub function: String,
    /// Its failure with the state as it is.
    pub failure: FailedCall,
    /// The records that it asked for, in order.
    pub wanted: Vec<WantedRecord>,
    /// Its failure when it had them all, with empty values; `None` when it succeeded.
    pub left: Option<FailedCall>,
}

/// The functions that fail with this state after they asked for records that it does not have.
///
/// # Errors
/// [`LoadError`] when an instance cannot be made, or there is no such function.
pub fn starving(
    guest: &Guest,
    functions: &[String],
    config: &InstanceConfig,
    state: &MemoryState,
) -> Result<Vec<Starving>, LoadError> {
    let config = config
        .clone()
        .with_strategy(RestoreStrategy::Reinstantiate)
        .with_policy(RestorePolicy::EveryCall)
        .with_count(false);
    let mut starving = Vec::new();
    for function in functions {
        starving.extend(of_function(guest, function, &config, state)?);
    }
    Ok(starving)
}

fn of_function(
    guest: &Guest,
    function: &str,
    config: &InstanceConfig,
    state: &MemoryState,
) -> Result<Option<Starving>, LoadError> {
    let mut records = state.clone();
    let Some((failure, mut missing)) = call(guest, function, config, &records)? else { return Ok(None) };
    let mut found =
        Starving { function: function.to_owned(), left: Some(failure.clone()), failure, wanted: Vec::new() };
    while let Some(asked) = missing.take() {
        // Asking for the same again would go on for ever.
        if found.wanted.len() >= MOST || found.wanted.contains(&asked.record) || !asked.give(&mut records) {
            break;
        }
        found.wanted.push(asked.record);
        match call(guest, function, config, &records)? {
            None => found.left = None,
            Some((failure, asked)) => {
                let is_like = |left: &FailedCall| left.is_like(&failure);
                // It failed of something else than of this record.
                if asked.is_none() && found.left.as_ref().is_some_and(is_like) {
                    found.wanted.pop();
                }
                (found.left, missing) = (Some(failure), asked);
            }
        }
    }
    Ok((!found.wanted.is_empty()).then_some(found))
}

/// Calls a function on a new instance. If it fails, the failure, and the record that it asked for last of those that there are not.
fn call(
    guest: &Guest,
    function: &str,
    config: &InstanceConfig,
    records: &MemoryState,
) -> Result<Option<(FailedCall, Option<Missing>)>, LoadError> {
    let asked = Asked::default();
    let function = guest.function(function).map_err(LoadError::Function)?;
    let mut instance = guest.instantiate(config, Watched { records: records.clone(), asked: asked.clone() })?;
    asked.forget();
    let failure = instance.invoke(function).err();
    Ok(failure.map(|failure| (FailedCall::of(&failure, 1), asked.last())))
}

/// A state file with these records, each once, whose values are empty.
#[must_use]
pub fn state_file(starving: &[Starving]) -> String {
    let mut records: Vec<&WantedRecord> = Vec::new();
    for record in starving.iter().flat_map(|function| &function.wanted) {
        if !records.contains(&record) {
            records.push(record);
        }
    }
    let lines: Vec<String> = records
        .iter()
        .map(|WantedRecord { storage, entity, key }| {
            let mut record = json!({ "storage": storage });
            if !entity.is_empty() {
                record["entity"] = json!(entity);
            }
            if key.as_object().is_none_or(|fields| !fields.is_empty()) {
                record["key"] = key.clone();
            }
            record["value"] = json!({});
            format!("  {record}")
        })
        .collect();
    format!("[\n{}\n]\n", lines.join(",\n"))
}

/// A key that was asked for in vain.
#[derive(Debug, Clone)]
struct Missing {
    record: WantedRecord,
    /// The map of its fields in wire form.
    fields: Vec<u8>,
}

impl Missing {
    fn of(key: &Key<'_>) -> Result<Self, ValueError> {
        let record =
            WantedRecord { storage: key.storage.to_owned(), entity: key.entity.to_owned(), key: key_to_json(key)? };
        Ok(Self { record, fields: key.object().bytes().to_vec() })
    }

    /// Puts the record into a state, with an empty value, and says whether that was possible.
    fn give(&self, records: &mut MemoryState) -> bool {
        const EMPTY: &[u8] = &[0xA0];
        let key = Key::of_parts(&self.record.storage, &self.record.entity, &self.fields);
        key.is_ok_and(|key| records.insert(&key, ValueRef::new(EMPTY)).is_ok())
    }
}

/// The keys that were asked for in vain, in order.
#[derive(Debug, Clone, Default)]
struct Asked(Arc<Mutex<Vec<Missing>>>);

impl Asked {
    fn add(&self, key: &Key<'_>) {
        if let Ok(missing) = Missing::of(key) {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(missing);
        }
    }

    /// Forgets what initialisation asked for.
    fn forget(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn last(&self) -> Option<Missing> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).last().cloned()
    }
}

/// A state that notes what it could not give.
struct Watched {
    records: MemoryState,
    asked: Asked,
}

impl State for Watched {
    fn get(&mut self, key: &Key<'_>) -> Result<Option<&[u8]>, StateError> {
        let found = State::get(&mut self.records, key);
        if !matches!(found, Ok(Some(_))) {
            self.asked.add(key);
        }
        found
    }

    fn read(&mut self, key: &Key<'_>, after: Option<ValueRef<'_>>, out: &mut [u8]) -> Result<usize, StateError> {
        let read = State::read(&mut self.records, key, after, out);
        if after.is_none() && !matches!(read, Ok(bytes) if bytes > 0) {
            self.asked.add(key);
        }
        read
    }

    fn apply(&mut self, intents: &[u8]) -> Result<usize, StateError> {
        State::apply(&mut self.records, intents)
    }
}
