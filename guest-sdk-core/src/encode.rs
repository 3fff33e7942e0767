//! Encoding where there is room for all of it: one look at what is left, then stores.
//!
//! Everything else, long names and whatever comes near the end of its buffer, goes through minicbor, and both write the
//! same bytes.
#![expect(unsafe_code, reason = "stores through pointers into room that was checked")]

use guest_abi::intent::Operation;
use guest_abi::value::{QName, Sink};
use guest_abi::wire::QNAME_TAG;
use minicbor::data::Tag;
use minicbor::encode::Encoder;

use crate::copy::copy_bytes;

/// A sink that can be written to in place.
///
/// # Safety
/// Where [`Target::room`] gives a pointer, that many bytes behind it may be written until the next call.
pub unsafe trait Target: Sink {
    /// Where the next `bytes` bytes go, if they go there without further ado.
    fn room(&mut self, bytes: usize) -> Option<*mut u8>;

    /// Says that bytes have been written up to `end`.
    ///
    /// # Safety
    /// `end` lies within the room last given, and the bytes before it have been written.
    unsafe fn written(&mut self, end: *mut u8);
}

/// Longest head of an item.
const HEAD: usize = 9;

const UNSIGNED: u8 = 0x00;
const NEGATIVE: u8 = 0x20;
const BYTES: u8 = 0x40;
const TEXT: u8 = 0x60;
const FALSE: u8 = 0xF4;
const F32: u8 = 0xFA;
const F64: u8 = 0xFB;

/// A value whose encoding is a head, and bytes behind it if it is text or bytes.
pub trait Scalar: Copy {
    /// At most so many bytes.
    fn room(self) -> usize;

    /// Writes it and returns where it ends.
    ///
    /// # Safety
    /// There is room for [`Scalar::room`] bytes.
    unsafe fn write(self, to: *mut u8) -> *mut u8;

    /// Writes it where there may be no room.
    fn encode<T: Target>(self, encoder: &mut Encoder<&mut T>);
}

macro_rules! scalar {
    ($($type:ty: |$value:ident, $to:ident| $room:expr, $write:expr, $encode:ident;)+) => {$(
        impl Scalar for $type {
            #[inline(always)]
            fn room(self) -> usize {
                let $value = self;
                $room
            }

            #[inline(always)]
            unsafe fn write(self, $to: *mut u8) -> *mut u8 {
                let $value = self;
                // SAFETY: the caller's promise.
                unsafe { $write }
            }

            fn encode<T: Target>(self, encoder: &mut Encoder<&mut T>) {
                // The sink is infallible, and the call does not fail by itself.
                let _ = encoder.$encode(self);
            }
        }
    )+};
}

// A slice has less than half of the address space, so lengths and heads add up.
scalar! {
    i64: |value, to| { let _ = value; HEAD }, integer(to, value), i64;
    f32: |value, to| { let _ = value; 5 }, fixed(to, F32, value.to_be_bytes()), f32;
    f64: |value, to| { let _ = value; HEAD }, fixed(to, F64, value.to_be_bytes()), f64;
    bool: |value, to| { let _ = value; 1 }, fixed(to, FALSE + u8::from(value), []), bool;
    &str: |value, to| HEAD + value.len(), prefixed(to, TEXT, value.as_bytes()), str;
    &[u8]: |value, to| HEAD + value.len(), prefixed(to, BYTES, value), bytes;
}

/// A text that is most likely a literal, so that its length is known where it is written.
#[derive(Clone, Copy)]
struct Name<'a>(&'a str);

impl Scalar for Name<'_> {
    #[inline(always)]
    fn room(self) -> usize {
        self.0.room()
    }

    #[inline(always)]
    unsafe fn write(self, to: *mut u8) -> *mut u8 {
        // SAFETY: the caller's promise; a name does not overlap a buffer that is borrowed mutably.
        unsafe {
            let to = head(to, TEXT, self.0.len() as u64);
            copy_bytes(self.0.as_ptr(), to, self.0.len());
            to.add(self.0.len())
        }
    }

    fn encode<T: Target>(self, encoder: &mut Encoder<&mut T>) {
        self.0.encode(encoder);
    }
}

