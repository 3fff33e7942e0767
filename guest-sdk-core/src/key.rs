//! Keys, built in place.
#![expect(unsafe_code, reason = "the buffer is filled as it is used, not zeroed before")]

use core::marker::PhantomData;
use core::mem::MaybeUninit;

use guest_abi::cbor::copy_bytes;
use guest_abi::cbor::encode::{self, Scalar, Sink};
use guest_abi::value::QName;

use crate::error::{self, Result};

/// The form in which a contract writes the integers of a key.
pub trait Integers {
    /// An `i32`.
    fn int32(value: i32) -> impl Scalar;

    /// An `i64`.
    fn int64(value: i64) -> impl Scalar;
}

/// Builds a key: a storage, an entity and fields.
///
/// The key is encoded in the builder itself, in at most `N` bytes, and takes nothing from the heap. Putting never
/// fails. A key that is too long is an error where it is used: [`KeyTooLong`](crate::ErrorCode::KeyTooLong).
///
/// ```
/// use guest_sdk::{KeyBuilder, storage};
/// let mut key = KeyBuilder::new(storage::VIEW, "example.com/shop.OrderedItems");
/// key.put_i32("Year", 2023).put_i32("Month", 1);
/// ```
pub struct KeyBuilder<I, const N: usize = 512> {
    buffer: Buffer<N>,
    /// Position of the first field; `None` if not even storage and entity fit.
    fields: Option<usize>,
    integers: PhantomData<fn() -> I>,
}

impl<I: Integers> KeyBuilder<I> {
    /// A key of up to 512 bytes without fields. `entity` is empty where the storage has none.
    #[must_use]
    #[inline(always)]
    pub fn new(storage: &str, entity: &str) -> Self {
        Self::with_capacity(storage, entity)
    }
}

impl<I: Integers, const N: usize> KeyBuilder<I, N> {
    /// A key of up to `N` bytes without fields.
    ///
    /// ```
    /// use guest_sdk::{KeyBuilder, storage};
    /// let key = KeyBuilder::<2048>::with_capacity(storage::RECORD, "");
    /// ```
    #[must_use]
    #[inline(always)]
    pub fn with_capacity(storage: &str, entity: &str) -> Self {
        let buffer = Buffer { bytes: [const { MaybeUninit::uninit() }; N], length: 0, overflowed: false };
        // In place: it is larger than is nice to move.
        let mut key = Self { buffer, fields: None, integers: PhantomData };
        encode::name(&mut key.buffer, storage);
        encode::name(&mut key.buffer, entity);
        encode::mark(&mut key.buffer, encode::BEGIN_OBJECT);
        key.buffer.end();
        key.fields = (!key.buffer.overflowed).then_some(key.buffer.length);
        key
    }

    /// Removes all fields; storage and entity stay.
    pub fn clear(&mut self) -> &mut Self {
        if let Some(fields) = self.fields {
            self.buffer.overflowed = false;
            self.buffer.length = fields;
            self.buffer.end();
        }
        self
    }

    #[inline(always)]
    fn put(&mut self, name: &str, value: impl Scalar) -> &mut Self {
        encode::field(&mut self.buffer, name, value);
        self.buffer.end();
        self
    }

    /// Puts an `i32`.
    #[inline]
    pub fn put_i32(&mut self, name: &str, value: i32) -> &mut Self {
        self.put(name, I::int32(value))
    }

    /// Puts an `i64`.
    #[inline]
    pub fn put_i64(&mut self, name: &str, value: i64) -> &mut Self {
        self.put(name, I::int64(value))
    }

    /// Puts an `f32`.
    #[inline]
    pub fn put_f32(&mut self, name: &str, value: f32) -> &mut Self {
        self.put(name, value)
    }

    /// Puts an `f64`.
    #[inline]
    pub fn put_f64(&mut self, name: &str, value: f64) -> &mut Self {
        self.put(name, value)
    }

    /// Puts text.
    #[inline]
    pub fn put_str(&mut self, name: &str, value: &str) -> &mut Self {
        self.put(name, value)
    }

