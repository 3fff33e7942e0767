//! The value model: views that read it in place and writers that encode it in place.
//!
//! A [`ValueRef`] borrows the bytes of one CBOR item and decodes on demand. [`ObjectWriter`] and [`ArrayWriter`]
//! append to any infallible [`Write`], which is how intents reach guest memory without a buffer of their own.

use core::convert::Infallible;
use minicbor::data::{Tag, Type};
use minicbor::decode::Decoder;
use minicbor::encode::{Encoder, Write};

use crate::quick;
use crate::wire::{self, QNAME_TAG, WireError};

/// A qualified name: an entity of a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QName<'a> {
    /// Package, for instance `sys`.
    pub package: &'a str,
    /// Entity of the package.
    pub entity: &'a str,
}

impl core::fmt::Display for QName<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}.{}", self.package, self.entity)
    }
}

/// Kind of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// An integer of up to 64 bits with sign.
    Integer,
    /// A 32-bit float.
    Float32,
    /// A 64-bit float.
    Float64,
    /// UTF-8 text.
    Text,
    /// Bytes.
    Bytes,
    /// A truth value.
    Bool,
    /// A [`QName`].
    QName,
    /// Named fields.
    Object,
    /// Values in order.
    Array,
}

impl Kind {
    /// The word for it in messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Integer => "integer",
            Self::Float32 => "f32",
            Self::Float64 => "f64",
            Self::Text => "string",
            Self::Bytes => "bytes",
            Self::Bool => "bool",
            Self::QName => "qualified name",
            Self::Object => "object",
            Self::Array => "array",
        }
    }
}

impl core::fmt::Display for Kind {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a value cannot be read as asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ValueError {
    /// The value is of another kind.
    WrongType {
        /// What was asked for.
        asked: &'static str,
        /// What is there.
        found: Kind,
    },
    /// The number cannot be held exactly by the type asked for.
    OutOfRange {
        /// What was asked for.
        asked: &'static str,
        /// What is there.
        found: Kind,
    },
    /// The bytes are not a value of the model.
    Malformed(WireError),
}

impl From<WireError> for ValueError {
    fn from(error: WireError) -> Self {
        Self::Malformed(error)
    }
}

impl core::fmt::Display for ValueError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::WrongType { asked, found } => write!(f, "asked for {asked}, found {found}"),
            Self::OutOfRange { asked, found } => {
                write!(f, "the {found} does not fit {asked} exactly")
            }
            Self::Malformed(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for ValueError {}

/// A value, borrowed from the bytes that encode it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ValueRef<'a> {
    bytes: &'a [u8],
}

/// What ends an object or array of indefinite length.
const BREAK: u8 = 0xFF;

const MALFORMED: ValueError = ValueError::Malformed(WireError::Malformed { at: 0 });

impl<'a> ValueRef<'a> {
    /// The value whose encoding starts at the first of `bytes`. What follows it is ignored.
    ///
    /// Nothing is checked yet: each reading method reports bytes that are not a value.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// The encoding, and possibly bytes behind it.
    #[must_use]
    pub const fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// Exactly the bytes of this value.
    ///
    /// # Errors
    /// [`ValueError::Malformed`] when they are not well-formed.
    pub fn exact_bytes(self) -> Result<&'a [u8], ValueError> {
        Ok(&self.bytes[..wire::skip(self.bytes, 0)?])
    }

    /// Kind of the value.
    ///
    /// # Errors
    /// [`ValueError::Malformed`] when it has none of the model's.
    pub fn kind(self) -> Result<Kind, ValueError> {
        let kind = Decoder::new(self.bytes).datatype().map_err(|_| WireError::Truncated)?;
        Ok(match kind {
            // The second byte of a nine-byte integer shows whether it exceeds the range of the model.
            Type::U64 if self.bytes.get(1).is_some_and(|byte| *byte >= 0x80) => {
                return Err(WireError::Unsupported { at: 0 }.into());
            }
            Type::U8 | Type::U16 | Type::U32 | Type::U64 => Kind::Integer,
            Type::I8 | Type::I16 | Type::I32 | Type::I64 => Kind::Integer,
            Type::F32 => Kind::Float32,
            Type::F64 => Kind::Float64,
            Type::String => Kind::Text,
            Type::Bytes => Kind::Bytes,
            Type::Bool => Kind::Bool,
            Type::Tag => Kind::QName,
            Type::Map | Type::MapIndef => Kind::Object,
            Type::Array | Type::ArrayIndef => Kind::Array,
            other => return Err(wire::beyond(other, 0).into()),
        })
    }

