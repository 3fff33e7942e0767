//! Values as records hold them: all lengths definite, each field once.

use std::collections::BTreeMap;

use guest_abi::cbor::{WireError, encode};
use guest_abi::value::{Kind, ValueError, ValueRef};

/// The value with all lengths definite. Of a field that was written twice the last value stays.
///
/// ```
/// use guest_abi::value::ValueRef;
/// use guest_state::record::definite;
///
/// // {"n": 1, "n": 2}, of indefinite length.
/// let value = ValueRef::new(b"\xBF\x61n\x01\x61n\x02\xFF");
/// assert_eq!(definite(value)?, b"\xA1\x61n\x02");
/// # Ok::<(), guest_abi::cbor::WireError>(())
/// ```
///
/// # Errors
/// [`WireError`] if the value is not of the value model.
pub fn definite(value: ValueRef<'_>) -> Result<Vec<u8>, WireError> {
    let mut out = Vec::new();
    append_definite(value, &mut out)?;
    Ok(out)
}

fn append_definite(value: ValueRef<'_>, out: &mut Vec<u8>) -> Result<(), WireError> {
    let wire = |error| match error {
        ValueError::Malformed(error) => error,
        _ => WireError::Malformed { at: 0 },
    };
    match value.kind().map_err(wire)? {
        Kind::Object => {
            let mut fields = LastOfEach::default();
            for field in value.fields().map_err(wire)? {
                let (name, value) = field.map_err(wire)?;
                fields.set(name, value);
            }
            append_object(&fields.fields, out)
        }
        Kind::Array => {
            let items: Result<Vec<_>, _> = value.items().map_err(wire)?.collect();
            let items = items.map_err(wire)?;
            encode::array_of(out, items.len());
            items.into_iter().try_for_each(|item| append_definite(item, out))
        }
        _ => {
            out.extend_from_slice(value.exact_bytes().map_err(wire)?);
            Ok(())
        }
    }
}

fn append_object(fields: &[(&str, ValueRef<'_>)], out: &mut Vec<u8>) -> Result<(), WireError> {
    encode::object_of(out, fields.len());
    for (name, value) in fields {
        encode::name(out, name);
        append_definite(*value, out)?;
    }
    Ok(())
}

/// Fields in the order in which each was first written. Of a field that was written again the last value stays.
#[derive(Default)]
struct LastOfEach<'a> {
    fields: Vec<(&'a str, ValueRef<'a>)>,
    /// Index of each name, once there are so many fields that comparing each with all of them would be slow.
    places: BTreeMap<&'a str, usize>,
}

impl<'a> LastOfEach<'a> {
    /// Number of fields up to which comparing with all of them is faster than a map.
    const FEW: usize = 16;

    fn set(&mut self, name: &'a str, value: ValueRef<'a>) {
        let place = match self.fields.len() {
            ..=Self::FEW => self.fields.iter().position(|(found, _)| *found == name),
            many => {
                if self.places.is_empty() {
                    self.places = self.fields.iter().enumerate().map(|(at, (name, _))| (*name, at)).collect();
                }
                let place = *self.places.entry(name).or_insert(many);
                (place < many).then_some(place)
            }
        };
        match place {
            Some(place) => self.fields[place].1 = value,
            None => self.fields.push((name, value)),
        }
    }
}

/// An object with the fields of `existing`, changed and extended by those of `changes`.
///
/// ```
/// use guest_abi::value::ValueRef;
/// use guest_state::record::merged;
///
/// // {"a": 1, "b": 2} changed by {"b": 3, "c": 4}.
/// let (existing, changes) = (ValueRef::new(b"\xA2\x61a\x01\x61b\x02"), ValueRef::new(b"\xA2\x61b\x03\x61c\x04"));
/// assert_eq!(merged(existing, changes)?, b"\xA3\x61a\x01\x61b\x03\x61c\x04");
/// # Ok::<(), guest_abi::cbor::WireError>(())
/// ```
///
/// # Errors
/// [`WireError`] if one of them is not an object of the value model.
pub fn merged(existing: ValueRef<'_>, changes: ValueRef<'_>) -> Result<Vec<u8>, WireError> {
    let wire = |_| WireError::Malformed { at: 0 };
    let mut fields = LastOfEach::default();
    for field in existing.fields().map_err(wire)?.chain(changes.fields().map_err(wire)?) {
        let (name, value) = field.map_err(wire)?;
        fields.set(name, value);
    }
    let mut out = Vec::new();
    append_object(&fields.fields, &mut out)?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::{LastOfEach, definite};
    use guest_abi::value::{ObjectEncoder, ValueRef};

    #[test]
    fn of_many_fields_the_last_value_of_each_counts_in_the_place_of_the_first() {
        for count in [1, LastOfEach::FEW, LastOfEach::FEW + 1, LastOfEach::FEW + 2, 200] {
            let names: Vec<String> = (0..count).map(|number| format!("f{number}")).collect();
            let mut written = Vec::new();
            let mut object = ObjectEncoder::begin(&mut written);
            for round in 0..3 {
                for (number, name) in (0..).zip(&names) {
                    object.put_i32(name, round * 1000 + number);
                }
            }
            object.end();
            let value = definite(ValueRef::new(&written)).unwrap();
            let fields: Result<Vec<_>, _> = ValueRef::new(&value).fields().unwrap().collect();
            let fields: Vec<_> = fields.unwrap().iter().map(|(name, value)| (*name, value.as_i32().unwrap())).collect();
            let wanted: Vec<_> = (2000..).zip(&names).map(|(number, name)| (name.as_str(), number)).collect();
            assert_eq!(fields, wanted, "{count}");
        }
    }
}
