//! Arguments from JSON and CBOR, and results as either.
//!
//! The arguments of a call are an array, by position, or an object, by name; of a function with one parameter also the value
//! itself. A parameter that may be null can be left out by name.
//!
//! | type | JSON | CBOR |
//! |---|---|---|
//! | `bool`, null, `string`, lists | the same | the same |
//! | integers | a number without fraction and exponent, or its digits as text | an integer, or its digits as text |
//! | `f32`, `f64` | a number, or `"NaN"`, `"inf"`, `"-inf"` | a number of any width |
//! | `decimal` | a number, or its digits as text; written as text | the same |
//! | `date`, `timestamp` | text, as [`Value::parse`] reads it | the same, with or without the tags 1004 and 0 |
//! | `bytes`, `record` | text of hexadecimal digits | a byte string |
//! | `document` | an object | a map |
//!
//! Where the one parameter is a list, an array is that list, unless it holds nothing but an array. Where it is a document, an
//! object is that document, unless its only member has the parameter's name and is an object or null.
//!
//! ```
//! use guest_functions::wire::{Encoding, arguments, write};
//! use guest_functions::{ModuleConfig, Runtime, Value};
//!
//! let wasm = wat::parse_str(
//!     r#"(module (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))"#,
//! )?;
//! let add = Runtime::new()?.register("sums", &wasm, ModuleConfig::default())?.function("add")?;
//! let by_name = arguments(Encoding::Json, add.signature(), br#"{"p1": 2, "p0": 40}"#)?;
//! assert_eq!(by_name, arguments(Encoding::Cbor, add.signature(), b"\x82\x18\x28\x02")?);
//!
//! let mut text = Vec::new();
//! write(Encoding::Json, &add.call_values(&by_name)?, &mut text);
//! assert_eq!(text, b"42");
//!
//! let error = arguments(Encoding::Json, add.signature(), b"[40,\n  2.5]").unwrap_err().to_string();
//! assert!(error.starts_with("line 2, column 3: the argument `p1`: `2.5` is not of type i32: "), "{error}");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod cbor;
mod convert;
mod json;

use std::fmt;

use guest_abi::function::{Signature, Type};
use guest_host::text::line_and_column;

use crate::value::Value;

pub use json::AsJson;

/// The encoding of arguments and results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Encoding {
    /// JSON ([RFC 8259](https://www.rfc-editor.org/rfc/rfc8259)).
    Json,
    /// CBOR ([RFC 8949](https://www.rfc-editor.org/rfc/rfc8949)). Lengths are definite.
    Cbor,
}

impl Encoding {
    /// Its media type.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Cbor => "application/cbor",
        }
    }
}

/// Bytes that are not the arguments of a function, or no value of a type.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct InputError {
    /// The place of the fault.
    pub place: Place,
    /// The parameter whose argument has the fault.
    pub parameter: Option<String>,
    /// The fault, and how to mend it.
    pub reason: String,
}

impl fmt::Display for InputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        if let Some(parameter) = &self.parameter {
            write!(f, "the argument `{parameter}`: ")?;
        }
        f.write_str(&self.reason)
    }
}

impl std::error::Error for InputError {}

/// A place in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// In a text.
    Text {
        /// The line, counted from 1.
        line: usize,
        /// The character of the line, counted from 1.
        column: usize,
    },
    /// In other bytes.
    Byte {
        /// Bytes before it.
        at: usize,
    },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text { line, column } => write!(f, "line {line}, column {column}"),
            Self::Byte { at } => write!(f, "byte {at}"),
        }
    }
}

impl Place {
    /// The place behind `at` bytes.
    fn of(encoding: Encoding, bytes: &[u8], at: usize) -> Self {
        if encoding == Encoding::Cbor {
            return Self::Byte { at };
        }
        let before = String::from_utf8_lossy(bytes.get(..at).unwrap_or(bytes));
        let (line, column) = line_and_column(&before, before.len());
        Self::Text { line, column }
    }
}

/// Reads the arguments of a function.
///
/// # Errors
/// [`InputError`] if the bytes are not of the encoding, or an argument is missing, is not of its parameter's type or is there
/// twice.
pub fn arguments(encoding: Encoding, signature: &Signature, bytes: &[u8]) -> Result<Vec<Value>, InputError> {
    if bytes.is_empty() && signature.params.is_empty() {
        return Ok(Vec::new());
    }
    let read = match encoding {
        Encoding::Json => json::root(bytes).and_then(|root| convert::arguments(root, signature)),
        Encoding::Cbor => cbor::root(bytes).and_then(|root| convert::arguments(root, signature)),
    };
    read.map_err(|fault| fault.in_bytes(encoding, bytes))
}

/// Reads a value of a type.
///
/// # Errors
/// [`InputError`] if the bytes are not of the encoding, or the value is not of the type.
pub fn value(encoding: Encoding, ty: Type, bytes: &[u8]) -> Result<Value, InputError> {
    let read = match encoding {
        Encoding::Json => json::root(bytes).and_then(|root| convert::value(root, ty)),
        Encoding::Cbor => cbor::root(bytes).and_then(|root| convert::value(root, ty)),
    };
    read.map_err(|fault| fault.in_bytes(encoding, bytes))
}

/// Appends a value: of JSON in one line.
pub fn write(encoding: Encoding, value: &Value, to: &mut Vec<u8>) {
    match encoding {
        Encoding::Json => json::write(value, to),
        Encoding::Cbor => cbor::write(value, to),
    }
}

/// A fault, before the form of its place is known.
#[derive(Debug)]
struct Fault {
    at: usize,
    parameter: Option<String>,
    reason: String,
}

impl Fault {
    #[cold]
    fn new(at: usize, reason: impl Into<String>) -> Self {
        Self { at, parameter: None, reason: reason.into() }
    }

    #[cold]
    fn in_bytes(self, encoding: Encoding, bytes: &[u8]) -> InputError {
        let Self { at, parameter, reason } = self;
        InputError { place: Place::of(encoding, bytes, at), parameter, reason }
    }
}

#[cfg(test)]
mod tests;
