//! JSON and the value model, both ways.
//!
//! Values stay text until they are encoded. So each error knows its place, a number keeps all its digits, and no field
//! hides another of the same name.

use std::collections::HashSet;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use guest_abi::cbor::MAX_DEPTH;
use guest_abi::key::Key;
use guest_abi::value::{ArrayEncoder, Kind, ObjectEncoder, QName, ValueError, ValueRef};
use serde::de::{Deserializer as _, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Number, Value};

/// Why JSON has no place in a state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wrong<'t> {
    /// The wrong part of the text.
    pub(super) at: &'t str,
    /// Fields and elements that lead there.
    path: Vec<String>,
    reason: String,
}

impl<'t> Wrong<'t> {
    pub(super) fn new(at: &'t str, reason: impl Into<String>) -> Self {
        Self { at, path: Vec::new(), reason: reason.into() }
    }

    pub(super) fn under(mut self, step: impl Into<String>) -> Self {
        self.path.insert(0, step.into());
        self
    }
}

impl fmt::Display for Wrong<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            f.write_str(&self.reason)
        } else {
            write!(f, "at `{}`: {}", self.path.join("."), self.reason)
        }
    }
}

/// Names of fields that give the type of the value behind them.
const MARKERS: [&str; 6] = ["$bytes", "$qname", "$f32", "$f64", "$i32", "$i64"];

/// A field as it stands in the text.
pub(super) struct Field<'t> {
    pub(super) name: String,
    /// The name with its quotation marks.
    pub(super) name_at: &'t str,
    pub(super) value: &'t RawValue,
}

/// The meaning of a JSON value in the value model.
pub(super) enum Parsed<'t> {
    Int(i64),
    Float(f64),
    /// `{"$f32": 1.1}`.
    Narrow(f32),
    Bool(bool),
    Text(String),
    Bytes(Vec<u8>),
    QName([String; 2]),
    Array(Vec<&'t RawValue>),
    Object(Vec<Field<'t>>),
}

impl<'t> Parsed<'t> {
    /// Reads one level of a value.
    pub(super) fn of(raw: &'t RawValue) -> Result<Self, Wrong<'t>> {
        let text = raw.get();
        Ok(match text.as_bytes().first() {
            Some(b'n') => return Err(Wrong::new(text, "null is not a value; leave the field out")),
            Some(b't' | b'f') => Self::Bool(text == "true"),
            Some(b'"') => Self::Text(string(text)?),
            Some(b'[') => Self::Array(read(text)?),
            Some(b'{') => Self::of_object(text)?,
            _ => return Self::of_number(text),
        })
    }

    fn of_object(text: &'t str) -> Result<Self, Wrong<'t>> {
        let fields = fields(text)?;
        let marker = fields.iter().find(|field| MARKERS.contains(&field.name.as_str()));
        Ok(match marker {
            None => Self::Object(fields),
            Some(marker) if fields.len() > 1 => {
                let reason = format!("`{}` must be the only field of its object; remove the others", marker.name);
                return Err(Wrong::new(marker.name_at, reason));
            }
            Some(marker) => match marker.name.as_str() {
                "$bytes" => Self::Bytes(bytes(marker.value)?),
                "$qname" => Self::QName(qname(marker.value)?),
                kind => Self::of_typed_number(kind, marker.value.get())?,
            },
        })
    }

    /// The number behind a marker with its type.
    fn of_typed_number(marker: &str, text: &'t str) -> Result<Self, Wrong<'t>> {
        if !text.starts_with(['-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9']) {
            return Err(Wrong::new(text, format!("`{marker}` needs a number")));
        }
        let (parsed, needs) = match marker {
            "$f32" => {
                let float = text.parse().ok().filter(|float: &f32| float.is_finite());
                (float.map(Self::Narrow), "a number in the range of a 32-bit float")
            }
            "$f64" => {
                let float = text.parse().ok().filter(|float: &f64| float.is_finite());
                (float.map(Self::Float), "a number in the range of a 64-bit float")
            }
            "$i32" => {
                let integer = text.parse().ok().map(|integer: i32| Self::Int(integer.into()));
                (integer, "an integer of 32 bits with sign, without point and exponent")
            }
            _ => (text.parse().ok().map(Self::Int), "an integer of 64 bits with sign, without point and exponent"),
        };
        parsed.ok_or_else(|| Wrong::new(text, format!("`{marker}` needs {needs}, not {text}")))
    }

    /// JSON tells integers from floats by how they are written alone, and so does this: no integer becomes a float
    /// unless a marker says so.
    fn of_number(text: &'t str) -> Result<Self, Wrong<'t>> {
        if text.contains(['.', 'e', 'E']) {
            let float = text.parse().ok().filter(|float: &f64| float.is_finite());
            return float
                .map(Self::Float)
                .ok_or_else(|| Wrong::new(text, format!("{text} does not fit a 64-bit float")));
        }
        text.parse().map(Self::Int).map_err(|_| {
            let reason = format!(
                "{text} does not fit a signed 64-bit integer; add a decimal point for a float, or use a string"
            );
            Wrong::new(text, reason)
        })
    }

    /// Its kind with an article, for messages.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Int(_) | Self::Float(_) | Self::Narrow(_) => "a number",
            Self::Bool(_) => "a bool",
            Self::Text(_) => "a string",
            Self::Bytes(_) => "bytes",
            Self::QName(_) => "a qualified name",
            Self::Array(_) => "an array",
            Self::Object(_) => "an object",
        }
    }
}

/// Reads what is certain to be JSON by now, of a type that its first byte has told.
fn read<'t, T: serde::Deserialize<'t>>(text: &'t str) -> Result<T, Wrong<'t>> {
    serde_json::from_str(text).map_err(|error| Wrong::new(text, reason(&error)))
}

fn string(text: &str) -> Result<String, Wrong<'_>> {
    read(text)
}

/// The message of serde_json without its place, which counts from the start of the parsed part.
pub(super) fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or(text.as_str(), |(reason, _)| reason).to_owned()
}

/// The fields of an object in the order of the text, each name once.
fn fields(text: &str) -> Result<Vec<Field<'_>>, Wrong<'_>> {
    struct Pairs;

    impl<'t> Visitor<'t> for Pairs {
        type Value = Vec<(&'t RawValue, &'t RawValue)>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'t>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut pairs = Vec::new();
            while let Some(pair) = map.next_entry()? {
                pairs.push(pair);
            }
            Ok(pairs)
        }
    }

    let pairs = serde_json::Deserializer::from_str(text).deserialize_map(Pairs);
    let pairs = pairs.map_err(|error| Wrong::new(text, reason(&error)))?;
    let mut fields = Vec::with_capacity(pairs.len());
    for (name, value) in pairs {
        fields.push(Field { name: string(name.get())?, name_at: name.get(), value });
    }
    let mut names = HashSet::with_capacity(fields.len());
    if let Some(twice) = fields.iter().find(|field| !names.insert(field.name.as_str())) {
        return Err(Wrong::new(twice.name_at, format!("field `{}` occurs twice; remove one", twice.name)));
    }
    Ok(fields)
}

fn bytes(value: &RawValue) -> Result<Vec<u8>, Wrong<'_>> {
    let Ok(Parsed::Text(text)) = Parsed::of(value) else {
        return Err(Wrong::new(value.get(), "`$bytes` needs a string in base64"));
    };
    BASE64.decode(text).map_err(|error| Wrong::new(value.get(), format!("`$bytes` is not base64: {error}")))
}

