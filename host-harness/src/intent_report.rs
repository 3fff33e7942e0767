//! An intent as reports and messages write it: its key and value as JSON.

use guest_abi::intent::Intent;
use guest_abi::value::ValueError;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::state_file::json;

/// An intent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IntentReport {
    /// `new` or `update`.
    pub operation: String,
    /// The storage.
    pub storage: String,
    /// The entity; may be empty.
    pub entity: String,
    /// The key's fields, as a state file writes them.
    pub key: Value,
    /// The value's fields, as a state file writes them.
    pub value: Value,
}

impl IntentReport {
    /// The intent, as a state file would write it.
    ///
    /// # Errors
    /// [`ValueError`] when the intent is not of the value model; those of an [`Outcome`](guest_host::Outcome) all are.
    pub fn of(intent: &Intent<'_>) -> Result<Self, ValueError> {
        Ok(Self {
            operation: intent.operation.name().to_owned(),
            storage: intent.key.storage.to_owned(),
            entity: intent.key.entity.to_owned(),
            key: json::key_to_json(&intent.key)?,
            value: json::to_json(intent.value)?,
        })
    }
}
