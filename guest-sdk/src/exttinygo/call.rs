//! What a call reads and leaves, by handles.
//!
//! A [`KeyBuilder`](crate::KeyBuilder) is built as in the native contract and handed to the host field by field each time it
//! is used. It cannot be a handle itself: it may be cloned, cleared, kept in a static from the initialisation hook on,
//! and used in many calls, while a handle is the host's and lives for one call.
#![expect(unsafe_code, reason = "everything here is an import")]

use core::marker::PhantomData;

use guest_abi::exttinygo::{ABSENT, WRITER_KEY};

use super::imports;
use super::key::{Field, Reader};
use super::rows::Rows;
use super::value::Value;
use super::writer::{IntentWriter, put};
use crate::error::Result;

/// A running call.
pub(crate) struct Call<'call> {
    call: PhantomData<&'call mut ()>,
}

impl<'call> Call<'call> {
    pub(super) const fn new() -> Self {
        Self { call: PhantomData }
    }

    /// Asks by `hostQueryValue` always: that there is no record is an error that an extension may handle, and
    /// `hostGetValue` would end the call.
    pub(crate) fn get(&mut self, key: &[u8]) -> Result<Option<Value<'call>>> {
        let key = key_handle(key);
        // SAFETY: it takes a handle alone.
        match unsafe { imports::query_value(key) } {
            ABSENT => Ok(None),
            value => Ok(Some(Value::new(value))),
        }
    }

    pub(crate) fn rows<'key>(&mut self, key: &'key [u8]) -> Rows<'call, 'key> {
        Rows::new(key)
    }

    pub(crate) fn new_value(&mut self, key: &[u8]) -> IntentWriter<'_> {
        let key = key_handle(key);
        // SAFETY: it takes a handle alone.
        IntentWriter::new(unsafe { imports::new_value(key) })
    }

    pub(crate) fn update_value(&mut self, key: &[u8], found: &Value<'_>) -> IntentWriter<'_> {
        let key = key_handle(key);
        // SAFETY: it takes handles alone.
        IntentWriter::new(unsafe { imports::update_value(key, found.handle()) })
    }

    /// Runs `body` with a call whose values end with it. What they take is the host's, which keeps it until the call
    /// ends.
    pub(crate) fn scope<R>(&mut self, body: impl FnOnce(Call<'_>) -> R) -> R {
        body(Call::new())
    }
}

/// A handle for the key that a [`KeyBuilder`](crate::KeyBuilder) has encoded.
#[inline(never)]
pub(super) fn key_handle(key: &[u8]) -> i64 {
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