fn qname(value: &RawValue) -> Result<[String; 2], Wrong<'_>> {
    read::<[String; 2]>(value.get())
        .map_err(|_| Wrong::new(value.get(), "`$qname` needs an array of two strings, package and entity"))
}

/// Writes the fields of a value; it is the first of the levels to which values may be nested.
pub(super) fn write_value<'t>(fields: &[Field<'t>], writer: &mut ObjectEncoder<'_, Vec<u8>>) -> Result<(), Wrong<'t>> {
    write_fields(fields, writer, MAX_DEPTH - 1)
}

/// Writes the fields of a key, which are scalars.
pub(super) fn write_key<'t>(fields: &[Field<'t>], writer: &mut ObjectEncoder<'_, Vec<u8>>) -> Result<(), Wrong<'t>> {
    for Field { name, value, .. } in fields {
        let parsed = Parsed::of(value).map_err(|wrong| wrong.under(name))?;
        if let Parsed::Array(_) | Parsed::Object(_) = parsed {
            let reason = format!(
                "{} is not allowed in a key; its fields are numbers, strings, bools, bytes and qualified names",
                parsed.kind()
            );
            return Err(Wrong::new(value.get(), reason).under(name));
        }
        write_field(name, value, parsed, writer, 0).map_err(|wrong| wrong.under(name))?;
    }
    Ok(())
}

/// `depth` is how many levels may be nested in the object.
fn write_fields<'t>(
    fields: &[Field<'t>],
    writer: &mut ObjectEncoder<'_, Vec<u8>>,
    depth: u32,
) -> Result<(), Wrong<'t>> {
    for Field { name, value, .. } in fields {
        Parsed::of(value)
            .and_then(|parsed| write_field(name, value, parsed, writer, depth))
            .map_err(|wrong| wrong.under(name))?;
    }
    Ok(())
}