    #[cold]
    fn wrong_type(self, asked: &'static str) -> ValueError {
        match self.kind() {
            Ok(found) => ValueError::WrongType { asked, found },
            Err(error) => error,
        }
    }

    /// The value as `i32`.
    ///
    /// # Errors
    /// [`ValueError`] unless it is a number that `i32` holds exactly.
    pub fn as_i32(self) -> Result<i32, ValueError> {
        let value = self.integer("i32")?;
        i32::try_from(value).map_err(|_| ValueError::OutOfRange { asked: "i32", found: Kind::Integer })
    }

    /// The value as `i64`.
    ///
    /// # Errors
    /// [`ValueError`] unless it is a number that `i64` holds exactly.
    pub fn as_i64(self) -> Result<i64, ValueError> {
        self.integer("i64")
    }

    fn integer(self, asked: &'static str) -> Result<i64, ValueError> {
        Decoder::new(self.bytes).i64().map_err(|_| self.wrong_type(asked))
    }

    /// The value as `f32`.
    ///
    /// # Errors
    /// [`ValueError`] unless it is a float, or an integer, that `f32` holds exactly. NaN stays NaN.
    #[expect(clippy::cast_possible_truncation, reason = "exactness is checked by converting back")]
    pub fn as_f32(self) -> Result<f32, ValueError> {
        let mut decoder = Decoder::new(self.bytes);
        match self.kind()? {
            Kind::Float32 => decoder.f32().map_err(|_| MALFORMED),
            Kind::Float64 => {
                let value = decoder.f64().map_err(|_| MALFORMED)?;
                let narrow = value as f32;
                if f64::from(narrow) == value || value.is_nan() {
                    Ok(narrow)
                } else {
                    Err(ValueError::OutOfRange { asked: "f32", found: Kind::Float64 })
                }
            }
            Kind::Integer => {
                let value = self.integer("f32")?;
                exact_float(value, 24)
                    .map(|value| value as f32)
                    .ok_or(ValueError::OutOfRange { asked: "f32", found: Kind::Integer })
            }
            found => Err(ValueError::WrongType { asked: "f32", found }),
        }
    }

    /// The value as `f64`.
    ///
    /// # Errors
    /// [`ValueError`] unless it is a float, or an integer that `f64` holds exactly.
    pub fn as_f64(self) -> Result<f64, ValueError> {
        let mut decoder = Decoder::new(self.bytes);
        match self.kind()? {
            Kind::Float32 => decoder.f32().map(f64::from).map_err(|_| MALFORMED),
            Kind::Float64 => decoder.f64().map_err(|_| MALFORMED),
            Kind::Integer => exact_float(self.integer("f64")?, 53)
                .ok_or(ValueError::OutOfRange { asked: "f64", found: Kind::Integer }),
            found => Err(ValueError::WrongType { asked: "f64", found }),
        }
    }

