//! The state file: a JSON array of records, loaded into a [`MemoryState`], and values as JSON in its form.

mod error;
mod json;
#[cfg(test)]
mod tests;

use std::path::Path;

use guest_abi::cbor::encode;
use guest_abi::key::Key;
use guest_abi::value::{ObjectEncoder, ValueRef};
use serde_json::value::RawValue;

use self::json::{Field, Parsed, Wrong};
use crate::merge::definite;
use crate::{MemoryState, input};

pub use error::{JsonValueError, StateFileError};
pub use json::{key_to_json, to_json};

/// The mark with which some editors begin a UTF-8 file.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// Loads the state file at `path`.
///
/// # Errors
/// [`StateFileError`] with line and column.
pub fn load_state_file(path: &Path) -> Result<MemoryState, StateFileError> {
    let bytes = input::read(path).map_err(|source| StateFileError::Read { path: path.to_owned(), source })?;
    let text = std::str::from_utf8(&bytes).map_err(|error| {
        let before = &bytes[..error.valid_up_to()];
        let found = match bytes.as_slice() {
            [0xFE, 0xFF, ..] | [0xFF, 0xFE, ..] => "the file is UTF-16".to_owned(),
            _ => format!("byte {:#04x} is not UTF-8", bytes[before.len()]),
        };
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        StateFileError::NotUtf8 { path: path.to_owned(), line, found }
    })?;
    parse_state(text, path)
}

/// Loads a state from the text of a state file; `path` is for messages.
///
/// ```
/// use guest_state::state_file::parse_state;
///
/// let text = r#"[{"storage": "sys.View", "entity": "shop.Orders", "key": {"Year": 2023}, "value": {"Amount": 400}}]"#;
/// let state = parse_state(text, "orders.json".as_ref())?;
/// assert_eq!(state.len(), 1);
/// let error = parse_state("[{}]", "orders.json".as_ref()).unwrap_err();
/// assert!(error.to_string().starts_with("orders.json:1:"), "{error}");
/// # Ok::<(), guest_state::state_file::StateFileError>(())
/// ```
///
/// # Errors
/// [`StateFileError`] with line and column.
pub fn parse_state(text: &str, path: &Path) -> Result<MemoryState, StateFileError> {
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    let syntax = |(line, column): (usize, usize), reason: String| StateFileError::Syntax {
        path: path.to_owned(),
        line,
        column,
        reason,
    };
    if let Some((at, found)) = no_array(text) {
        return Err(syntax(line_and_column(text, at), format!("expected an array of records, found {found}")));
    }
    // Raw values keep their place in the text, which tells where something wrong stands.
    let records: Vec<&RawValue> = serde_json::from_str(text).map_err(|error| {
        let at = offset(text, error.line(), error.column());
        syntax(line_and_column(text, at), json::reason(&error))
    })?;
    let mut state = MemoryState::new();
    for (index, raw) in records.into_iter().enumerate() {
        let record = Record::read(raw).map_err(|wrong| syntax(place(text, wrong.at), wrong.to_string()))?;
        record.insert(raw, &mut state).map_err(|(at, reason)| {
            let (line, column) = place(text, at);
            let storage = record.storage.clone();
            StateFileError::Record { path: path.to_owned(), line, column, index, storage, reason }
        })?;
    }
    Ok(state)
}

/// Reads an object in the form that values have in a state file, and returns it with definite lengths, as guests read it.
///
/// ```
/// use guest_state::state_file::value_from_json;
///
/// assert_eq!(value_from_json(r#"{"Amount": 400}"#)?, b"\xA1\x66Amount\x19\x01\x90");
/// let error = value_from_json("{\"Items\": [\n1, null]}").unwrap_err();
/// assert_eq!(error.to_string(), "line 2, column 4: at `Items.1`: null is not a value; leave the field out");
/// # Ok::<(), guest_state::state_file::JsonValueError>(())
/// ```
///
/// # Errors
/// [`JsonValueError`] with line and column.
pub fn value_from_json(text: &str) -> Result<Vec<u8>, JsonValueError> {
    let error = |(line, column): (usize, usize), reason| JsonValueError { line, column, reason };
    let raw: &RawValue = serde_json::from_str(text).map_err(|syntax| {
        let at = offset(text, syntax.line(), syntax.column());
        error(line_and_column(text, at), json::reason(&syntax))
    })?;
    let wrong = |wrong: Wrong<'_>| error(place(text, wrong.at), wrong.to_string());
    let fields = object(raw, "the value").map_err(wrong)?;
    let mut value = Vec::new();
    let mut writer = ObjectEncoder::begin(&mut value);
    json::write_value(&fields, &mut writer).map_err(wrong)?;
    writer.end();
    definite(ValueRef::new(&value)).map_err(|invalid| error((1, 1), invalid.to_string()))
}