/// # Safety
/// There is room for [`HEAD`] bytes.
#[inline]
unsafe fn integer(to: *mut u8, value: i64) -> *mut u8 {
    // SAFETY: the caller's promise.
    unsafe {
        match value {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is that small")]
            0..=23 => fixed(to, UNSIGNED | value as u8, []),
            24.. => long_integer(to, UNSIGNED, value.cast_unsigned()),
            _ => long_integer(to, NEGATIVE, !value.cast_unsigned()),
        }
    }
}

/// # Safety
/// There is room for [`HEAD`] bytes.
#[inline(never)]
unsafe fn long_integer(to: *mut u8, major: u8, argument: u64) -> *mut u8 {
    // SAFETY: the caller's promise.
    unsafe { head(to, major, argument) }
}

/// # Safety
/// There is room for `1 + N` bytes.
#[inline(always)]
unsafe fn fixed<const N: usize>(to: *mut u8, initial: u8, bytes: [u8; N]) -> *mut u8 {
    // SAFETY: the caller's promise.
    unsafe {
        to.write(initial);
        to.add(1).cast::<[u8; N]>().write(bytes);
        to.add(1 + N)
    }
}

/// # Safety
/// There is room for [`HEAD`] bytes.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "each is cut to what it was compared with")]
unsafe fn head(to: *mut u8, major: u8, argument: u64) -> *mut u8 {
    // SAFETY: the caller's promise.
    unsafe {
        match argument {
            0..=23 => fixed(to, major | argument as u8, []),
            24..=0xFF => fixed(to, major | 24, [argument as u8]),
            0x100..=0xFFFF => fixed(to, major | 25, (argument as u16).to_be_bytes()),
            0x1_0000..=0xFFFF_FFFF => fixed(to, major | 26, (argument as u32).to_be_bytes()),
            _ => fixed(to, major | 27, argument.to_be_bytes()),
        }
    }
}

/// # Safety
/// There is room for [`HEAD`] and the bytes.
#[inline(never)]
unsafe fn prefixed(to: *mut u8, major: u8, bytes: &[u8]) -> *mut u8 {
    // SAFETY: the caller's promise; a slice from elsewhere does not overlap a buffer that is borrowed mutably.
    unsafe {
        let to = head(to, major, bytes.len() as u64);
        copy_bytes(bytes.as_ptr(), to, bytes.len());
        to.add(bytes.len())
    }
}

/// Writes a field of an object.
#[inline(always)]
pub fn field<T: Target>(target: &mut T, name: &str, value: impl Scalar) {
    let name = Name(name);
    match target.room(name.room() + value.room()) {
        // SAFETY: there is room for both.
        Some(to) => unsafe {
            let end = value.write(name.write(to));
            target.written(end);
        },
        None => {
            element_anywhere(target, name);
            element_anywhere(target, value);
        }
    }
}

/// Writes an element of an array.
#[inline(always)]
pub fn element<T: Target>(target: &mut T, value: impl Scalar) {
    match target.room(value.room()) {
        // SAFETY: there is room for the value.
        Some(to) => unsafe {
            let end = value.write(to);
            target.written(end);
        },
        None => element_anywhere(target, value),
    }
}

#[cold]
#[inline(never)]
fn element_anywhere<T: Target>(target: &mut T, value: impl Scalar) {
    value.encode(&mut Encoder::new(target));
}

/// Writes the name of a field; its value is to follow.
#[inline(always)]
pub fn name<T: Target>(target: &mut T, name: &str) {
    element(target, Name(name));
}

/// Writes a qualified name as a field's value or an element.
pub fn qname<T: Target>(target: &mut T, value: QName<'_>) {
    let mut encoder = Encoder::new(target);
    // The sink is infallible, and none of these calls fails by itself.
    let _ = encoder.tag(Tag::new(QNAME_TAG)).and_then(|encoder| encoder.array(2));
    let _ = encoder.str(value.package).and_then(|encoder| encoder.str(value.entity));
}

