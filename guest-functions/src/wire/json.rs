//! JSON.

use std::borrow::Cow;
use std::fmt;

use guest_abi::document::DocumentBuf;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

use super::Fault;
use super::convert::{Content, Float, Kind, Node};
use crate::value::Value;

/// A value as JSON has it; a value for which JSON has no form is text as people write it.
///
/// ```
/// use guest_functions::wire::AsJson;
/// use guest_functions::{Date, Value};
///
/// let list = Value::List(vec![Value::F32(0.1), Value::Null, Date { days: 0 }.into(), vec![255_u8].into()]);
/// assert_eq!(serde_json::to_string(&AsJson(&list))?, r#"[0.1,null,"1970-01-01","ff"]"#);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct AsJson<'v>(
    /// The value.
    pub &'v Value,
);

impl Serialize for AsJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Null => serializer.serialize_unit(),
            Value::Bool(value) => serializer.serialize_bool(*value),
            Value::I32(value) => serializer.serialize_i32(*value),
            Value::I64(value) => serializer.serialize_i64(*value),
            Value::U64(value) => serializer.serialize_u64(*value),
            // By its own shortest digits, not by those of the nearest number of 64 bits.
            Value::F32(value) if value.is_finite() => {
                serializer.serialize_f64(value.to_string().parse().unwrap_or((*value).into()))
            }
            Value::F64(value) if value.is_finite() => serializer.serialize_f64(*value),
            Value::String(text) => serializer.serialize_str(text),
            // Its members stay in their order.
            Value::Document(document) => {
                RawValue::from_string(document.to_json()).map_err(serde::ser::Error::custom)?.serialize(serializer)
            }
            Value::List(items) => serializer.collect_seq(items.iter().map(AsJson)),
            other => serializer.collect_str(other),
        }
    }
}

/// Appends a value.
pub(super) fn write(value: &Value, to: &mut Vec<u8>) {
    // Writing to a vector does not fail, and no value is refused.
    let _ = serde_json::to_writer(to, &AsJson(value));
}

/// A part of a text.
#[derive(Clone, Copy)]
pub(super) struct Json<'b> {
    raw: &'b RawValue,
    text: &'b str,
}

/// The item that a text is.
pub(super) fn root(bytes: &[u8]) -> Result<Json<'_>, Fault> {
    let text = std::str::from_utf8(bytes).map_err(|error| Fault::new(error.valid_up_to(), "the text is not UTF-8"))?;
    if text.trim_ascii().is_empty() {
        return Err(Fault::new(0, "there is no JSON; write the arguments as [1, 2], or as {\"name\": 1}"));
    }
    match serde_json::from_str(text) {
        Ok(raw) => Ok(Json { raw, text }),
        Err(error) => Err(fault(&error, text, 0)),
    }
}

/// The fault of a part of a text that begins at `start`.
#[cold]
fn fault(error: &serde_json::Error, text: &str, start: usize) -> Fault {
    let lines_before = text[start..].split_inclusive('\n').take(error.line().saturating_sub(1));
    let at = start + lines_before.map(str::len).sum::<usize>() + error.column().saturating_sub(1);
    let reason = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    Fault::new(at.min(text.len()), format!("the text is not JSON: {}", reason.strip_suffix(&place).unwrap_or(&reason)))
}

impl<'b> Json<'b> {
    fn within(self, raw: &'b RawValue) -> Self {
        Self { raw, ..self }
    }

    /// Reads it as something that JSON has.
    fn read<T: Deserialize<'b>>(self) -> Result<T, Fault> {
        serde_json::from_str(self.raw.get()).map_err(|error| fault(&error, self.text, self.at()))
    }
}

impl<'b> Node<'b> for Json<'b> {
    fn at(self) -> usize {
        // The part is borrowed from the text.
        self.raw.get().as_ptr().addr().saturating_sub(self.text.as_ptr().addr())
    }

    fn kind(self) -> Kind {
        match self.raw.get().as_bytes().first() {
            Some(b'n') => Kind::Null,
            Some(b'[') => Kind::List,
            Some(b'{') => Kind::Map,
            _ => Kind::Other,
        }
    }

    fn content(self) -> Result<Content<'b, Self>, Fault> {
        let text = self.raw.get();
        Ok(match text.as_bytes().first() {
            Some(b'n') => Content::Null,
            Some(b't') => Content::Bool(true),
            Some(b'f') => Content::Bool(false),
            Some(b'"') => match text.get(1..text.len() - 1) {
                Some(plain) if !plain.contains('\\') => Content::Text(Cow::Borrowed(plain)),
                _ => Content::Text(Cow::Owned(self.read()?)),
            },
            Some(b'[') => {
                Content::List(self.read::<Vec<&RawValue>>()?.into_iter().map(|raw| self.within(raw)).collect())
            }
            Some(b'{') => {
                let Members(members) = self.read()?;
                Content::Map(members.into_iter().map(|(name, raw)| (name.into(), self.within(raw))).collect())
            }
            // Only floats have a negative zero.
            _ => match text.parse().ok().filter(|_| text != "-0") {
                Some(integer) => Content::Integer(integer),
                None => Content::Float(Float { value: text.parse().unwrap_or(f64::NAN), digits: Some(text) }),
            },
        })
    }

    fn document(self) -> Result<DocumentBuf, Fault> {
        DocumentBuf::from_json(self.raw.get()).map_err(|error| {
            let lines_before = self.raw.get().split_inclusive('\n').take(error.line - 1);
            let line = lines_before.map(str::len).sum::<usize>();
            let before = self.raw.get()[line..].chars().take(error.column - 1).map(char::len_utf8).sum::<usize>();
            Fault::new(self.at() + line + before, error.description().to_string())
        })
    }

    fn shown(self) -> String {
        self.raw.get().to_owned()
    }
}

/// The members of an object, in their order. A name may be there twice.
struct Members<'b>(Vec<(String, &'b RawValue)>);

impl<'b> Deserialize<'b> for Members<'b> {
    fn deserialize<D: Deserializer<'b>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reads;

        impl<'b> Visitor<'b> for Reads {
            type Value = Members<'b>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'b>>(self, mut map: A) -> Result<Members<'b>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Reads)
    }
}
