//! Writing objects and arrays.

use super::QName;
use crate::cbor::encode::{self, BEGIN_ARRAY, BEGIN_OBJECT, END, Sink};

/// Writes the fields of an object. Each is appended at once.
///
/// ```
/// use guest_abi::value::ObjectEncoder;
///
/// let mut bytes = Vec::new();
/// let mut object = ObjectEncoder::begin(&mut bytes);
/// object.put_bool("Paid", true);
/// object.put_array("Items", |items| {
///     items.push_i32(1).push_i32(2);
/// });
/// object.end();
/// assert_eq!(bytes, b"\xBF\x64Paid\xF5\x65Items\x9F\x01\x02\xFF\xFF");
/// ```
#[derive(Debug)]
pub struct ObjectEncoder<'s, S: Sink> {
    sink: &'s mut S,
}

macro_rules! object_put {
    ($($(#[$doc:meta])* $name:ident($type:ty);)+) => {$(
        $(#[$doc])*
        pub fn $name(&mut self, name: &str, value: $type) -> &mut Self {
            encode::field(self.sink, name, value);
            self
        }
    )+};
}

impl<'s, S: Sink> ObjectEncoder<'s, S> {
    /// Starts an object.
    pub fn begin(sink: &'s mut S) -> Self {
        encode::mark(sink, BEGIN_OBJECT);
        Self { sink }
    }

    /// Continues an object that [`ObjectEncoder::begin`] started and that was not ended.
    pub fn resume(sink: &'s mut S) -> Self {
        Self { sink }
    }

    /// Ends the object.
    pub fn end(self) {
        encode::mark(self.sink, END);
    }

    object_put! {
        /// Puts an `i32`.
        put_i32(i32);
        /// Puts an `i64`.
        put_i64(i64);
        /// Puts an `f32`.
        put_f32(f32);
        /// Puts an `f64`.
        put_f64(f64);
        /// Puts text.
        put_str(&str);
        /// Puts bytes.
        put_bytes(&[u8]);
        /// Puts a truth value.
        put_bool(bool);
    }

    /// Puts a qualified name.
    pub fn put_qname(&mut self, name: &str, value: QName<'_>) -> &mut Self {
        encode::name(self.sink, name);
        encode::qname(self.sink, value);
        self
    }

    /// Puts a value that is encoded already.
    pub fn put_value(&mut self, name: &str, value: &[u8]) -> &mut Self {
        encode::name(self.sink, name);
        self.sink.append(value);
        self
    }

    /// Puts a nested object, whose fields `fill` writes.
    pub fn put_object<R>(&mut self, name: &str, fill: impl FnOnce(&mut ObjectEncoder<'_, S>) -> R) -> R {
        encode::name(self.sink, name);
        nested_object(self.sink, fill)
    }

    /// Puts a nested array, whose elements `fill` writes.
    pub fn put_array<R>(&mut self, name: &str, fill: impl FnOnce(&mut ArrayEncoder<'_, S>) -> R) -> R {
        encode::name(self.sink, name);
        nested_array(self.sink, fill)
    }

    /// Its name before it was [`put_str`](Self::put_str).
    #[deprecated(since = "0.1.0", note = "use `put_str`, as readers have `get_str`")]
    #[doc(hidden)]
    #[inline]
    pub fn put_string(&mut self, name: &str, value: &str) -> &mut Self {
        self.put_str(name, value)
    }
}

fn nested_object<S: Sink, R>(sink: &mut S, fill: impl FnOnce(&mut ObjectEncoder<'_, S>) -> R) -> R {
    let mut object = ObjectEncoder::begin(sink);
    let result = fill(&mut object);
    object.end();
    result
}

fn nested_array<S: Sink, R>(sink: &mut S, fill: impl FnOnce(&mut ArrayEncoder<'_, S>) -> R) -> R {
    let mut array = ArrayEncoder::begin(sink);
    let result = fill(&mut array);
    array.end();
    result
}

/// Writes the elements of an array. Each is appended at once.
///
/// ```
/// use guest_abi::value::ArrayEncoder;
///
/// let mut bytes = Vec::new();
/// let mut array = ArrayEncoder::begin(&mut bytes);
/// array.push_str("one").push_f64(0.5);
/// array.end();
/// assert_eq!(bytes.len(), 15);
/// ```
#[derive(Debug)]
pub struct ArrayEncoder<'s, S: Sink> {
    sink: &'s mut S,
}

macro_rules! array_push {
    ($($(#[$doc:meta])* $name:ident($type:ty);)+) => {$(
        $(#[$doc])*
        pub fn $name(&mut self, value: $type) -> &mut Self {
            encode::element(self.sink, value);
            self
        }
    )+};
}

impl<'s, S: Sink> ArrayEncoder<'s, S> {
    /// Starts an array.
    pub fn begin(sink: &'s mut S) -> Self {
        encode::mark(sink, BEGIN_ARRAY);
        Self { sink }
    }

    /// Ends the array.
    pub fn end(self) {
        encode::mark(self.sink, END);
    }

    array_push! {
        /// Appends an `i32`.
        push_i32(i32);
        /// Appends an `i64`.
        push_i64(i64);
        /// Appends an `f32`.
        push_f32(f32);
        /// Appends an `f64`.
        push_f64(f64);
        /// Appends text.
        push_str(&str);
        /// Appends bytes.
        push_bytes(&[u8]);
        /// Appends a truth value.
        push_bool(bool);
    }

    /// Appends a qualified name.
    pub fn push_qname(&mut self, value: QName<'_>) -> &mut Self {
        encode::qname(self.sink, value);
        self
    }

    /// Appends a value that is encoded already.
    pub fn push_value(&mut self, value: &[u8]) -> &mut Self {
        self.sink.append(value);
        self
    }

    /// Appends a nested object, whose fields `fill` writes.
    pub fn push_object<R>(&mut self, fill: impl FnOnce(&mut ObjectEncoder<'_, S>) -> R) -> R {
        nested_object(self.sink, fill)
    }

    /// Appends a nested array, whose elements `fill` writes.
    pub fn push_array<R>(&mut self, fill: impl FnOnce(&mut ArrayEncoder<'_, S>) -> R) -> R {
        nested_array(self.sink, fill)
    }

    /// Its name before it was [`push_str`](Self::push_str).
    #[deprecated(since = "0.1.0", note = "use `push_str`, as readers have `get_str`")]
    #[doc(hidden)]
    #[inline]
    pub fn push_string(&mut self, value: &str) -> &mut Self {
        self.push_str(value)
    }
}
