//! JSON and the value model, both ways, in the form that state files have: `{"$bytes": "<base64>"}` for bytes,
//! `{"$qname": ["package", "entity"]}` for a qualified name, and no `null`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use guest_abi::cbor::WireError;
use guest_abi::intent::{Intent, Operation};
use guest_abi::value::{ArrayEncoder, Kind, ObjectEncoder, QName, ValueError, ValueRef};
use guest_state::record::definite;
use serde_json::{Map, Number, Value, json};

/// Why JSON is not an event.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    /// Text that is not JSON.
    #[error("the body is not JSON: {0}")]
    NotJson(#[from] serde_json::Error),
    /// JSON that the value model has no place for.
    #[error("{0}")]
    NoValue(String),
    /// A value that cannot be read.
    #[error("invalid value: {0}")]
    Wire(#[from] WireError),
}

/// Objects and arrays that may be nested in each other: fewer than the value model allows.
const MOST_DEPTH: usize = 32;

/// The event that a request's body holds: an object, or nothing for an empty one.
///
/// # Errors
/// [`EventError`].
pub fn event(body: &[u8]) -> Result<Vec<u8>, EventError> {
    let body = if body.trim_ascii().is_empty() { b"{}" } else { body };
    let Value::Object(fields) = serde_json::from_slice(body)? else {
        return Err(EventError::NoValue("an event is a JSON object".to_owned()));
    };
    let mut bytes = Vec::new();
    let mut writer = ObjectEncoder::begin(&mut bytes);
    put_fields(&fields, &mut writer, MOST_DEPTH).map_err(EventError::NoValue)?;
    writer.end();
    Ok(definite(ValueRef::new(&bytes))?)
}

fn put_fields(
    fields: &Map<String, Value>,
    writer: &mut ObjectEncoder<'_, Vec<u8>>,
    depth: usize,
) -> Result<(), String> {
    for (name, value) in fields {
        let put = match scalar(value, depth) {
            Ok(Scalar::Integer(value)) => {
                writer.put_i64(name, value);
                Ok(())
            }
            Ok(Scalar::Float(value)) => {
                writer.put_f64(name, value);
                Ok(())
            }
            Ok(Scalar::Bool(value)) => {
                writer.put_bool(name, value);
                Ok(())
            }
            Ok(Scalar::Text(value)) => {
                writer.put_str(name, value);
                Ok(())
            }
            Ok(Scalar::Bytes(value)) => {
                writer.put_bytes(name, &value);
                Ok(())
            }
            Ok(Scalar::QName(value)) => {
                writer.put_qname(name, value);
                Ok(())
            }
            Ok(Scalar::Object(fields)) => writer.put_object(name, |object| put_fields(fields, object, depth - 1)),
            Ok(Scalar::Array(items)) => writer.put_array(name, |array| push_items(items, array, depth - 1)),
            Err(reason) => Err(reason),
        };
        put.map_err(|reason| under(name, &reason))?;
    }
    Ok(())
}

fn push_items(items: &[Value], writer: &mut ArrayEncoder<'_, Vec<u8>>, depth: usize) -> Result<(), String> {
    for (index, value) in items.iter().enumerate() {
        let pushed = match scalar(value, depth) {
            Ok(Scalar::Integer(value)) => {
                writer.push_i64(value);
                Ok(())
            }
            Ok(Scalar::Float(value)) => {
                writer.push_f64(value);
                Ok(())
            }
            Ok(Scalar::Bool(value)) => {
                writer.push_bool(value);
                Ok(())
            }
            Ok(Scalar::Text(value)) => {
                writer.push_str(value);
                Ok(())
            }
            Ok(Scalar::Bytes(value)) => {
                writer.push_bytes(&value);
                Ok(())
            }
            Ok(Scalar::QName(value)) => {
                writer.push_qname(value);
                Ok(())
            }
            Ok(Scalar::Object(fields)) => writer.push_object(|object| put_fields(fields, object, depth - 1)),
            Ok(Scalar::Array(items)) => writer.push_array(|array| push_items(items, array, depth - 1)),
            Err(reason) => Err(reason),
        };
        pushed.map_err(|reason| under(&index.to_string(), &reason))?;
    }
    Ok(())
}

/// Puts a step of the path before the reason.
fn under(step: &str, reason: &str) -> String {
    match reason.strip_prefix("at `") {
        Some(rest) => format!("at `{step}.{rest}"),
        None => format!("at `{step}`: {reason}"),
    }
}

enum Scalar<'a> {
    Integer(i64),
    Float(f64),
    Bool(bool),
    Text(&'a str),
    Bytes(Vec<u8>),
    QName(QName<'a>),
    Object(&'a Map<String, Value>),
    Array(&'a [Value]),
}

/// The value of the model for a JSON value.
fn scalar(value: &Value, depth: usize) -> Result<Scalar<'_>, String> {
    Ok(match value {
        Value::Null => return Err("null is not a value; leave the field out".to_owned()),
        Value::Bool(value) => Scalar::Bool(*value),
        Value::String(value) => Scalar::Text(value),
        Value::Number(number) => number_of(number)?,
        Value::Object(_) | Value::Array(_) if depth == 0 => {
            return Err(format!("values are nested deeper than {MOST_DEPTH} levels"));
        }
        Value::Array(items) => Scalar::Array(items),
        Value::Object(fields) => match (fields.get("$bytes"), fields.get("$qname"), fields.len()) {
            (Some(Value::String(text)), None, 1) => {
                Scalar::Bytes(BASE64.decode(text).map_err(|error| format!("`$bytes` is not base64: {error}"))?)
            }
            (None, Some(Value::Array(names)), 1)
                if let [Value::String(package), Value::String(entity)] = &names[..] =>
            {
                Scalar::QName(QName { package, entity })
            }
            (None, None, _) => Scalar::Object(fields),
            _ => {
                return Err("write bytes as {\"$bytes\": \"<base64>\"} and names as {\"$qname\": [\"package\", \
                            \"entity\"]}"
                    .to_owned());
            }
        },
    })
}

fn number_of(number: &Number) -> Result<Scalar<'static>, String> {
    match (number.as_i64(), number.as_f64()) {
        (Some(integer), _) => Ok(Scalar::Integer(integer)),
        (None, Some(float)) if number.is_f64() => Ok(Scalar::Float(float)),
        _ => Err(format!("{number} does not fit a 64-bit integer with sign")),
    }
}

/// A value as JSON. Floats that JSON has no number for are texts.
///
/// # Errors
/// [`ValueError`] if it is not of the value model.
pub fn to_json(value: ValueRef<'_>) -> Result<Value, ValueError> {
    Ok(match value.kind()? {
        Kind::Integer => json!(value.as_i64()?),
        Kind::Float32 | Kind::Float64 => {
            let float = value.as_f64()?;
            Number::from_f64(float).map_or_else(|| json!(float.to_string()), Value::Number)
        }
        Kind::Text => json!(value.as_str()?),
        Kind::Bytes => json!({ "$bytes": BASE64.encode(value.as_bytes()?) }),
        Kind::Bool => json!(value.as_bool()?),
        Kind::QName => {
            let name = value.as_qname()?;
            json!({ "$qname": [name.package, name.entity] })
        }
        Kind::Array => value.items()?.map(|item| to_json(item?)).collect::<Result<Vec<_>, _>>()?.into(),
        Kind::Object => {
            let mut object = Map::new();
            for field in value.fields()? {
                let (name, value) = field?;
                object.insert(name.to_owned(), to_json(value)?);
            }
            object.into()
        }
        _ => return Err(ValueError::WrongType { asked: "a value of the model", found: value.kind()? }),
    })
}

/// An intent as JSON.
///
/// # Errors
/// [`ValueError`] if its value is not of the value model.
pub fn intent_to_json(intent: &Intent<'_>) -> Result<Value, ValueError> {
    let operation = match intent.operation {
        Operation::New => "new",
        Operation::Update => "update",
    };
    Ok(json!({
        "operation": operation,
        "storage": intent.key.storage,
        "entity": intent.key.entity,
        "key": to_json(intent.key.object())?,
        "value": to_json(intent.value)?,
    }))
}

#[cfg(test)]
mod tests {
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
        let refused = |text: &str| event(text.as_bytes()).unwrap_err().to_string();
        assert_eq!(refused(r#"{"a": {"b": [1, null]}}"#), "at `a.b.1`: null is not a value; leave the field out");
        assert!(refused("[]").contains("a JSON object"));
        assert!(refused("{").contains("not JSON"));
        assert!(refused(r#"{"a": 18446744073709551615}"#).contains("does not fit a 64-bit integer"));
        assert!(refused(r#"{"a": {"$bytes": 1}}"#).contains("base64"));
        let deep = format!("{}1{}", "{\"a\":".repeat(40), "}".repeat(40));
        assert!(refused(&deep).contains("nested deeper than 32 levels"));
    }
}
