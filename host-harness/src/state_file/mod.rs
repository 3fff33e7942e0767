//! The state file: a JSON array of records, loaded into a [`MemoryState`].

pub(crate) mod json;

use std::path::{Path, PathBuf};

use guest_abi::cbor::encode;
use guest_abi::key::Key;
use guest_abi::value::{ObjectEncoder, ValueRef};
use guest_state::MemoryState;
use serde_json::value::RawValue;

use self::json::{Field, Parsed, Wrong};
use guest_host::input;

/// Why a state file was not loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateFileError {
    /// The file cannot be read.
    #[error("cannot read the state file {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason, or that the file is no file or too large.
        source: std::io::Error,
    },
    /// The file is text in another encoding, or no text.
    #[error("{}:{line}: {found}; save the state file as UTF-8", path.display())]
    NotUtf8 {
        /// The file.
        path: PathBuf,
        /// Line of the first byte that is wrong, from 1.
        line: usize,
        /// The problem there.
        found: String,
    },
    /// Not JSON, or not an array of records.
    #[error("{}:{line}:{column}: {reason}; a state file is a JSON array of records such as {EXAMPLE}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Line of the error, from 1.
        line: usize,
        /// Column of the error in characters, from 1.
        column: usize,
        /// The problem there.
        reason: String,
    },
    /// A record that the value model has no place for.
    #[error("{}:{line}:{column}: record {index} (storage `{storage}`): {reason}", path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// Line of what is wrong with the record, from 1.
        line: usize,
        /// Column of what is wrong, in characters, from 1.
        column: usize,
        /// Number of the record in the array, from 0.
        index: usize,
        /// The record's storage.
        storage: String,
        /// The problem with it.
        reason: String,
    },
}

const EXAMPLE: &str = r#"[{"storage": "sys.View", "key": {"Year": 2023}, "value": {"Amount": 1}}]"#;

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
/// use host_harness::parse_state;
///
/// let text = r#"[{"storage": "sys.View", "entity": "shop.Orders", "key": {"Year": 2023}, "value": {"Amount": 400}}]"#;
/// let state = parse_state(text, "orders.json".as_ref())?;
/// assert_eq!(state.len(), 1);
/// let error = parse_state("[{}]", "orders.json".as_ref()).unwrap_err();
/// assert!(error.to_string().starts_with("orders.json:1:"), "{error}");
/// # Ok::<(), host_harness::StateFileError>(())
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
    let before = &text[..text.floor_char_boundary(offset)];
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

#[cfg(test)]
mod tests {
    use guest_abi::value::Kind;

    use super::*;

    fn error(text: &str) -> String {
        parse_state(text, Path::new("s.json")).unwrap_err().to_string()
    }

    /// Expects that each text is refused at this place and with these words.
    fn refused(cases: &[(&str, &str, &str)]) {
        for (text, place, words) in cases {
            let error = error(text);
            assert!(error.starts_with(&format!("s.json:{place}: ")) && error.contains(words), "{text}\n{error}");
            for foreign in ["RecordInFile", "CBOR", "intents", "struct", "expected a sequence"] {
                assert!(!error.contains(foreign), "{text}\n{error}");
            }
        }
    }

    fn read_back(text: &str) -> serde_json::Value {
        let mut state = parse_state(text, Path::new("s.json")).unwrap();
        let value = state.get(&Key::of_storage("sys.Event")).unwrap().unwrap();
        json::to_json(ValueRef::new(value)).unwrap()
    }

