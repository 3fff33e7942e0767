//! The canonical form of keys, in which equal keys have equal bytes.

use guest_abi::cbor::major::{BYTES, NEGATIVE, TEXT, UNSIGNED};
use guest_abi::cbor::{BREAK, Head, encode};
use guest_abi::key::Key;
use guest_abi::value::{Kind, ValueError, ValueRef};

use crate::MemoryStateError;

const FALSE: u8 = 0xF4;
const TRUE: u8 = 0xF5;

pub(crate) fn invalid(key: &Key<'_>, reason: String) -> MemoryStateError {
    MemoryStateError::InvalidKey { storage: key.storage.to_string(), reason }
}

/// The fields of a key in canonical form.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fields {
    /// Names and values one behind the other, sorted by name, without the head of a map.
    pub bytes: Vec<u8>,
    /// Number of fields.
    pub count: usize,
}

impl Fields {
    /// The canonical form of a key's fields.
    ///
    /// # Errors
    /// [`MemoryStateError::InvalidKey`] if a field is put twice or has a value that keys cannot have.
    pub fn of(key: &Key<'_>) -> Result<Self, MemoryStateError> {
        Self::of_row(key, key.object())
    }

    /// The canonical form of the key map of a row, from which a read of `key` continues.
    ///
    /// # Errors
    /// As for [`Fields::of`].
    pub fn of_row(key: &Key<'_>, row: ValueRef<'_>) -> Result<Self, MemoryStateError> {
        let mut bytes = Vec::new();
        let count = append_fields(row, &mut bytes).map_err(|reason| invalid(key, reason))?;
        Ok(Self { bytes, count })
    }
}

/// The canonical form of a whole key: storage, entity and fields. Equal keys have equal bytes, and the keys of one storage,
/// and of one entity of it, lie side by side in the order in which rows are read.
///
/// ```
/// use guest_abi::key::Key;
/// use guest_state::record::{canonical_key, key};
///
/// let one = key("sys.View", "shop.Orders", |key| { key.put_i32("Year", 2023).put_i32("Month", 1); });
/// let other = key("sys.View", "shop.Orders", |key| { key.put_f64("Month", 1.0).put_i64("Year", 2023); });
/// assert_eq!(canonical_key(&Key::parse(&one)?)?, canonical_key(&Key::parse(&other)?)?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`MemoryStateError::InvalidKey`] if a field is put twice or has a value that keys cannot have.
pub fn canonical_key(key: &Key<'_>) -> Result<Vec<u8>, MemoryStateError> {
    let mut bytes = Vec::new();
    append_key(key, &mut bytes)?;
    Ok(bytes)
}

/// Appends the canonical form of a whole key. Returns where its fields begin and their number.
pub(crate) fn append_key(key: &Key<'_>, out: &mut Vec<u8>) -> Result<(usize, usize), MemoryStateError> {
    append_prefix(key, out);
    let start = out.len();
    let fields = append_fields(key.object(), out).map_err(|reason| invalid(key, reason))?;
    Ok((start, fields))
}

/// Appends storage and entity.
pub(crate) fn append_prefix(key: &Key<'_>, out: &mut Vec<u8>) {
    encode::element(out, key.storage);
    encode::element(out, key.entity);
}

/// Appends the fields of an object sorted by name and returns their number.
pub(crate) fn append_fields(object: ValueRef<'_>, out: &mut Vec<u8>) -> Result<usize, String> {
    if let Some((fields, count)) = canonical_fields(object.bytes()) {
        out.extend_from_slice(fields);
        return Ok(count);
    }
    let start = out.len();
    let mut last = None;
    let mut count = 0;
    for field in object.fields().map_err(|error| error.to_string())? {
        let (name, value) = field.map_err(|error| error.to_string())?;
        if last.is_some_and(|last| last >= name) {
            out.truncate(start);
            return append_sorted(object, out);
        }
        append_field(name, value, out)?;
        last = Some(name);
        count += 1;
    }
    Ok(count)
}

/// The fields of the key map that `bytes` begin with, and their number, if they are in canonical form already: sorted by
/// name, none twice, each head in its shortest form, and nothing but integers, texts, bytes and truth values.
///
/// The map is valid, or the result has no meaning.
fn canonical_fields(bytes: &[u8]) -> Option<(&[u8], usize)> {
    let (start, mut left) = match *bytes.first()? {
        encode::BEGIN_OBJECT => (1, usize::MAX),
        _ => {
            let head = Head::read(bytes, 0)?;
            (head.behind, head.argument)
        }
    };
    let (mut at, mut last, mut count) = (start, None, 0);
    while left > 0 && *bytes.get(at)? != BREAK {
        let head = Head::read(bytes, at)?;
        let name = bytes.get(head.behind..)?.get(..head.argument)?;
        if head.major != TEXT || !head.is_shortest(at) || last.is_some_and(|last| last >= name) {
            return None;
        }
        let end = head.behind + name.len();
        at = match *bytes.get(end)? {
            FALSE | TRUE => end + 1,
            _ => {
                let head = Head::read(bytes, end)?;
                if !head.is_shortest(end) {
                    return None;
                }
                match head.major {
                    UNSIGNED | NEGATIVE => head.behind,
                    BYTES | TEXT => head.behind.checked_add(head.argument)?,
                    _ => return None,
                }
            }
        };
        last = Some(name);
        count += 1;
        left -= 1;
    }
    Some((bytes.get(start..at)?, count))
}

