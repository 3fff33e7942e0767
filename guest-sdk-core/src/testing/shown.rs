//! Intents as text: the same for the same writes, and a changed value changes a line of its own.

use std::borrow::ToOwned as _;
use std::collections::BTreeMap;
use std::format;
use std::string::{String, ToString as _};
use std::vec::Vec;

use guest_abi::value::Kind;

use super::Intent;
use crate::error::Result;
use crate::value::Value;

/// Characters of an array that stands in one line.
const LINE: usize = 100;

/// Bytes that stand in one line.
const BYTES: usize = 32;

/// The paragraph of an intent, without a line break at its end.
pub(super) fn intent(intent: &Intent<'_>) -> String {
    let mut text = format!("{} {}", intent.operation.name(), name(intent.storage));
    if !intent.entity.is_empty() {
        text += &format!(" {}", name(intent.entity));
    }
    let key: Vec<String> =
        fields(intent.key).iter().map(|(field, value)| format!("{}: {}", name(field), scalar(*value))).collect();
    if !key.is_empty() {
        text += &format!(" {{{}}}", key.join(", "));
    }
    for line in lines(intent.value) {
        text += &format!("\n  {line}");
    }
    text
}

/// A name as it is, unless it could be taken for something else.
fn name(name: &str) -> String {
    let plain = |char: char| char.is_alphanumeric() || "._-/$".contains(char);
    if !name.is_empty() && name.chars().all(plain) { name.to_owned() } else { format!("{name:?}") }
}

/// The fields of an object by name; of those with the same name, the last.
fn fields(object: Value<'_>) -> BTreeMap<&str, Value<'_>> {
    object.fields().into_iter().flatten().collect()
}

/// A value in one line, whatever its length.
fn scalar(value: Value<'_>) -> String {
    let of_kind = || -> Result<String> {
        Ok(match value.kind()? {
            Kind::Integer => value.as_i64()?.to_string(),
            Kind::Float32 => format!("{:?}_f32", value.as_f32()?),
            Kind::Float64 => format!("{:?}_f64", value.as_f64()?),
            Kind::Text => format!("{:?}", value.as_str()?),
            Kind::Bytes => hexadecimal(value.as_bytes()?),
            Kind::Bool => value.as_bool()?.to_string(),
            Kind::QName => {
                let name = value.as_qname()?;
                format!("qname({:?}, {:?})", name.package, name.entity)
            }
            _ => format!("{value:?}"),
        })
    };
    of_kind().unwrap_or_else(|error| format!("<{error}>"))
}

fn hexadecimal(bytes: &[u8]) -> String {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("h'{digits}'")
}

/// A value that fits the line of its name.
fn in_line(value: Value<'_>) -> Option<String> {
    match value.kind() {
        Ok(Kind::Object) => fields(value).is_empty().then(|| "{}".to_owned()),
        Ok(Kind::Array) => {
            let items: Option<Vec<String>> = value.items().into_iter().flatten().map(in_line).collect();
            let items = format!("[{}]", items?.join(", "));
            (items.chars().count() <= LINE).then_some(items)
        }
        Ok(Kind::Text) if value.as_str().is_ok_and(|text| text.trim_end_matches('\n').contains('\n')) => None,
        Ok(Kind::Bytes) if value.as_bytes().is_ok_and(|bytes| bytes.len() > BYTES) => None,
        _ => Some(scalar(value)),
    }
}

/// The lines of a value that does not fit one, or of all fields of an object.
fn lines(value: Value<'_>) -> Vec<String> {
    let mut out = Vec::new();
    match value.kind() {
        Ok(Kind::Object) => {
            for (field, value) in fields(value) {
                let field = name(field);
                if let Some(text) = in_line(value) {
                    out.push(format!("{field}: {text}"));
                } else {
                    out.push(format!("{field}:"));
                    out.extend(lines(value).iter().map(|line| format!("  {line}")));
                }
            }
        }
        Ok(Kind::Array) => {
            for item in value.items().into_iter().flatten() {
                let lines = in_line(item).map_or_else(|| lines(item), |text| Vec::from([text]));
                let marks = core::iter::once("- ").chain(core::iter::repeat("  "));
                out.extend(marks.zip(lines).map(|(mark, line)| format!("{mark}{line}")));
            }
        }
        Ok(Kind::Text) => {
            let text = value.as_str().unwrap_or_default();
            out.extend(text.split_inclusive('\n').map(|line| format!("{line:?}")));
        }
        Ok(Kind::Bytes) => {
            let bytes = value.as_bytes().unwrap_or_default();
            out.extend(bytes.chunks(BYTES).map(hexadecimal));
        }
        _ => out.push(scalar(value)),
    }
    out
}