    /// The value as text.
    ///
    /// # Errors
    /// [`ValueError`] unless it is text.
    pub fn as_str(self) -> Result<&'a str, ValueError> {
        Decoder::new(self.bytes).str().map_err(|_| self.wrong_type("string"))
    }

    /// The value as bytes.
    ///
    /// # Errors
    /// [`ValueError`] unless it is bytes.
    pub fn as_bytes(self) -> Result<&'a [u8], ValueError> {
        Decoder::new(self.bytes).bytes().map_err(|_| self.wrong_type("bytes"))
    }

    /// The value as a truth value.
    ///
    /// # Errors
    /// [`ValueError`] unless it is one.
    pub fn as_bool(self) -> Result<bool, ValueError> {
        Decoder::new(self.bytes).bool().map_err(|_| self.wrong_type("bool"))
    }

    /// The value as a qualified name.
    ///
    /// # Errors
    /// [`ValueError`] unless it is one.
    pub fn as_qname(self) -> Result<QName<'a>, ValueError> {
        let mut decoder = Decoder::new(self.bytes);
        match decoder.tag() {
            Ok(tag) if tag.as_u64() == QNAME_TAG => {}
            Ok(_) => return Err(WireError::Unsupported { at: 0 }.into()),
            Err(_) => return Err(self.wrong_type("qualified name")),
        }
        if !matches!(decoder.array(), Ok(Some(2))) {
            return Err(MALFORMED);
        }
        Ok(QName { package: wire::text(&mut decoder)?, entity: wire::text(&mut decoder)? })
    }

    /// The fields of an object, in the order in which they were written.
    ///
    /// # Errors
    /// [`ValueError`] unless it is an object.
    pub fn fields(self) -> Result<Fields<'a>, ValueError> {
        let mut decoder = Decoder::new(self.bytes);
        let left = decoder.map().map_err(|_| self.wrong_type("object"))?;
        Ok(Fields { items: Items { bytes: self.bytes, at: decoder.position(), left } })
    }

    /// The elements of an array.
    ///
    /// # Errors
    /// [`ValueError`] unless it is an array.
    pub fn items(self) -> Result<Items<'a>, ValueError> {
        let mut decoder = Decoder::new(self.bytes);
        let left = decoder.array().map_err(|_| self.wrong_type("array"))?;
        Ok(Items { bytes: self.bytes, at: decoder.position(), left })
    }

    /// The field of an object with this name, if it has one. A name that was written twice means its first value.
    ///
    /// # Errors
    /// [`ValueError`] unless it is an object.
    pub fn field(self, name: &str) -> Result<Option<ValueRef<'a>>, ValueError> {
        let bytes = self.bytes;
        let mut decoder = Decoder::new(bytes);
        let mut left = decoder.map().map_err(|_| self.wrong_type("object"))?;
        let mut at = decoder.position();
        loop {
            match &mut left {
                Some(0) => return Ok(None),
                Some(left) => *left -= 1,
                None if bytes.get(at) == Some(&BREAK) => return Ok(None),
                None => {}
            }
            let (found, behind) = match quick::text(bytes, at) {
                Some(found) => found,
                None => {
                    decoder.set_position(at);
                    let found = decoder.str().map_err(|_| MALFORMED)?;
                    (found, decoder.position())
                }
            };
            if found == name {
                return Ok(Some(ValueRef { bytes: bytes.get(behind..).unwrap_or_default() }));
            }
            at = wire::skip(bytes, behind)?;
        }
    }
}

/// `value` as a float when its significant bits fit `precision`.
fn exact_float(value: i64, precision: u32) -> Option<f64> {
    let magnitude = value.unsigned_abs();
    if magnitude == 0 {
        return Some(0.0);
    }
    let significant = 64 - magnitude.leading_zeros() - magnitude.trailing_zeros();
    #[expect(clippy::cast_precision_loss, reason = "checked: the significant bits fit")]
    (significant <= precision).then_some(value as f64)
}

/// The elements of an array, in order. See [`ValueRef::items`].
#[derive(Debug, Clone)]
pub struct Items<'a> {
    bytes: &'a [u8],
    at: usize,
    left: Option<u64>,
}

impl<'a> Items<'a> {
    /// Elements left, when the array says how many it has.
    #[must_use]
    pub const fn left(&self) -> Option<u64> {
        self.left
    }