    #[test]
    fn the_documented_example_loads_and_reads_back() {
        let text = r#"[
          {"storage": "sys.Event", "value": {"qname": "shop.NewOrder", "Raw": {"$bytes": "AP8="}, "Name": {"$qname": ["shop", "Order"]},
            "ArgumentObject": {"Year": 2023, "Items": [{"Quantity": 2, "SinglePrice": 50.5}]}}},
          {"storage": "sys.View", "entity": "example.com/shop.OrderedItems", "key": {"Year": 2023, "Month": 1}, "value": {"Amount": 400}}
        ]"#;
        assert_eq!(parse_state(text, Path::new("s.json")).unwrap().len(), 2);
        let written: serde_json::Value = serde_json::from_str(text).unwrap();
        assert_eq!(read_back(text), written[0]["value"]);
    }

    #[test]
    fn what_is_no_array_of_records_is_told_in_plain_words() {
        refused(&[
            ("[\n  {\"storage\": }", "2:15", "expected value"),
            ("", "1:1", "expected an array of records, found nothing"),
            (" {}", "1:2", "expected an array of records, found an object"),
            ("7", "1:1", "expected an array of records, found a number"),
            ("nonsense", "1:2", "expected ident"),
            ("[] []", "1:4", "trailing characters"),
            ("[\n[]]", "2:1", "a record must be an object, not an array"),
            ("[null]", "1:2", "must be an object, not null"),
            ("[{\"storage\": \"\u{e9}\", \"x\": ?}]", "1:24", "expected value"),
        ]);
    }

    #[test]
    fn what_a_record_lacks_or_has_too_much_is_told_with_its_place() {
        refused(&[
            ("[\n\n  {\"storage\": \"a\",\n   \"valeu\": {}}]", "4:4", "unknown field `valeu`"),
            (r#"[{"value": {}}]"#, "1:2", "the record has no field `storage`"),
            (r#"[{"storage": "a"}]"#, "1:2", "the record has no field `value`"),
            (r#"[{"storage": 1, "value": {}}]"#, "1:14", "`storage` must be a string, not a number"),
            (r#"[{"storage": "a", "entity": null, "value": {}}]"#, "1:29", "`entity` must be a string, not null"),
            (r#"[{"storage": "a", "value": [1]}]"#, "1:28", "`value` must be an object, not an array"),
            (r#"[{"storage": "a", "value": {"$bytes": ""}}]"#, "1:28", "`value` must be an object, not bytes"),
            (r#"[{"storage": "a", "key": 5, "value": {}}]"#, "1:26", "`key` must be an object, not a number"),
        ]);
    }

    #[test]
    fn errors_name_the_field_and_point_at_the_value() {
        refused(&[
            (
                r#"[{"storage": "a", "value": {"x": {"y": [1, null]}}}]"#,
                "1:44",
                "record 0 (storage `a`): value at `x.y.1`: null is not a value",
            ),
            (r#"[{"storage": "a", "value": {"x": {"$bytes": "?"}}}]"#, "1:45", "at `x`: `$bytes` is not base64"),
            (r#"[{"storage": "a", "value": {"x": {"$qname": ["p"]}}}]"#, "1:45", "at `x`: `$qname` needs an array"),
            (r#"[{"storage": "a", "value": {"x": "\ud800"}}]"#, "1:34", "at `x`: "),
            (
                r#"[{"storage": "a", "key": {"x": {"y": 1}}, "value": {}}]"#,
                "1:32",
                "key at `x`: an object is not allowed in a key",
            ),
            (
                r#"[{"storage": "a", "key": {"x": [1]}, "value": {}}]"#,
                "1:32",
                "key at `x`: an array is not allowed in a key",
            ),
        ]);
    }

    #[test]
    fn a_field_that_is_given_twice_is_refused_wherever_it_stands() {
        refused(&[
            (r#"[{"storage": "a", "storage": "b", "value": {}}]"#, "1:19", "field `storage` occurs twice"),
            (r#"[{"storage": "a", "key": {"x": 1, "x": 1}, "value": {}}]"#, "1:35", "field `x` occurs twice"),
            (r#"[{"storage": "a", "value": {"x": 1, "\u0078": 1}}]"#, "1:37", "field `x` occurs twice"),
            (r#"[{"storage": "a", "value": {"x": [{"y": 1, "y": 1}]}}]"#, "1:44", "at `x.0`: field `y` occurs twice"),
        ]);
    }

    #[test]
    fn a_marker_beside_other_fields_is_refused() {
        refused(&[
            (
                r#"[{"storage": "a", "value": {"x": {"$bytes": "", "y": 1}}}]"#,
                "1:35",
                "`$bytes` must be the only field",
            ),
            (
                r#"[{"storage": "a", "value": {"x": {"y": 1, "$qname": ["a", "b"]}}}]"#,
                "1:43",
                "`$qname` must be the only field",
            ),
        ]);
    }

    #[test]
    fn integers_never_become_floats() {
        let text = |number: &str| format!(r#"[{{"storage": "sys.Event", "value": {{"x": {number}}}}}]"#);
        for number in ["9223372036854775808", "-9223372036854775809", "100000000000000000000000"] {
            refused(&[(&text(number), "1:42", "does not fit a signed 64-bit integer")]);
        }
        refused(&[(&text("1e999"), "1:42", "does not fit a 64-bit float")]);
        for (number, read) in [
            ("9223372036854775807", serde_json::json!(i64::MAX)),
            ("-9223372036854775808", serde_json::json!(i64::MIN)),
            ("1e3", serde_json::json!(1000.0)),
            ("-9223372036854775809.0", serde_json::json!(-9_223_372_036_854_775_809.0_f64)),
        ] {
            assert_eq!(read_back(&text(number))["x"], read, "{number}");
        }
    }

    #[test]
    fn a_decimal_is_the_nearest_value_of_the_type_that_reads_it() {
        let text = r#"[{"storage": "sys.Event", "value": {"x": 1.1, "y": {"$f32": 1.1}, "z": {"$f64": 2}, "i": {"$i32": -7},
            "a": [{"$i64": 8}]}}]"#;
        let mut state = parse_state(text, Path::new("s.json")).unwrap();
        let value = ValueRef::new(state.get(&Key::of_storage("sys.Event")).unwrap().unwrap());
        let field = |name| value.field(name).unwrap().unwrap();
        assert_eq!((field("x").as_f32(), field("x").as_f64()), (Ok(1.1), Ok(1.1)));
        assert_eq!((field("y").as_f32(), field("y").kind()), (Ok(1.1), Ok(Kind::Float32)));
        assert_eq!((field("z").as_f64(), field("z").kind()), (Ok(2.0), Ok(Kind::Float64)));
        assert_eq!(field("i").as_i32(), Ok(-7));
        assert_eq!(field("a").items().unwrap().next().unwrap().unwrap().as_i64(), Ok(8));
    }

    #[test]
    fn a_marker_of_a_type_refuses_what_the_type_does_not_hold() {
        let text = |value: &str| format!(r#"[{{"storage": "a", "value": {{"x": {value}}}}}]"#);
        refused(&[
            (&text(r#"{"$f32": 1e39}"#), "1:43", "`$f32` needs a number in the range of a 32-bit float, not 1e39"),
            (&text(r#"{"$f32": "1"}"#), "1:43", "`$f32` needs a number"),
            (&text(r#"{"$f64": 1e999}"#), "1:43", "`$f64` needs a number in the range"),
            (&text(r#"{"$i32": 2147483648}"#), "1:43", "`$i32` needs an integer of 32 bits"),
            (&text(r#"{"$i64": 1.0}"#), "1:43", "`$i64` needs an integer of 64 bits"),
            (&text(r#"{"$i64": 1, "y": 1}"#), "1:35", "`$i64` must be the only field"),
        ]);
    }

    #[test]
    fn values_nest_to_the_limit_and_no_deeper() {
        let text = |levels: usize| {
            let (open, close) = ("[".repeat(levels - 1), "]".repeat(levels - 1));
            format!(r#"[{{"storage": "sys.Event", "value": {{"x": {open}{close}}}}}]"#)
        };
        assert!(read_back(&text(64))["x"].is_array());
        refused(&[
            (&text(65), "1:105", "values may be nested to 64 levels and no deeper"),
            (&text(100_000), "1:105", "values may be nested to 64 levels and no deeper"),
        ]);
    }

    #[test]
    fn a_byte_order_mark_is_skipped_and_another_encoding_told() {
        let text = "\u{feff}[{\"storage\": \"sys.Event\", \"value\": {\"x\": 1}}]";
        assert_eq!(read_back(text)["x"], 1);
        refused(&[("\u{feff}{}", "1:1", "an object")]);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.json");
        for (bytes, line, words) in
            [(&b"[\n\xe9]"[..], ":2: ", "byte 0xe9 is not UTF-8"), (b"\xff\xfe[\0", ":1: ", "UTF-16")]
        {
            std::fs::write(&path, bytes).unwrap();
            let error = load_state_file(&path).unwrap_err().to_string();
            assert!(error.contains(line) && error.contains(words), "{error}");
        }
        let folder = load_state_file(folder.path()).unwrap_err().to_string();
        assert!(folder.contains("it is a folder"), "{folder}");
    }

    #[test]
    fn places_count_lines_and_characters() {
        assert_eq!(line_and_column("a\n\u{e9}b", 4), (2, 2));
        assert_eq!(offset("a\n\u{e9}b", 2, 3), 4);
    }
}