fn write_field<'t>(
    name: &str,
    raw: &'t RawValue,
    value: Parsed<'t>,
    writer: &mut ObjectEncoder<'_, Vec<u8>>,
    depth: u32,
) -> Result<(), Wrong<'t>> {
    match value {
        Parsed::Int(int) => drop_writer(writer.put_i64(name, int)),
        Parsed::Float(float) => drop_writer(writer.put_f64(name, float)),
        Parsed::Narrow(float) => drop_writer(writer.put_f32(name, float)),
        Parsed::Bool(bool) => drop_writer(writer.put_bool(name, bool)),
        Parsed::Text(text) => drop_writer(writer.put_str(name, &text)),
        Parsed::Bytes(bytes) => drop_writer(writer.put_bytes(name, &bytes)),
        Parsed::QName([package, entity]) => {
            drop_writer(writer.put_qname(name, QName { package: &package, entity: &entity }));
        }
        Parsed::Array(items) => {
            let depth = deeper(raw, depth)?;
            return writer.put_array(name, |array| write_items(&items, array, depth));
        }
        Parsed::Object(fields) => {
            let depth = deeper(raw, depth)?;
            return writer.put_object(name, |object| write_fields(&fields, object, depth));
        }
    }
    Ok(())
}

fn write_items<'t>(
    items: &[&'t RawValue],
    writer: &mut ArrayEncoder<'_, Vec<u8>>,
    depth: u32,
) -> Result<(), Wrong<'t>> {
    for (index, item) in items.iter().enumerate() {
        write_item(item, writer, depth).map_err(|wrong| wrong.under(index.to_string()))?;
    }
    Ok(())
}

fn write_item<'t>(raw: &'t RawValue, writer: &mut ArrayEncoder<'_, Vec<u8>>, depth: u32) -> Result<(), Wrong<'t>> {
    match Parsed::of(raw)? {
        Parsed::Int(int) => drop_writer(writer.push_i64(int)),
        Parsed::Float(float) => drop_writer(writer.push_f64(float)),
        Parsed::Narrow(float) => drop_writer(writer.push_f32(float)),
        Parsed::Bool(bool) => drop_writer(writer.push_bool(bool)),
        Parsed::Text(text) => drop_writer(writer.push_str(&text)),
        Parsed::Bytes(bytes) => drop_writer(writer.push_bytes(&bytes)),
        Parsed::QName([package, entity]) => {
            drop_writer(writer.push_qname(QName { package: &package, entity: &entity }));
        }
        Parsed::Array(items) => {
            let depth = deeper(raw, depth)?;
            return writer.push_array(|array| write_items(&items, array, depth));
        }
        Parsed::Object(fields) => {
            let depth = deeper(raw, depth)?;
            return writer.push_object(|object| write_fields(&fields, object, depth));
        }
    }
    Ok(())
}

/// Ends a chain of puts whose writer is not needed any more.
fn drop_writer<W>(_writer: &mut W) {}

fn deeper(raw: &RawValue, depth: u32) -> Result<u32, Wrong<'_>> {
    let too_deep = || Wrong::new(raw.get(), format!("values may be nested to {MAX_DEPTH} levels and no deeper"));
    depth.checked_sub(1).ok_or_else(too_deep)
}

/// A value as JSON, in the form that state files have. NaN and infinities, which JSON lacks, become strings.
///
/// ```
/// use guest_abi::value::ValueRef;
/// use guest_state::record::object;
/// use guest_state::state_file::to_json;
///
/// let value = object(|value| { value.put_i64("Amount", 400).put_bytes("Logo", &[0, 255]); });
/// let json = to_json(ValueRef::new(&value))?;
/// assert_eq!(json.to_string(), r#"{"Amount":400,"Logo":{"$bytes":"AP8="}}"#);
/// # Ok::<(), guest_abi::value::ValueError>(())
/// ```
///
/// # Errors
/// [`ValueError`] if the bytes are not a value.
pub fn to_json(value: ValueRef<'_>) -> Result<Value, ValueError> {
    Ok(match value.kind()? {
        Kind::Integer => Value::from(value.as_i64()?),
        Kind::Float32 | Kind::Float64 => {
            let float = value.as_f64()?;
            // JSON has no NaN and no infinities.
            Number::from_f64(float).map_or_else(|| Value::from(float.to_string()), Value::Number)
        }
        Kind::Text => Value::from(value.as_str()?),
        Kind::Bytes => serde_json::json!({ "$bytes": BASE64.encode(value.as_bytes()?) }),
        Kind::Bool => Value::from(value.as_bool()?),
        Kind::QName => {
            let name = value.as_qname()?;
            serde_json::json!({ "$qname": [name.package, name.entity] })
        }
        Kind::Array => {
            let items: Result<Vec<Value>, ValueError> = value.items()?.map(|item| to_json(item?)).collect();
            Value::from(items?)
        }
        // The kinds are the contract's, and all are listed.
        _ => {
            let mut fields = Map::new();
            for field in value.fields()? {
                let (name, value) = field?;
                fields.insert(name.to_string(), to_json(value)?);
            }
            Value::Object(fields)
        }
    })
}

/// A key's fields as JSON.
///
/// # Errors
/// [`ValueError`] if the bytes are not a value.
pub fn key_to_json(key: &Key<'_>) -> Result<Value, ValueError> {
    to_json(key.object())
}
