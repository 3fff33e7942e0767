//! Records as the store holds them: keys in a canonical form, values with definite lengths.
//!
//! The rules are those of the in-memory state of this project, and a test compares the two: equal keys have equal bytes
//! whatever order their fields come in, an update changes the fields that it names, and of a field that was written twice
//! the last value stays.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use guest_abi::key::Key;
use guest_abi::value::{Kind, ValueError, ValueRef};
use minicbor::Encoder;

/// A key that no record can have, or a value that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// A key whose fields make no sense.
    #[error("invalid key for storage `{storage}`: {reason}")]
    Key {
        /// Storage of the key.
        storage: String,
        /// Description of the fault.
        reason: String,
    },
    /// A value that is not of the value model.
    #[error("invalid value: {0}")]
    Value(#[from] ValueError),
}

/// The fields of a key in canonical form.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fields {
    /// Names and values one behind the other, sorted by name, without the head of a map.
    pub bytes: Vec<u8>,
    /// Number of fields.
    pub count: u64,
}

impl Fields {
    /// The canonical form of a key's fields.
    ///
    /// # Errors
    /// [`RecordError::Key`] if a field is there twice or has a value that keys cannot have.
    pub fn of(key: &Key<'_>) -> Result<Self, RecordError> {
        Self::of_map(key.object()).map_err(|reason| RecordError::Key { storage: key.storage.to_owned(), reason })
    }

    /// The canonical form of the fields of a key map.
    fn of_map(map: ValueRef<'_>) -> Result<Self, String> {
        let fields: Result<Vec<_>, _> = map.fields().and_then(Iterator::collect);
        let mut fields = fields.map_err(|error| error.to_string())?;
        fields.sort_by_key(|(name, _)| *name);
        if let Some(pair) = fields.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(format!("field `{}` is there twice", pair[0].0));
        }
        let mut bytes = Vec::new();
        for (name, value) in &fields {
            text(&mut bytes, name);
            append_scalar(*value, &mut bytes).map_err(|error| format!("field `{name}`: {error}"))?;
        }
        Ok(Self { bytes, count: fields.len() as u64 })
    }

    /// The canonical form of the row from which a read continues.
    ///
    /// # Errors
    /// [`RecordError::Key`], as for [`Fields::of`].
    pub fn of_row(key: &Key<'_>, row: ValueRef<'_>) -> Result<Self, RecordError> {
        Self::of_map(row).map_err(|reason| RecordError::Key { storage: key.storage.to_owned(), reason })
    }
}

/// The key map of stored fields.
#[must_use]
pub fn key_map(fields: &[u8], count: u64) -> Vec<u8> {
    let mut map = Vec::with_capacity(fields.len() + 9);
    let _ = Encoder::new(&mut map).map(count);
    map.extend_from_slice(fields);
    map
}

/// The fields that a partial key asks for.
#[derive(Debug)]
pub struct Wanted(Vec<(String, Vec<u8>)>);

impl Wanted {
    /// The fields of a partial key.
    ///
    /// # Errors
    /// [`RecordError::Key`] if a field has a value that keys cannot have.
    pub fn of(key: &Key<'_>) -> Result<Self, RecordError> {
        let invalid = |reason: String| RecordError::Key { storage: key.storage.to_owned(), reason };
        let mut wanted = Vec::new();
        for field in key.fields() {
            let (name, value) = field.map_err(|error| invalid(error.to_string()))?;
            let mut bytes = Vec::new();
            append_scalar(value, &mut bytes).map_err(|error| invalid(format!("field `{name}`: {error}")))?;
            wanted.push((name.to_owned(), bytes));
        }
        Ok(Self(wanted))
    }

    /// Whether a key map has all of these fields with these values.
    #[must_use]
    pub fn matches(&self, map: &[u8]) -> bool {
        let map = ValueRef::new(map);
        self.0.iter().all(|(name, wanted)| {
            let found = map.field(name).ok().flatten();
            found.and_then(|value| value.exact_bytes().ok()) == Some(wanted)
        })
    }
}