/// Writes what stands before the fields of an intent: an array of five, the operation, the key's three items, and the
/// head of the value.
pub fn intent<T: Target>(target: &mut T, operation: Operation, key: &[u8]) {
    let Some(to) = target.room(3 + key.len()) else {
        return intent_anywhere(target, operation, key);
    };
    // SAFETY: there is room for all of it; the key does not overlap a buffer that is borrowed mutably.
    unsafe {
        let to = fixed(to, INTENT, [operation as u8]);
        copy_bytes(key.as_ptr(), to, key.len());
        target.written(fixed(to.add(key.len()), BEGIN_OBJECT, []));
    }
}

#[cold]
#[inline(never)]
fn intent_anywhere<T: Target>(target: &mut T, operation: Operation, key: &[u8]) {
    mark(target, INTENT);
    mark(target, operation as u8);
    // The sink is infallible.
    let _ = target.write_all(key);
    mark(target, BEGIN_OBJECT);
}

/// An array of five.
const INTENT: u8 = 0x85;

/// Begins an object whose length is not said before.
pub const BEGIN_OBJECT: u8 = 0xBF;
/// Begins an array whose length is not said before.
pub const BEGIN_ARRAY: u8 = 0x9F;
/// Ends either.
pub const END: u8 = 0xFF;

/// Writes one of those.
#[inline]
pub fn mark<T: Target>(target: &mut T, mark: u8) {
    match target.room(1) {
        // SAFETY: there is room for one byte.
        Some(to) => unsafe { target.written(fixed(to, mark, [])) },
        None => {
            // The sink is infallible.
            let _ = target.write_all(&[mark]);
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    /// Has room for all, or never says so.
    pub(crate) struct Bytes {
        pub(crate) bytes: Vec<u8>,
        pub(crate) roomy: bool,
    }

    impl minicbor::encode::Write for Bytes {
        type Error = core::convert::Infallible;

        fn write_all(&mut self, bytes: &[u8]) -> Result<(), Self::Error> {
            self.bytes.extend_from_slice(bytes);
            Ok(())
        }
    }

    // SAFETY: a vector's spare capacity may be written to.
    unsafe impl Target for Bytes {
        fn room(&mut self, bytes: usize) -> Option<*mut u8> {
            self.bytes.reserve(bytes);
            self.roomy.then(|| self.bytes.spare_capacity_mut().as_mut_ptr().cast())
        }

        unsafe fn written(&mut self, end: *mut u8) {
            let length = end.addr() - self.bytes.as_ptr().addr();
            // SAFETY: written, says the caller.
            unsafe { self.bytes.set_len(length) };
        }
    }

    fn encoded(roomy: bool, field_name: &str, value: impl Scalar) -> Vec<u8> {
        let mut bytes = Bytes { bytes: Vec::new(), roomy };
        field(&mut bytes, field_name, value);
        element(&mut bytes, value);
        bytes.bytes
    }

    fn both_ways(field_name: &str, value: impl Scalar) -> Result<(), TestCaseError> {
        prop_assert_eq!(encoded(true, field_name, value), encoded(false, field_name, value));
        Ok(())
    }

    proptest! {
        #[test]
        fn both_ways_write_the_same_bytes(
            field_name in "[a-zä]{0,40}", integer: i64, shift in 0..64_u32, double: f64, narrow: f32,
            text in "[a-zä]{0,300}", blob in proptest::collection::vec(any::<u8>(), 0..70_000), truth: bool,
        ) {
            both_ways(&field_name, integer >> shift)?;
            both_ways(&field_name, narrow)?;
            both_ways(&field_name, double)?;
            both_ways(&field_name, truth)?;
            both_ways(&field_name, text.as_str())?;
            both_ways(&field_name, blob.as_slice())?;
        }
    }
}
