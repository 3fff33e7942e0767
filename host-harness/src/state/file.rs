//! The state file: a JSON array of records, loaded into a [`MemoryState`].

use std::path::{Path, PathBuf};

use guest_abi::MemoryState;
use guest_abi::key::Key;
use guest_abi::value::{ObjectWriter, ValueRef};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::json;

/// Why a state file was not loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateFileError {
    /// The file cannot be read.
    #[error("cannot read the state file {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// Not JSON, or not an array of records.
    #[error("{}:{line}:{column}: {reason}; a state file is a JSON array of records such as {EXAMPLE}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Line of the error, from 1.
        line: usize,
        /// Column of the error, from 1.
        column: usize,
        /// What is wrong there.
        reason: String,
    },
    /// A record that the value model has no place for.
    #[error("{}:{line}:{column}: record {index} (storage `{storage}`): {reason}", path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// Line in which the record starts, from 1.
        line: usize,
        /// Column in which the record starts, from 1.
        column: usize,
        /// Number of the record in the array, from 0.
        index: usize,
        /// The record's storage.
        storage: String,
        /// What is wrong with it.
        reason: String,
    },
}

const EXAMPLE: &str = r#"[{"storage": "sys.View", "key": {"Year": 2023}, "value": {"Amount": 1}}]"#;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RecordInFile {
    storage: String,
    #[serde(default)]
    entity: String,
    #[serde(default)]
    key: Map<String, Value>,
    value: Map<String, Value>,
}

/// Loads the state file at `path`.
///
/// # Errors
/// [`StateFileError`] with line and column.
pub fn load_state_file(path: &Path) -> Result<MemoryState, StateFileError> {
    let text =
        std::fs::read_to_string(path).map_err(|source| StateFileError::Read { path: path.to_owned(), source })?;
    parse_state(&text, path)
}

/// Loads a state from the text of a state file; `path` is for messages.
///
/// # Errors
/// [`StateFileError`] with line and column.
pub fn parse_state(text: &str, path: &Path) -> Result<MemoryState, StateFileError> {
    let syntax = |error: &serde_json::Error, (line, column): (usize, usize)| {
        // serde_json counts from the start of what it was given, and says so at the end of its text.
        let reason = error.to_string();
        let reason = reason.split(" at line ").next().unwrap_or_default().to_owned();
        let (line, column) = match error.line() {
            0 => (line, column),
            1 => (line, column + error.column().max(1) - 1),
            further => (line + further - 1, error.column().max(1)),
        };
        StateFileError::Syntax { path: path.to_owned(), line, column, reason }
    };
    // Raw values keep their place in the text, which tells where a record with an error begins.
    let raw: Vec<&serde_json::value::RawValue> = serde_json::from_str(text).map_err(|error| syntax(&error, (1, 1)))?;
    let mut state = MemoryState::new();
    for (index, raw) in raw.into_iter().enumerate() {
        let raw = raw.get();
        let offset = raw.as_ptr().addr() - text.as_ptr().addr();
        let place = line_and_column(text, offset);
        let record: RecordInFile = serde_json::from_str(raw).map_err(|error| syntax(&error, place))?;
        insert(&mut state, &record).map_err(|reason| StateFileError::Record {
            path: path.to_owned(),
            line: place.0,
            column: place.1,
            index,
            storage: record.storage.clone(),
            reason,
        })?;
    }
    Ok(state)
}

fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = &text[..offset];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

fn insert(state: &mut MemoryState, record: &RecordInFile) -> Result<(), String> {
    let object = |fields: &Map<String, Value>, what: &str| {
        let mut bytes = Vec::new();
        let mut writer = ObjectWriter::begin(&mut bytes);
        json::write_fields(fields, &mut writer).map_err(|error| format!("{what} {error}"))?;
        writer.end();
        Ok::<_, String>(bytes)
    };
    let mut key = Vec::new();
    let mut encoder = minicbor::Encoder::new(&mut key);
    // Writing to a vector cannot fail.
    let _ = encoder.str(&record.storage);
    let _ = encoder.str(&record.entity);
    key.extend_from_slice(&object(&record.key, "key")?);
    let key = Key::parse(&key).map_err(|error| format!("key: {error}"))?;
    let value = object(&record.value, "value")?;
    state.insert(&key, ValueRef::new(&value)).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        parse_state(text, Path::new("state.json")).unwrap_err().to_string()
    }

    #[test]
    fn the_documented_example_loads_and_reads_back() {
        let text = r#"[
          {"storage": "sys.Event", "value": {"qname": "shop.NewOrder", "Raw": {"$bytes": "AP8="}, "Name": {"$qname": ["shop", "Order"]},
            "ArgumentObject": {"Year": 2023, "Items": [{"Quantity": 2, "SinglePrice": 50.5}]}}},
          {"storage": "sys.View", "entity": "example.com/shop.OrderedItems", "key": {"Year": 2023, "Month": 1}, "value": {"Amount": 400}}
        ]"#;
        let mut state = parse_state(text, Path::new("state.json")).unwrap();
        assert_eq!(state.len(), 2);
        let event = state.get(&Key::of_storage("sys.Event")).unwrap().unwrap();
        let json = json::to_json(ValueRef::new(event)).unwrap();
        let written: Value = serde_json::from_str(text).unwrap();
        assert_eq!(json, written[0]["value"]);
    }

    #[test]
    fn errors_name_line_and_column() {
        assert!(
            error("[\n  {\"storage\": }").starts_with("state.json:2:15: expected value"),
            "{}",
            error("[\n  {\"storage\": }")
        );
        assert!(error("{}").starts_with("state.json:1:"), "{}", error("{}"));
        let unknown = error("[\n\n  {\"storage\": \"a\",\n   \"valeu\": {}}]");
        assert!(unknown.starts_with("state.json:4:"), "{unknown}");
        assert!(unknown.contains("unknown field `valeu`"), "{unknown}");
    }

    #[test]
    fn errors_name_the_field() {
        let null = error(r#"[{"storage": "a", "value": {"x": {"y": [1, null]}}}]"#);
        assert!(
            null.contains("state.json:1:2: record 0 (storage `a`): value at `x.y.1`: null is not a value"),
            "{null}"
        );
        let bytes = error(r#"[{"storage": "a", "value": {"x": {"$bytes": "?"}}}]"#);
        assert!(bytes.contains("at `x`: `$bytes` is not base64"), "{bytes}");
        let nested = error(r#"[{"storage": "a", "key": {"x": {"y": 1}}, "value": {}}]"#);
        assert!(nested.contains("key:"), "{nested}");
    }
}