    /// The bytes from here on, or nothing when no element is left.
    fn advance(&mut self) -> Option<&'a [u8]> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        match &mut self.left {
            Some(0) => return None,
            Some(left) => *left -= 1,
            None if rest.first() == Some(&BREAK) => {
                self.left = Some(0);
                self.at += 1;
                return None;
            }
            None => {}
        }
        Some(rest)
    }

    fn step(&mut self) -> Result<(), ValueError> {
        match wire::skip(self.bytes, self.at) {
            Ok(behind) => {
                self.at = behind;
                Ok(())
            }
            Err(error) => {
                self.left = Some(0);
                Err(error.into())
            }
        }
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = Result<ValueRef<'a>, ValueError>;

    fn next(&mut self) -> Option<Self::Item> {
        let bytes = self.advance()?;
        Some(self.step().map(|()| ValueRef { bytes }))
    }
}

/// The fields of an object, in order. See [`ValueRef::fields`].
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    items: Items<'a>,
}

impl Fields<'_> {
    /// Fields left, when the object says how many it has.
    #[must_use]
    pub const fn left(&self) -> Option<u64> {
        self.items.left
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(&'a str, ValueRef<'a>), ValueError>;

    fn next(&mut self) -> Option<Self::Item> {
        let bytes = self.items.advance()?;
        let mut decoder = Decoder::new(bytes);
        let Ok(name) = decoder.str() else {
            self.items.left = Some(0);
            return Some(Err(MALFORMED));
        };
        self.items.at += decoder.position();
        let value = ValueRef { bytes: &bytes[decoder.position()..] };
        Some(self.items.step().map(|()| (name, value)))
    }
}

/// What a writer appends to: encoding itself cannot fail.
pub trait Sink: Write<Error = Infallible> {}

impl<W: Write<Error = Infallible>> Sink for W {}

macro_rules! encode {
    ($sink:expr, $($call:tt)+) => {{
        // The sink is infallible, and none of these calls fails by itself.
        let _ = Encoder::new(&mut *$sink).$($call)+;
    }};
}

/// Appends a qualified name.
pub fn encode_qname<S: Sink>(sink: &mut S, name: QName<'_>) {
    encode!(sink, tag(Tag::new(QNAME_TAG)));
    encode!(sink, array(2));
    encode!(sink, str(name.package));
    encode!(sink, str(name.entity));
}

/// Writes the fields of an object, each appended at once.
#[derive(Debug)]
pub struct ObjectWriter<'s, S: Sink> {
    sink: &'s mut S,
}

