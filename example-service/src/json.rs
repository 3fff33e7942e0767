//! Events from JSON and intents as JSON, in the form that values have in state files: `{"$bytes": "<base64>"}` for bytes,
//! `{"$qname": ["package", "entity"]}` for a qualified name, and no `null`.

use guest_abi::intent::Intent;
use guest_abi::value::ValueError;
pub use guest_state::state_file::to_json;
use guest_state::state_file::{JsonValueError, value_from_json};
use serde_json::{Value, json};

/// Why a body is not an event.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    /// Bytes that are no text.
    #[error("the body is not UTF-8")]
    NotUtf8(#[from] std::str::Utf8Error),
    /// Text that is not a JSON object, or one that the value model has no place for.
    #[error("the body is not an event: {0}")]
    NoValue(#[from] JsonValueError),
}

/// The event that a request's body holds: an object, or nothing for an empty one.
///
/// # Errors
/// [`EventError`].
pub fn event(body: &[u8]) -> Result<Vec<u8>, EventError> {
    let body = if body.trim_ascii().is_empty() { b"{}" } else { body };
    Ok(value_from_json(std::str::from_utf8(body)?)?)
}

/// An intent as JSON.
///
/// # Errors
/// [`ValueError`] if its value is not of the value model.
pub fn intent_to_json(intent: &Intent<'_>) -> Result<Value, ValueError> {
    Ok(json!({
        "operation": intent.operation.name(),
        "storage": intent.key.storage,
        "entity": intent.key.entity,
        "key": to_json(intent.key.object())?,
        "value": to_json(intent.value)?,
    }))
}

#[cfg(test)]
mod tests {
    use guest_abi::value::ValueRef;

    use super::*;

    #[test]
    fn an_event_comes_back_as_it_was() {
        let text =
            r#"{"a": 1, "b": -2.5, "c": [true, "x", {"d": {}}], "e": {"$bytes": "AAE="}, "f": {"$qname": ["p", "q"]}}"#;
        let event = event(text.as_bytes()).unwrap();
        assert_eq!(to_json(ValueRef::new(&event)).unwrap(), serde_json::from_str::<Value>(text).unwrap());
        assert_eq!(event[0], 0xA5, "lengths are definite");
    }

    #[test]
    fn an_empty_body_is_an_event_without_fields() {
        assert_eq!(event(b" \n").unwrap(), [0xA0]);
    }

    #[test]
    fn an_error_names_the_place() {
        let refused = |text: &[u8]| event(text).unwrap_err().to_string();
        assert!(refused(br#"{"a": {"b": [1, null]}}"#).contains("column 17: at `a.b.1`: null is not a value"));
        assert!(refused(b"[]").contains("must be an object"));
        assert_eq!(refused(b"\xFF"), "the body is not UTF-8");
    }
}
