//! What a call reads and leaves, through the exchange region.
#![expect(unsafe_code, reason = "log lines and panics are imports, and a scope gives room back")]

use guest_abi::cbor::encode::Scalar;
use guest_abi::intent::Operation;

use super::intent_sink::IntentSink;
use super::raw;
use super::region::Region;
use super::rows::Rows;
use super::value::Value;
use super::writer::IntentWriter;
use crate::Level;
use crate::error::Result;

/// A running call: its part of the exchange region, and where its intents go.
pub(crate) struct Call<'call> {
    region: &'call Region,
    sink: &'call mut IntentSink,
}

impl<'call> Call<'call> {
    pub(super) const fn new(region: &'call Region, sink: &'call mut IntentSink) -> Self {
        Self { region, sink }
    }

    #[inline]
    pub(crate) fn get(&mut self, key: &[u8]) -> Result<Option<Value<'call>>> {
        Ok(self.region.get(key)?.map(Value::new))
    }

    #[inline]
    pub(crate) fn rows<'key>(&mut self, key: &'key [u8]) -> Rows<'call, 'key> {
        Rows::new(self.region.chunk(), key)
    }

    #[inline]
    pub(crate) fn new_value(&mut self, key: &[u8]) -> IntentWriter<'_> {
        IntentWriter::begin(self.sink, Operation::New, key)
    }

    /// The contract finds the record by its key.
    #[inline]
    pub(crate) fn update_value(&mut self, key: &[u8], _found: &Value<'_>) -> IntentWriter<'_> {
        IntentWriter::begin(self.sink, Operation::Update, key)
    }

    /// Runs `body` with a call whose values end with it.
    #[inline]
    pub(crate) fn scope<R>(&mut self, body: impl FnOnce(Call<'_>) -> R) -> R {
        let cursor = self.region.cursor();
        let result = body(Call { region: self.region, sink: self.sink });
        // SAFETY: `body` accepts a call of any lifetime, so nothing that it read is in its result or anywhere
        // outside; and nobody else could read values meanwhile, because `self` is borrowed.
        unsafe { self.region.rewind(cursor) };
        result
    }
}

#[inline]
pub(crate) fn log(level: Level, text: &str) {
    // SAFETY: the text is borrowed during the call.
    unsafe { raw::log(level as u32, text.as_ptr(), text.len()) };
}

#[cfg(all(target_arch = "wasm32", any(feature = "std", feature = "panic-handler")))]
pub(crate) fn panic(message: &str, location: Option<&core::panic::Location<'_>>) -> ! {
    let (file, line, column) = match location {
        Some(location) => (location.file(), location.line(), location.column()),
        None => ("", 0, 0),
    };
    // SAFETY: both texts are borrowed, and the call does not come back.
    unsafe { raw::panic(message.as_ptr(), message.len(), file.as_ptr(), file.len(), line, column) }
}

/// An `i32` in a key: an integer, which has no width.
#[inline]
pub(crate) fn key_i32(value: i32) -> impl Scalar {
    i64::from(value)
}

/// An `i64` in a key: an integer, which has no width.
#[inline]
pub(crate) const fn key_i64(value: i64) -> impl Scalar {
    value
}
