//! Writing intents, straight into where the host reads them.

use guest_abi::intent::{Operation, encode_header};
use guest_abi::value::{self, QName};
use minicbor::encode::Write;

use crate::error::Result;
use crate::intent_sink::IntentSink;
use crate::value::Value;

/// Writes the fields of a nested object.
pub type ObjectWriter<'a> = value::ObjectWriter<'a, IntentSink>;

/// Writes the elements of a nested array.
pub type ArrayWriter<'a> = value::ArrayWriter<'a, IntentSink>;

/// Writes the fields of an intent; the intent is complete when the writer is dropped.
///
/// Putting never fails and takes nothing from the heap; an intent may be of any size. Of a name that is put twice, the
/// last value counts.
#[derive(Debug)]
#[must_use = "an intent without fields is rarely meant; put some, or drop it"]
pub struct IntentWriter<'a> {
    sink: &'a mut IntentSink,
}

macro_rules! put {
    ($($(#[$doc:meta])* $name:ident($type:ty);)+) => {$(
        $(#[$doc])*
        #[inline]
        pub fn $name(&mut self, name: &str, value: $type) -> &mut Self {
            ObjectWriter::resume(self.sink).$name(name, value);
            self
        }
    )+};
}

impl<'a> IntentWriter<'a> {
    #[inline]
    pub(crate) fn begin(sink: &'a mut IntentSink, operation: Operation, key: &[u8]) -> Self {
        encode_header(sink, operation);
        // The sink is infallible.
        let _ = sink.write_all(key);
        let _ = sink.write_all(&[MAP]);
        Self { sink }
    }

    put! {
        /// Puts an `i32`.
        put_i32(i32);
        /// Puts an `i64`.
        put_i64(i64);
        /// Puts an `f32`.
        put_f32(f32);
        /// Puts an `f64`.
        put_f64(f64);
        /// Puts text.
        put_string(&str);
        /// Puts bytes.
        put_bytes(&[u8]);
        /// Puts a truth value.
        put_bool(bool);
        /// Puts a qualified name.
        put_qname(QName<'_>);
    }

    /// Puts a copy of a value that was read.
    ///
    /// # Errors
    /// The host's bytes are not a value.
    pub fn put_value(&mut self, name: &str, value: Value<'_>) -> Result<&mut Self> {
        ObjectWriter::resume(self.sink).put_value(name, value.encoded()?);
        Ok(self)
    }

    /// Puts a nested object, whose fields `fill` writes, and returns what `fill` does.
    #[inline]
    pub fn put_object<R>(&mut self, name: &str, fill: impl FnOnce(&mut ObjectWriter<'_>) -> R) -> R {
        ObjectWriter::resume(self.sink).put_object(name, fill)
    }

    /// Puts a nested array, whose elements `fill` writes, and returns what `fill` does.
    #[inline]
    pub fn put_array<R>(&mut self, name: &str, fill: impl FnOnce(&mut ArrayWriter<'_>) -> R) -> R {
        ObjectWriter::resume(self.sink).put_array(name, fill)
    }
}

/// Head of a map whose length is not said before.
const MAP: u8 = 0xBF;

impl Drop for IntentWriter<'_> {
    #[inline]
    fn drop(&mut self) {
        ObjectWriter::resume(self.sink).end();
    }
}