/// Where the text begins with something else than an array, and what that is; `None` also for what is no JSON at all.
fn no_array(text: &str) -> Option<(usize, &'static str)> {
    let at = text.find(|char: char| !char.is_ascii_whitespace()).unwrap_or(text.len());
    let found = match text.as_bytes().get(at) {
        None => "nothing",
        Some(b'{') => "an object",
        Some(b'"') => "a string",
        Some(b'-' | b'0'..=b'9') => "a number",
        _ => return None,
    };
    Some((at, found))
}

/// Line and column of a part of `text`.
fn place(text: &str, part: &str) -> (usize, usize) {
    line_and_column(text, part.as_ptr().addr() - text.as_ptr().addr())
}

/// Costs as much as the text is long, so it is for the one error that ends the loading.
fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let at = (0..=offset.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
    let before = &text[..at];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

/// The offset of a place that serde_json names by its line and, in bytes, its column.
fn offset(text: &str, line: usize, column: usize) -> usize {
    let before: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    before + column.saturating_sub(1)
}

/// A record as it stands in the text.
struct Record<'t> {
    storage: String,
    entity: String,
    key: Option<&'t RawValue>,
    value: &'t RawValue,
}

impl<'t> Record<'t> {
    fn read(raw: &'t RawValue) -> Result<Self, Wrong<'t>> {
        let (mut storage, mut entity, mut key, mut value) = (None, None, None, None);
        for field in object(raw, "a record")? {
            match field.name.as_str() {
                "storage" => storage = Some(text(&field)?),
                "entity" => entity = Some(text(&field)?),
                "key" => key = Some(field.value),
                "value" => value = Some(field.value),
                other => {
                    let reason = format!(
                        "unknown field `{other}`; a record has the fields `storage`, `entity`, `key` and `value`"
                    );
                    return Err(Wrong::new(field.name_at, reason));
                }
            }
        }
        let missing = |name: &str| Wrong::new(raw.get(), format!("the record has no field `{name}`"));
        Ok(Self {
            storage: storage.ok_or_else(|| missing("storage"))?,
            entity: entity.unwrap_or_default(),
            key,
            value: value.ok_or_else(|| missing("value"))?,
        })
    }

    /// Puts the record into the state; on failure, what is wrong in the text, and why.
    fn insert(&self, raw: &'t RawValue, state: &mut MemoryState) -> Result<(), (&'t str, String)> {
        let in_part = |part: &'static str| move |wrong: Wrong<'t>| (wrong.at, format!("{part} {wrong}"));
        let mut key = Vec::new();
        encode::element(&mut key, self.storage.as_str());
        encode::element(&mut key, self.entity.as_str());
        let mut fields = ObjectEncoder::begin(&mut key);
        if let Some(raw) = self.key {
            let key = object(raw, "`key`").map_err(|wrong| (wrong.at, wrong.to_string()))?;
            json::write_key(&key, &mut fields).map_err(in_part("key"))?;
        }
        fields.end();
        let mut value = Vec::new();
        let mut fields = ObjectEncoder::begin(&mut value);
        let written = object(self.value, "`value`").map_err(|wrong| (wrong.at, wrong.to_string()))?;
        json::write_value(&written, &mut fields).map_err(in_part("value"))?;
        fields.end();
        let key = Key::parse(&key).map_err(|error| (raw.get(), error.to_string()))?;
        state.insert(&key, ValueRef::new(&value)).map_err(|error| (raw.get(), error.to_string()))
    }
}

/// The fields of what must be an object.
fn object<'t>(raw: &'t RawValue, what: &str) -> Result<Vec<Field<'t>>, Wrong<'t>> {
    let found = match raw.get() {
        "null" => "null",
        _ => match Parsed::of(raw)? {
            Parsed::Object(fields) => return Ok(fields),
            other => other.kind(),
        },
    };
    Err(Wrong::new(raw.get(), format!("{what} must be an object, not {found}")))
}

/// The text of a field that must be one.
fn text<'t>(field: &Field<'t>) -> Result<String, Wrong<'t>> {
    let at = field.value.get();
    let found = match at {
        "null" => "null",
        _ => match Parsed::of(field.value)? {
            Parsed::Text(text) => return Ok(text),
            other => other.kind(),
        },
    };
    Err(Wrong::new(at, format!("`{}` must be a string, not {found}", field.name)))
}
