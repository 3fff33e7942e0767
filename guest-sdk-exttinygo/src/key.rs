//! Passes the key that a [`KeyBuilder`](crate::KeyBuilder) has encoded to the host, field by field.
//!
//! Hosts of the contract distinguish `i32` from `i64`, so the width of an integer's encoding states the type that it was put
//! as. CBOR allows any width. The native contract has integers without a width and writes the shortest form.
#![expect(unsafe_code, reason = "handles are imports")]

use guest_abi::cbor::encode::{BEGIN_OBJECT, END, Encoded, Scalar};
use guest_abi::exttinygo::WRITER_KEY;
use guest_sdk_core::key::Integers;

use crate::imports;
use crate::writer::put;

/// The exttinygo contract, as the type parameter of a [`KeyBuilder`](crate::KeyBuilder).
#[derive(Debug)]
pub enum Exttinygo {}

/// Integers keep the width that they were put with.
impl Integers for Exttinygo {
    #[inline]
    fn int32(value: i32) -> impl Scalar {
        // A negative integer is encoded as its complement.
        let [a, b, c, d] = (value ^ (value >> 31)).to_be_bytes();
        Encoded([INT32 | sign(value < 0), a, b, c, d])
    }

    #[inline]
    fn int64(value: i64) -> impl Scalar {
        let [a, b, c, d, e, f, g, h] = (value ^ (value >> 63)).to_be_bytes();
        Encoded([INT64 | sign(value < 0), a, b, c, d, e, f, g, h])
    }
}

/// A handle for the key that a [`KeyBuilder`](crate::KeyBuilder) has encoded.
#[inline(never)]
pub(crate) fn key_handle(key: &[u8]) -> i64 {
    let mut reader = Reader::new(key);
    let (storage, entity) = (reader.storage_or_entity(), reader.storage_or_entity());
    // SAFETY: both texts are borrowed.
    let handle = unsafe { imports::get_key(storage.as_ptr(), storage.len(), entity.as_ptr(), entity.len()) };
    for (name, field) in reader {
        match field {
            Field::Int32(value) => put::int32(handle, WRITER_KEY, name, value),
            Field::Int64(value) => put::int64(handle, WRITER_KEY, name, value),
            Field::Float32(value) => put::float32(handle, WRITER_KEY, name, value),
            Field::Float64(value) => put::float64(handle, WRITER_KEY, name, value),
            Field::Bool(value) => put::truth(handle, WRITER_KEY, name, value),
            Field::Text(value) => put::text(handle, WRITER_KEY, name, value),
            Field::Bytes(value) => put::bytes(handle, WRITER_KEY, name, value),
            Field::QName(package, entity) => put::qname(handle, WRITER_KEY, name, package, entity),
        }
    }
    handle
}

/// A field's value. Text is as the extension put it, and so UTF-8.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Field<'key> {
    Int32(i32),
    Int64(i64),
    Float32(f32),
    Float64(f64),
    Bool(bool),
    Text(&'key [u8]),
    Bytes(&'key [u8]),
    QName(&'key [u8], &'key [u8]),
}

const INT32: u8 = 0x1A;
const INT64: u8 = 0x1B;
const NEGATIVE: u8 = 0x20;

const fn sign(negative: bool) -> u8 {
    if negative { NEGATIVE } else { 0 }
}

/// Reads the key from its first byte to its last.
///
/// It reads what the builder has written and nothing else, so it has no errors: on other bytes it would end, or give
/// fields that are not there.
#[derive(Debug, Clone)]
struct Reader<'key> {
    rest: &'key [u8],
}

impl<'key> Reader<'key> {
    const fn new(key: &'key [u8]) -> Self {
        Self { rest: key }
    }