/// Appends a key field's value so that equal values have equal bytes: integers, and floats that are integers, in the
/// shortest form of an integer; other floats with 64 bits.
fn append_scalar(value: ValueRef<'_>, out: &mut Vec<u8>) -> Result<(), ValueError> {
    // Encoding into a vector cannot fail, here and below.
    let mut encoder = Encoder::new(&mut *out);
    let encoded = match value.kind()? {
        Kind::Integer => encoder.i64(value.as_i64()?),
        Kind::Float32 | Kind::Float64 => {
            let float = value.as_f64()?;
            match exact_integer(float) {
                Some(integer) => encoder.i64(integer),
                None => encoder.f64(float),
            }
        }
        Kind::Text => encoder.str(value.as_str()?),
        Kind::Bytes => encoder.bytes(value.as_bytes()?),
        Kind::Bool => encoder.bool(value.as_bool()?),
        Kind::QName => {
            out.extend_from_slice(value.exact_bytes()?);
            return Ok(());
        }
        found => return Err(ValueError::WrongType { asked: "a key field", found }),
    };
    let _ = encoded;
    Ok(())
}

/// The integer that a float is, if the float holds it exactly.
fn exact_integer(float: f64) -> Option<i64> {
    #[expect(clippy::cast_possible_truncation, reason = "checked by converting back")]
    let integer = float as i64;
    #[expect(clippy::cast_precision_loss, reason = "this is the check")]
    let exact = integer as f64 == float && integer.unsigned_abs() <= 1 << 53;
    exact.then_some(integer)
}

/// The value with definite lengths.
///
/// # Errors
/// [`RecordError::Value`] if it is not of the value model.
pub fn definite(value: ValueRef<'_>) -> Result<Vec<u8>, RecordError> {
    let mut out = Vec::new();
    append_definite(value, &mut out)?;
    Ok(out)
}

/// The fields of `existing`, changed and extended by those of `changes`.
///
/// # Errors
/// [`RecordError::Value`] if one of them is not an object.
pub fn merged(existing: ValueRef<'_>, changes: ValueRef<'_>) -> Result<Vec<u8>, RecordError> {
    let mut out = Vec::new();
    append_object(existing.fields()?.chain(changes.fields()?), &mut out)?;
    Ok(out)
}

fn append_definite(value: ValueRef<'_>, out: &mut Vec<u8>) -> Result<(), ValueError> {
    match value.kind()? {
        Kind::Object => append_object(value.fields()?, out),
        Kind::Array => {
            let items: Vec<_> = value.items()?.collect::<Result<_, _>>()?;
            let _ = Encoder::new(&mut *out).array(items.len() as u64);
            items.into_iter().try_for_each(|item| append_definite(item, out))
        }
        _ => {
            out.extend_from_slice(value.exact_bytes()?);
            Ok(())
        }
    }
}

/// Appends an object with each name once: in the place where it first came, with the value that came last.
fn append_object<'a>(
    fields: impl Iterator<Item = Result<(&'a str, ValueRef<'a>), ValueError>>,
    out: &mut Vec<u8>,
) -> Result<(), ValueError> {
    let mut places = HashMap::new();
    let mut kept: Vec<(&str, ValueRef<'_>)> = Vec::new();
    for field in fields {
        let (name, value) = field?;
        match places.entry(name) {
            Entry::Occupied(place) => {
                let place: usize = *place.get();
                kept[place].1 = value;
            }
            Entry::Vacant(place) => {
                place.insert(kept.len());
                kept.push((name, value));
            }
        }
    }
    let _ = Encoder::new(&mut *out).map(kept.len() as u64);
    for (name, value) in kept {
        text(out, name);
        append_definite(value, out)?;
    }
    Ok(())
}

fn text(out: &mut Vec<u8>, text: &str) {
    let _ = Encoder::new(out).str(text);
}