    /// Puts bytes.
    #[inline]
    pub fn put_bytes(&mut self, name: &str, value: &[u8]) -> &mut Self {
        self.put(name, value)
    }

    /// Puts a truth value.
    #[inline]
    pub fn put_bool(&mut self, name: &str, value: bool) -> &mut Self {
        self.put(name, value)
    }

    /// Puts a qualified name.
    #[inline]
    pub fn put_qname(&mut self, name: &str, value: QName<'_>) -> &mut Self {
        encode::name(&mut self.buffer, name);
        encode::qname(&mut self.buffer, value);
        self.buffer.end();
        self
    }

    /// Its name before it was [`put_str`](Self::put_str).
    #[deprecated(since = "0.1.0", note = "use `put_str`, as readers have `get_str`")]
    #[doc(hidden)]
    #[inline]
    pub fn put_string(&mut self, name: &str, value: &str) -> &mut Self {
        self.put_str(name, value)
    }

    /// The key's wire form.
    ///
    /// # Errors
    /// [`KeyTooLong`](crate::ErrorCode::KeyTooLong).
    #[inline]
    pub fn bytes(&self) -> Result<&[u8]> {
        if self.buffer.overflowed {
            return Err(error::key_too_long(self.buffer.written(), N));
        }
        // `end` has written the break behind the last field.
        Ok(self.buffer.with_break())
    }
}

impl<I, const N: usize> Clone for KeyBuilder<I, N> {
    fn clone(&self) -> Self {
        Self { buffer: self.buffer.clone(), fields: self.fields, integers: PhantomData }
    }
}

impl<I: Integers, const N: usize> core::fmt::Debug for KeyBuilder<I, N> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.bytes().map(guest_abi::key::Key::parse) {
            Ok(Ok(key)) => key.fmt(f),
            _ => f.write_str("KeyBuilder(too long)"),
        }
    }
}

/// The bytes so far, without the break that stands behind them.
#[derive(Clone)]
struct Buffer<const N: usize> {
    bytes: [MaybeUninit<u8>; N],
    length: usize,
    overflowed: bool,
}

impl<const N: usize> Buffer<N> {
    #[inline]
    fn end(&mut self) {
        match self.bytes.get_mut(self.length) {
            Some(byte) => {
                byte.write(encode::END);
            }
            None => self.overflowed = true,
        }
    }

    fn written(&self) -> &[u8] {
        // SAFETY: the first `length` bytes have been written.
        unsafe { core::slice::from_raw_parts(self.bytes.as_ptr().cast(), self.length) }
    }

    /// Only if it has not overflowed.
    #[inline]
    fn with_break(&self) -> &[u8] {
        // SAFETY: `end` has written one byte more, since it has not overflowed.
        unsafe { core::slice::from_raw_parts(self.bytes.as_ptr().cast(), self.length + 1) }
    }
}

// SAFETY: the room is what is left of the buffer.
unsafe impl<const N: usize> Sink for Buffer<N> {
    #[inline]
    fn room(&mut self, bytes: usize) -> Option<*mut u8> {
        if bytes > N - self.length || self.overflowed {
            return None;
        }
        // SAFETY: `length` is at most `N`.
        Some(unsafe { self.bytes.as_mut_ptr().cast::<u8>().add(self.length) })
    }

    #[inline]
    unsafe fn written(&mut self, end: *mut u8) {
        self.length = end.addr() - self.bytes.as_ptr().addr();
    }

    #[inline]
    fn append(&mut self, bytes: &[u8]) {
        if bytes.len() > N - self.length || self.overflowed {
            self.overflowed = true;
        } else {
            // SAFETY: they fit what is left of the buffer, which is borrowed mutably.
            unsafe {
                let to = self.bytes.as_mut_ptr().cast::<u8>().add(self.length);
                copy_bytes(bytes.as_ptr(), to, bytes.len());
            }
            self.length += bytes.len();
        }
    }
}