    /// The next of the two texts that stand before the fields.
    fn storage_or_entity(&mut self) -> &'key [u8] {
        let text = self.text();
        // Behind the entity the map of the fields begins.
        if let [BEGIN_OBJECT, rest @ ..] = self.rest {
            self.rest = rest;
        }
        text
    }

    fn take(&mut self, length: usize) -> &'key [u8] {
        let (taken, rest) = self.rest.split_at_checked(length).unwrap_or_default();
        self.rest = rest;
        taken
    }

    fn fixed<const N: usize>(&mut self) -> [u8; N] {
        self.take(N).try_into().unwrap_or([0; N])
    }

    /// The number behind an initial byte.
    fn argument(&mut self, initial: u8) -> usize {
        let argument = match initial & 0x1F {
            short @ 0..24 => u64::from(short),
            24 => u64::from(u8::from_be_bytes(self.fixed())),
            25 => u64::from(u16::from_be_bytes(self.fixed())),
            26 => u64::from(u32::from_be_bytes(self.fixed())),
            _ => u64::from_be_bytes(self.fixed()),
        };
        // The length of something in memory.
        usize::try_from(argument).unwrap_or_default()
    }

    fn initial(&mut self) -> u8 {
        let [initial] = self.fixed();
        initial
    }

    fn text(&mut self) -> &'key [u8] {
        let initial = self.initial();
        let length = self.argument(initial);
        self.take(length)
    }

    fn field(&mut self) -> Field<'key> {
        let initial = self.initial();
        match initial {
            0x1A => Field::Int32(i32::from_be_bytes(self.fixed())),
            0x3A => Field::Int32(!i32::from_be_bytes(self.fixed())),
            0x1B => Field::Int64(i64::from_be_bytes(self.fixed())),
            0x3B => Field::Int64(!i64::from_be_bytes(self.fixed())),
            0xFA => Field::Float32(f32::from_be_bytes(self.fixed())),
            0xFB => Field::Float64(f64::from_be_bytes(self.fixed())),
            0xF4 | 0xF5 => Field::Bool(initial == 0xF5),
            0x40..0x60 => {
                let length = self.argument(initial);
                Field::Bytes(self.take(length))
            }
            0x60..0x80 => {
                let length = self.argument(initial);
                Field::Text(self.take(length))
            }
            // A tag, an array of two, and two texts.
            _ => {
                self.argument(initial);
                self.initial();
                Field::QName(self.text(), self.text())
            }
        }
    }
}

impl<'key> Iterator for Reader<'key> {
    type Item = (&'key [u8], Field<'key>);

    fn next(&mut self) -> Option<Self::Item> {
        match self.rest {
            [] | [END, ..] => None,
            _ => Some((self.text(), self.field())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    use guest_abi::cbor::encode;
    use proptest::prelude::*;

    use crate::QName;

    proptest! {
        #[test]
        fn what_was_put_is_read(
            storage in "[a-z.]{0,40}", entity in "[a-zä]{0,300}", name in "[a-zä]{0,300}",
            narrow: i32, wide: i64, shift in 0..64_u32, float: u32, double: u64, truth: bool,
            text in "[a-zä]{0,300}", blob in proptest::collection::vec(any::<u8>(), 0..70_000),
        ) {
            // Bit patterns of NaN are not equal to themselves.
            let (float, double) = (f32::from_bits(float & 0xBFFF_FFFF), f64::from_bits(double & 0xBFFF_FFFF_FFFF_FFFF));
            let (narrow, wide) = (narrow >> (shift / 2), wide >> shift);
            let names: [_; 8] = core::array::from_fn(|at| alloc::format!("{name}{at}"));
            let mut key = Vec::new();
            encode::name(&mut key, &storage);
            encode::name(&mut key, &entity);
            encode::mark(&mut key, BEGIN_OBJECT);
            encode::field(&mut key, &names[0], Exttinygo::int32(narrow));
            encode::field(&mut key, &names[1], Exttinygo::int64(wide));
            encode::field(&mut key, &names[2], float);
            encode::field(&mut key, &names[3], double);
            encode::field(&mut key, &names[4], truth);
            encode::field(&mut key, &names[5], text.as_str());
            encode::field(&mut key, &names[6], blob.as_slice());
            encode::name(&mut key, &names[7]);
            encode::qname(&mut key, QName { package: &entity, entity: &text });
            encode::mark(&mut key, encode::END);

            // Where the contract does not matter, the key is one of the native contract.
            prop_assert!(guest_abi::key::Key::parse(&key).is_ok());

            let mut reader = Reader::new(&key);
            prop_assert_eq!(reader.storage_or_entity(), storage.as_bytes());
            prop_assert_eq!(reader.storage_or_entity(), entity.as_bytes());
            let fields: Vec<_> = reader.collect();
            let expected = [
                Field::Int32(narrow),
                Field::Int64(wide),
                Field::Float32(float),
                Field::Float64(double),
                Field::Bool(truth),
                Field::Text(text.as_bytes()),
                Field::Bytes(&blob),
                Field::QName(entity.as_bytes(), text.as_bytes()),
            ];
            let expected: Vec<_> = names.iter().map(|name| name.as_bytes()).zip(expected).collect();
            prop_assert_eq!(fields, expected);
        }
    }
}
