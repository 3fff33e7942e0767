//! An intent as reports and messages write it: its key and value as JSON.

use guest_abi::intent::Intent;
use guest_abi::value::ValueError;
use guest_state::state_file;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// An intent.
///
/// ```
/// use guest_abi::intent::intents;
/// use host_harness::report::IntentReport;
///
/// // [0, "sys.View", "shop.Orders", {"Year": 2023}, {"Amount": 400}]
/// let stream = b"\x85\x00\x68sys.View\x6Bshop.Orders\xA1\x64Year\x19\x07\xE7\xA1\x66Amount\x19\x01\x90";
/// let intent = intents(stream).next().unwrap()?;
/// let report = IntentReport::of(&intent)?;
/// assert_eq!((&*report.operation, report.value.to_string()), ("new", r#"{"Amount":400}"#.to_owned()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
            key: state_file::key_to_json(&intent.key)?,
            value: state_file::to_json(intent.value)?,
        })
    }
}