macro_rules! object_put {
    ($($(#[$doc:meta])* $name:ident($type:ty) = $encode:ident;)+) => {$(
        $(#[$doc])*
        pub fn $name(&mut self, name: &str, value: $type) -> &mut Self {
            encode!(self.sink, str(name));
            encode!(self.sink, $encode(value));
            self
        }
    )+};
}

impl<'s, S: Sink> ObjectWriter<'s, S> {
    /// Starts an object.
    pub fn begin(sink: &'s mut S) -> Self {
        encode!(sink, begin_map());
        Self { sink }
    }

    /// Goes on with an object that was started and not ended: what [`ObjectWriter::begin`] began elsewhere.
    pub fn resume(sink: &'s mut S) -> Self {
        Self { sink }
    }

    /// Ends the object.
    pub fn end(self) {
        encode!(self.sink, end());
    }

    object_put! {
        /// Puts an `i32`.
        put_i32(i32) = i32;
        /// Puts an `i64`.
        put_i64(i64) = i64;
        /// Puts an `f32`.
        put_f32(f32) = f32;
        /// Puts an `f64`.
        put_f64(f64) = f64;
        /// Puts text.
        put_string(&str) = str;
        /// Puts bytes.
        put_bytes(&[u8]) = bytes;
        /// Puts a truth value.
        put_bool(bool) = bool;
    }

    /// Puts a qualified name.
    pub fn put_qname(&mut self, name: &str, value: QName<'_>) -> &mut Self {
        encode!(self.sink, str(name));
        encode_qname(self.sink, value);
        self
    }

    /// Puts a value that is encoded already.
    pub fn put_value(&mut self, name: &str, value: &[u8]) -> &mut Self {
        encode!(self.sink, str(name));
        let _ = self.sink.write_all(value);
        self
    }

    /// Puts a nested object, whose fields `fill` writes.
    pub fn put_object<R>(&mut self, name: &str, fill: impl FnOnce(&mut ObjectWriter<'_, S>) -> R) -> R {
        encode!(self.sink, str(name));
        nested_object(self.sink, fill)
    }

    /// Puts a nested array, whose elements `fill` writes.
    pub fn put_array<R>(&mut self, name: &str, fill: impl FnOnce(&mut ArrayWriter<'_, S>) -> R) -> R {
        encode!(self.sink, str(name));
        nested_array(self.sink, fill)
    }
}

fn nested_object<S: Sink, R>(sink: &mut S, fill: impl FnOnce(&mut ObjectWriter<'_, S>) -> R) -> R {
    let mut object = ObjectWriter::begin(sink);
    let result = fill(&mut object);
    object.end();
    result
}

fn nested_array<S: Sink, R>(sink: &mut S, fill: impl FnOnce(&mut ArrayWriter<'_, S>) -> R) -> R {
    let mut array = ArrayWriter::begin(sink);
    let result = fill(&mut array);
    array.end();
    result
}

/// Writes the elements of an array, each appended at once.
#[derive(Debug)]
pub struct ArrayWriter<'s, S: Sink> {
    sink: &'s mut S,
}

macro_rules! array_push {
    ($($(#[$doc:meta])* $name:ident($type:ty) = $encode:ident;)+) => {$(
        $(#[$doc])*
        pub fn $name(&mut self, value: $type) -> &mut Self {
            encode!(self.sink, $encode(value));
            self
        }
    )+};
}

impl<'s, S: Sink> ArrayWriter<'s, S> {
    /// Starts an array.
    pub fn begin(sink: &'s mut S) -> Self {
        encode!(sink, begin_array());
        Self { sink }
    }

    /// Ends the array.
    pub fn end(self) {
        encode!(self.sink, end());
    }

    array_push! {
        /// Appends an `i32`.
        push_i32(i32) = i32;
        /// Appends an `i64`.
        push_i64(i64) = i64;
        /// Appends an `f32`.
        push_f32(f32) = f32;
        /// Appends an `f64`.
        push_f64(f64) = f64;
        /// Appends text.
        push_string(&str) = str;
        /// Appends bytes.
        push_bytes(&[u8]) = bytes;
        /// Appends a truth value.
        push_bool(bool) = bool;
    }

    /// Appends a qualified name.
    pub fn push_qname(&mut self, value: QName<'_>) -> &mut Self {
        encode_qname(self.sink, value);
        self
    }

    /// Appends a value that is encoded already.
    pub fn push_value(&mut self, value: &[u8]) -> &mut Self {
        let _ = self.sink.write_all(value);
        self
    }

    /// Appends a nested object, whose fields `fill` writes.
    pub fn push_object<R>(&mut self, fill: impl FnOnce(&mut ObjectWriter<'_, S>) -> R) -> R {
        nested_object(self.sink, fill)
    }

    /// Appends a nested array, whose elements `fill` writes.
    pub fn push_array<R>(&mut self, fill: impl FnOnce(&mut ArrayWriter<'_, S>) -> R) -> R {
        nested_array(self.sink, fill)
    }
}

#[cfg(test)]
#[cfg(feature = "alloc")]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    fn sample() -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut object = ObjectWriter::begin(&mut bytes);
        object.put_i32("i32", -7).put_i64("i64", 1 << 40).put_f32("f32", 1.5).put_f64("f64", 0.1);
        object.put_string("text", "größe").put_bytes("bytes", &[0, 255]).put_bool("bool", true);
        object.put_qname("name", QName { package: "shop", entity: "Order" });
        object.put_object("object", |inner| {
            inner.put_array("empty", |_| ());
            inner.put_i32("last", 1);
        });
        object.put_array("array", |array| {
            array.push_i32(1).push_string("two");
            array.push_object(|object| {
                object.put_bool("three", false);
            });
            array.push_array(|array| {
                array.push_f64(4.0);
            });
        });
        object.end();
        bytes
    }

    #[test]
    fn what_was_written_is_read_back() {
        let bytes = sample();
        let value = ValueRef::new(&bytes);
        let field = |name: &str| value.field(name).unwrap().unwrap();
        assert_eq!(value.exact_bytes().unwrap(), bytes);
        assert_eq!(field("i32").as_i32(), Ok(-7));
        assert_eq!(field("i64").as_i64(), Ok(1 << 40));
        assert_eq!(field("f32").as_f32(), Ok(1.5));
        assert_eq!(field("f64").as_f64(), Ok(0.1));
        assert_eq!(field("text").as_str(), Ok("größe"));
        assert_eq!(field("bytes").as_bytes(), Ok(&[0, 255][..]));
        assert_eq!(field("bool").as_bool(), Ok(true));
        assert_eq!(field("name").as_qname(), Ok(QName { package: "shop", entity: "Order" }));
        assert_eq!(field("object").field("last").unwrap().unwrap().as_i32(), Ok(1));
        let array: Vec<_> = field("array").items().unwrap().collect::<Result<_, _>>().unwrap();
        assert_eq!(array.len(), 4);
        assert_eq!(array[1].as_str(), Ok("two"));
        assert_eq!(array[3].items().unwrap().next().unwrap().unwrap().as_f64(), Ok(4.0));
        assert_eq!(value.field("absent"), Ok(None));
        assert_eq!(value.fields().unwrap().count(), 10);
    }

    #[test]
    fn numbers_are_read_exactly_or_not_at_all() {
        let number = |put: &dyn Fn(&mut ArrayWriter<'_, Vec<u8>>)| {
            let mut bytes = Vec::new();
            let mut array = ArrayWriter::begin(&mut bytes);
            put(&mut array);
            array.end();
            bytes.remove(0);
            bytes
        };
        let int = |value: i64| {
            number(&move |array| {
                array.push_i64(value);
            })
        };
        let out_of_range = |asked, found| Err(ValueError::OutOfRange { asked, found });
        assert_eq!(ValueRef::new(&int(1 << 31)).as_i32(), out_of_range("i32", Kind::Integer).map(|()| 0));
        assert_eq!(ValueRef::new(&int(i64::MIN)).as_f64(), Ok(-9_223_372_036_854_775_808.0));
        assert_eq!(ValueRef::new(&int((1 << 53) + 1)).as_f64(), out_of_range("f64", Kind::Integer).map(|()| 0.0));
        assert_eq!(ValueRef::new(&int(1 << 24)).as_f32(), Ok(16_777_216.0));
        assert_eq!(ValueRef::new(&int((1 << 24) + 1)).as_f32(), out_of_range("f32", Kind::Integer).map(|()| 0.0));
        assert_eq!(ValueRef::new(&int(0)).as_f32(), Ok(0.0));
        let tenth = number(&|array| {
            array.push_f64(0.1);
        });
        assert_eq!(ValueRef::new(&tenth).as_f32(), out_of_range("f32", Kind::Float64).map(|()| 0.0));
        let wrong = ValueError::WrongType { asked: "i64", found: Kind::Float64 };
        assert_eq!(ValueRef::new(&tenth).as_i64(), Err(wrong), "a float is not read as an integer");
        let text = number(&|array| {
            array.push_string("1");
        });
        assert_eq!(ValueRef::new(&text).as_f64(), Err(ValueError::WrongType { asked: "f64", found: Kind::Text }));
    }

    #[test]
    fn every_truncation_is_an_error_and_never_a_panic() {
        let bytes = sample();
        for cut in 0..bytes.len() {
            let value = ValueRef::new(&bytes[..cut]);
            let read: Result<Vec<_>, _> = value.fields().and_then(Iterator::collect);
            assert!(read.is_err(), "cut at {cut}");
        }
    }
}
