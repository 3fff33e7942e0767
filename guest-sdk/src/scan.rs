//! Finding a field without decoding the others. The careful reading of `guest_abi::value` costs several times as
//! much, and what is wrong with an object it can still say afterwards.

use guest_abi::wire;

/// The bytes are not an object, or not a well-formed one.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NotAnObject;

/// The bytes from the value of field `name` on, or nothing if the object has no such field.
#[inline]
pub(crate) fn field<'b>(object: &'b [u8], name: &str) -> Result<Option<&'b [u8]>, NotAnObject> {
    let (mut left, mut at) = match head(object, 0) {
        Some((5, Some(fields), at)) => (fields, at),
        Some((5, None, at)) => (u64::MAX, at),
        _ => return Err(NotAnObject),
    };
    while left > 0 {
        if left > u64::from(u32::MAX) && object.get(at) == Some(&0xFF) {
            return Ok(None);
        }
        let Some((3, Some(length), start)) = head(object, at) else {
            return Err(NotAnObject);
        };
        let found = usize::try_from(length).ok().and_then(|length| start.checked_add(length));
        let Some(behind) = found.filter(|behind| *behind < object.len()) else {
            return Err(NotAnObject);
        };
        if equal(&object[start..behind], name.as_bytes()) {
            return Ok(Some(&object[behind..]));
        }
        at = skip(object, behind)?;
        left -= 1;
    }
    Ok(None)
}

/// The integer that `bytes` begin with; nothing if they begin with something else or it does not fit.
#[inline]
pub(crate) fn integer(bytes: &[u8]) -> Option<i64> {
    match head(bytes, 0)? {
        (0, Some(magnitude), _) => i64::try_from(magnitude).ok(),
        (1, Some(magnitude), _) => i64::try_from(magnitude).ok().map(|magnitude| -1 - magnitude),
        _ => None,
    }
}

/// Without a call for names, which are short.
#[inline]
fn equal(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(one, other)| one == other)
}

#[inline]
fn skip(bytes: &[u8], at: usize) -> Result<usize, NotAnObject> {
    // Scalars, texts and bytes first; the rest is skipped with care.
    match head(bytes, at) {
        Some((0 | 1 | 7, Some(_), behind)) => Ok(behind),
        Some((2 | 3, Some(length), start)) => {
            let behind = usize::try_from(length).ok().and_then(|length| start.checked_add(length));
            behind.filter(|behind| *behind <= bytes.len()).ok_or(NotAnObject)
        }
        _ => wire::skip(bytes, at).map_err(|_| NotAnObject),
    }
}

/// Major type and argument of the item at `at`, and where its head ends. No argument: of indefinite length.
#[inline]
fn head(bytes: &[u8], at: usize) -> Option<(u8, Option<u64>, usize)> {
    let initial = *bytes.get(at)?;
    let (major, info) = (initial >> 5, initial & 0x1F);
    if info < 24 {
        return Some((major, Some(u64::from(info)), at + 1));
    }
    long_head(bytes, at, major, info)
}

#[inline(never)]
fn long_head(bytes: &[u8], at: usize, major: u8, info: u8) -> Option<(u8, Option<u64>, usize)> {
    let rest = bytes.get(at + 1..)?;
    let argument = match info {
        24 => (u64::from(*rest.first()?), at + 2),
        25 => (u64::from(u16::from_be_bytes(*rest.first_chunk()?)), at + 3),
        26 => (u64::from(u32::from_be_bytes(*rest.first_chunk()?)), at + 5),
        27 => (u64::from_be_bytes(*rest.first_chunk()?), at + 9),
        31 => return Some((major, None, at + 1)),
        _ => return None,
    };
    Some((major, Some(argument.0), argument.1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use guest_abi::value::{ObjectWriter, ValueRef};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_quick_way_finds_what_the_careful_one_finds(
            bytes in proptest::collection::vec(any::<u8>(), 0..60),
            name in "[a-c]{0,2}",
        ) {
            if let (Ok(found), Ok(careful)) =
                (field(&bytes, &name), ValueRef::new(&bytes).field(&name))
            {
                prop_assert_eq!(found, careful.map(ValueRef::bytes));
            }
        }

        #[test]
        fn the_quick_way_reads_the_integers_of_the_careful_one(value: i64, shift in 0..64_u32, rest: u8) {
            let mut bytes = Vec::new();
            minicbor::Encoder::new(&mut bytes).i64(value >> shift).unwrap();
            bytes.push(rest);
            prop_assert_eq!(integer(&bytes), Some(value >> shift));
            prop_assert_eq!(integer(&bytes[..bytes.len() - 1]), Some(value >> shift));
            prop_assert_eq!(integer(&bytes[..bytes.len() - 2]), None);
        }

        #[test]
        fn every_field_of_an_object_is_found(
            fields in proptest::collection::vec(("[a-c]{0,30}", 0..6_u8, any::<i64>(), "[a-z]{0,300}"), 0..40),
        ) {
            let mut bytes = Vec::new();
            let mut object = ObjectWriter::begin(&mut bytes);
            for (name, kind, number, text) in &fields {
                match kind {
                    0 => { object.put_i64(name, *number); }
                    1 => { object.put_f64(name, 0.5); }
                    2 => { object.put_string(name, text); }
                    3 => { object.put_bool(name, true); }
                    4 => object.put_object(name, |inner| { inner.put_string(name, text); }),
                    _ => object.put_array(name, |inner| { inner.push_i64(*number).push_string(text); }),
                }
            }
            object.end();
            for (name, ..) in &fields {
                let careful = ValueRef::new(&bytes).field(name).unwrap().unwrap();
                prop_assert_eq!(field(&bytes, name).unwrap().unwrap(), careful.bytes());
            }
            prop_assert_eq!(field(&bytes, "absent"), Ok(None));
            for cut in 1..bytes.len() {
                prop_assert_eq!(field(&bytes[..cut], "absent"), Err(NotAnObject));
            }
        }
    }
}
