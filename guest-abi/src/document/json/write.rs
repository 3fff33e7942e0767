//! From items to JSON.

use alloc::string::String;
use core::fmt::Write as _;

use crate::cbor::{MAX_DEPTH, WireError};
use crate::document::item::Item;
use crate::value::{Kind, ValueError};

/// Appends an item in one line.
pub(in crate::document) fn write(text: &mut String, item: Item<'_>) -> Result<(), WireError> {
    append(text, Some(item), MAX_DEPTH).map_err(|error| match error {
        ValueError::Malformed(error) => error,
        // Each is read as what its kind says.
        _ => WireError::Malformed { at: 0 },
    })
}

fn append(text: &mut String, item: Option<Item<'_>>, depth: u32) -> Result<(), ValueError> {
    let Some(item) = item else {
        text.push_str("null");
        return Ok(());
    };
    let deeper = || depth.checked_sub(1).ok_or(WireError::TooDeep { at: 0 });
    match item.kind()? {
        Kind::Bool => text.push_str(if item.as_bool()? { "true" } else { "false" }),
        Kind::Integer => match item.as_i64() {
            Ok(value) => append_display(text, value),
            Err(_) => append_display(text, item.as_u64()?),
        },
        Kind::Float64 => match item.as_f64()? {
            // The shortest digits that lead back, with a point or an exponent.
            value if value.is_finite() => append_display(text, format_args!("{value:?}")),
            _ => text.push_str("null"),
        },
        Kind::Text => quote(text, item.as_str()?),
        Kind::Array => {
            let depth = deeper()?;
            text.push('[');
            for (index, element) in item.as_list()?.enumerate() {
                text.push_str(if index == 0 { "" } else { "," });
                append(text, element?, depth)?;
            }
            text.push(']');
        }
        _ => {
            let depth = deeper()?;
            text.push('{');
            for (index, member) in item.as_object()?.enumerate() {
                let (name, value) = member?;
                text.push_str(if index == 0 { "" } else { "," });
                quote(text, name);
                text.push(':');
                append(text, value, depth)?;
            }
            text.push('}');
        }
    }
    Ok(())
}

fn append_display(text: &mut String, value: impl core::fmt::Display) {
    // Writing to a string does not fail.
    let _ = write!(text, "{value}");
}

/// Appends a text in quotes.
fn quote(text: &mut String, of: &str) {
    text.push('"');
    for char in of.chars() {
        match char {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            '\0'..' ' => append_display(text, format_args!("\\u{:04x}", u32::from(char))),
            char => text.push(char),
        }
    }
    text.push('"');
}
