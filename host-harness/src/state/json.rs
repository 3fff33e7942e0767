//! JSON and the value model, both ways.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use guest_abi::key::Key;
use guest_abi::value::{ArrayWriter, Kind, ObjectWriter, QName, ValueError, ValueRef};
use serde_json::{Map, Number, Value};

/// Why a JSON value has no place in the value model. The path leads from the value to the offender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NotOfTheModel {
    pub(crate) path: Vec<String>,
    pub(crate) reason: String,
}

impl NotOfTheModel {
    fn new(reason: impl Into<String>) -> Self {
        Self { path: Vec::new(), reason: reason.into() }
    }

    fn under(mut self, step: String) -> Self {
        self.path.insert(0, step);
        self
    }
}

impl std::fmt::Display for NotOfTheModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.path.is_empty() {
            f.write_str(&self.reason)
        } else {
            write!(f, "at `{}`: {}", self.path.join("."), self.reason)
        }
    }
}

/// Encodes the fields of a JSON object into `writer`.
pub(crate) fn write_fields(
    fields: &Map<String, Value>,
    writer: &mut ObjectWriter<'_, Vec<u8>>,
) -> Result<(), NotOfTheModel> {
    for (name, value) in fields {
        write_field(name, value, writer).map_err(|error| error.under(name.clone()))?;
    }
    Ok(())
}

fn write_field(name: &str, value: &Value, writer: &mut ObjectWriter<'_, Vec<u8>>) -> Result<(), NotOfTheModel> {
    match Scalar::of(value)? {
        Scalar::Int(int) => drop_writer(writer.put_i64(name, int)),
        Scalar::Float(float) => drop_writer(writer.put_f64(name, float)),
        Scalar::Bool(bool) => drop_writer(writer.put_bool(name, bool)),
        Scalar::Text(text) => drop_writer(writer.put_string(name, text)),
        Scalar::Bytes(bytes) => drop_writer(writer.put_bytes(name, &bytes)),
        Scalar::QName(qname) => drop_writer(writer.put_qname(name, qname)),
        Scalar::Array(items) => return writer.put_array(name, |array| write_items(items, array)),
        Scalar::Object(fields) => {
            return writer.put_object(name, |object| write_fields(fields, object));
        }
    }
    Ok(())
}

fn write_items(items: &[Value], writer: &mut ArrayWriter<'_, Vec<u8>>) -> Result<(), NotOfTheModel> {
    for (index, item) in items.iter().enumerate() {
        write_item(item, writer).map_err(|error| error.under(index.to_string()))?;
    }
    Ok(())
}

fn write_item(value: &Value, writer: &mut ArrayWriter<'_, Vec<u8>>) -> Result<(), NotOfTheModel> {
    match Scalar::of(value)? {
        Scalar::Int(int) => drop_writer(writer.push_i64(int)),
        Scalar::Float(float) => drop_writer(writer.push_f64(float)),
        Scalar::Bool(bool) => drop_writer(writer.push_bool(bool)),
        Scalar::Text(text) => drop_writer(writer.push_string(text)),
        Scalar::Bytes(bytes) => drop_writer(writer.push_bytes(&bytes)),
        Scalar::QName(qname) => drop_writer(writer.push_qname(qname)),
        Scalar::Array(items) => return writer.push_array(|array| write_items(items, array)),
        Scalar::Object(fields) => return writer.push_object(|object| write_fields(fields, object)),
    }
    Ok(())
}

/// Ends a chain of puts whose writer is not needed any more.
fn drop_writer<W>(_writer: &mut W) {}

/// What a JSON value means in the value model.
enum Scalar<'a> {
    Int(i64),
    Float(f64),
    Bool(bool),
    Text(&'a str),
    Bytes(Vec<u8>),
    QName(QName<'a>),
    Array(&'a [Value]),
    Object(&'a Map<String, Value>),
}

impl<'a> Scalar<'a> {
    fn of(value: &'a Value) -> Result<Self, NotOfTheModel> {
        Ok(match value {
            Value::Null => {
                return Err(NotOfTheModel::new("null is not a value; leave the field out instead"));
            }
            Value::Bool(bool) => Self::Bool(*bool),
            Value::Number(number) => return Self::of_number(number),
            Value::String(text) => Self::Text(text),
            Value::Array(items) => Self::Array(items),
            Value::Object(fields) => match (fields.len(), fields.get("$bytes"), fields.get("$qname")) {
                (1, Some(bytes), None) => Self::Bytes(decode_bytes(bytes)?),
                (1, None, Some(qname)) => Self::QName(decode_qname(qname)?),
                _ => Self::Object(fields),
            },
        })
    }

    fn of_number(number: &Number) -> Result<Self, NotOfTheModel> {
        if let Some(int) = number.as_i64() {
            Ok(Self::Int(int))
        } else if number.is_u64() {
            Err(NotOfTheModel::new(format!("{number} does not fit a 64-bit integer with sign")))
        } else {
            number
                .as_f64()
                .map(Self::Float)
                .ok_or_else(|| NotOfTheModel::new(format!("{number} does not fit a 64-bit float")))
        }
    }
}

fn decode_bytes(value: &Value) -> Result<Vec<u8>, NotOfTheModel> {
    let text = value.as_str().ok_or_else(|| NotOfTheModel::new("`$bytes` wants a string in base64"))?;
    BASE64.decode(text).map_err(|error| NotOfTheModel::new(format!("`$bytes` is not base64: {error}")))
}

fn decode_qname(value: &Value) -> Result<QName<'_>, NotOfTheModel> {
    match value.as_array().map(Vec::as_slice) {
        Some([Value::String(package), Value::String(entity)]) => Ok(QName { package, entity }),
        _ => Err(NotOfTheModel::new("`$qname` wants an array of two strings, package and entity")),
    }
}

/// A value as JSON, in the form that state files have.
pub(crate) fn to_json(value: ValueRef<'_>) -> Result<Value, ValueError> {
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
pub(crate) fn key_to_json(key: &Key<'_>) -> Result<Value, ValueError> {
    to_json(key.object())
}