#[cold]
fn append_sorted(object: ValueRef<'_>, out: &mut Vec<u8>) -> Result<usize, String> {
    let fields: Result<Vec<_>, ValueError> = object.fields().map_err(|error| error.to_string())?.collect();
    let mut fields = fields.map_err(|error| error.to_string())?;
    fields.sort_by_key(|(name, _)| *name);
    for pair in fields.windows(2) {
        if pair[0].0 == pair[1].0 {
            return Err(format!("field `{}` is put twice", pair[0].0));
        }
    }
    for (name, value) in &fields {
        append_field(name, *value, out)?;
    }
    Ok(fields.len())
}

fn append_field(name: &str, value: ValueRef<'_>, out: &mut Vec<u8>) -> Result<(), String> {
    encode::name(out, name);
    append_scalar(value, out).map_err(|error| format!("field `{name}`: {error}"))
}

/// Appends a key field's value so that equal values have equal bytes: integers, and floats that are integers, as an
/// integer in its shortest form; other floats with 64 bits.
fn append_scalar(value: ValueRef<'_>, out: &mut Vec<u8>) -> Result<(), ValueError> {
    match value.kind()? {
        Kind::Integer => encode::element(out, value.as_i64()?),
        Kind::Float32 | Kind::Float64 => {
            let float = value.as_f64()?;
            #[expect(clippy::cast_possible_truncation, reason = "checked by converting back")]
            let integer = float as i64;
            #[expect(clippy::cast_precision_loss, reason = "that is the check")]
            let exact = integer as f64 == float && integer.unsigned_abs() <= 1 << 53;
            if exact { encode::element(out, integer) } else { encode::element(out, float) }
        }
        Kind::Text => encode::element(out, value.as_str()?),
        Kind::Bytes => encode::element(out, value.as_bytes()?),
        Kind::Bool => encode::element(out, value.as_bool()?),
        Kind::QName => out.extend_from_slice(value.exact_bytes()?),
        found => {
            return Err(ValueError::WrongType { asked: "a key field", found });
        }
    }
    Ok(())
}

/// The fields of a partial key, each in canonical form.
///
/// ```
/// use guest_abi::key::Key;
/// use guest_state::record::{Wanted, key, object};
///
/// let partial = key("sys.View", "shop.Orders", |key| { key.put_i32("Year", 2023); });
/// let wanted = Wanted::of(&Key::parse(&partial)?)?;
/// assert!(wanted.matches(&object(|key| { key.put_i32("Month", 1).put_i32("Year", 2023); })));
/// assert!(!wanted.matches(&object(|key| { key.put_i32("Month", 1).put_i32("Year", 2024); })));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Wanted(Vec<(String, Vec<u8>)>);

impl Wanted {
    /// The fields of this partial key.
    ///
    /// # Errors
    /// [`MemoryStateError::InvalidKey`] if a field has a value that keys cannot have.
    pub fn of(key: &Key<'_>) -> Result<Self, MemoryStateError> {
        let mut wanted = Vec::new();
        let unreadable = |error: ValueError| invalid(key, error.to_string());
        for field in key.object().fields().map_err(unreadable)? {
            let (name, value) = field.map_err(unreadable)?;
            let mut bytes = Vec::new();
            append_scalar(value, &mut bytes).map_err(|error| invalid(key, format!("field `{name}`: {error}")))?;
            wanted.push((name.to_string(), bytes));
        }
        Ok(Self(wanted))
    }

    /// Whether a record's key map has all of these fields with these values.
    #[must_use]
    pub fn matches(&self, key: &[u8]) -> bool {
        let key = ValueRef::new(key);
        self.0.iter().all(|(name, bytes)| {
            let found = key.field(name).ok().flatten();
            found.and_then(|value| value.exact_bytes().ok()) == Some(bytes)
        })
    }
}

/// The key map of fields in canonical form: a map of definite length.
///
/// ```
/// use guest_state::record::key_map;
///
/// assert_eq!(key_map(b"\x61a\x01", 1), b"\xA1\x61a\x01");
/// ```
#[must_use]
pub fn key_map(fields: &[u8], count: usize) -> Vec<u8> {
    let mut map = Vec::with_capacity(fields.len() + 3);
    encode::object_of(&mut map, count);
    map.extend_from_slice(fields);
    map
}

#[cfg(test)]
mod tests {
    use super::canonical_fields;

    #[test]
    fn only_canonical_fields_are_taken_as_they_are() {
        assert_eq!(canonical_fields(b"\xBF\x61a\x01\x61b\xF5\xFF"), Some((&b"\x61a\x01\x61b\xF5"[..], 2)));
        assert_eq!(canonical_fields(b"\xA1\x61a\x18\x18\x61b"), Some((&b"\x61a\x18\x18"[..], 1)));
        assert_eq!(canonical_fields(b"\xA0"), Some((&b""[..], 0)));
        assert_eq!(canonical_fields(b"\xA1\x61a\x18\x17"), None, "an integer that could be shorter");
        assert_eq!(
            canonical_fields(b"\xA1\x61a\x1B\0\0\0\0\0\0\0\x01"),
            None,
            "one of nine bytes that could be shorter"
        );
        assert_eq!(canonical_fields(b"\xA1\x78\x01a\x01"), None, "a name whose head could be shorter");
        assert_eq!(canonical_fields(b"\xA2\x61b\x01\x61a\x01"), None, "not sorted");
        assert_eq!(canonical_fields(b"\xA2\x61a\x01\x61a\x01"), None, "twice");
        assert_eq!(canonical_fields(b"\xA1\x61a\xFB\0\0\0\0\0\0\0\0"), None, "a float may be an integer");
        let wide = b"\xA1\x61a\x1B\0\0\0\x01\0\0\0\0";
        assert_eq!(canonical_fields(wide), Some((&wide[1..], 1)), "an integer that needs nine bytes");
    }
}
