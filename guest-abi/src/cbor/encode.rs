//! Writing items.
//!
//! Where a [`Sink`] has room for an item, or for a field with its name, it is asked once and the bytes are stored in place.
//! Where it has not, the same bytes are handed over piece by piece.
#![expect(unsafe_code, reason = "stores through pointers into room that was checked")]

use super::{QNAME_TAG, copy_bytes, major};
use crate::value::QName;

/// First byte of an object that does not state its length.
pub const BEGIN_OBJECT: u8 = 0xBF;
/// First byte of an array that does not state its length.
pub const BEGIN_ARRAY: u8 = 0x9F;
/// Last byte of either.
pub const END: u8 = super::BREAK;

/// Where encoded bytes go. Writing never fails.
///
/// # Safety
/// If [`room`](Self::room) returns a pointer, that many bytes from it on may be written until the sink is used again.
pub unsafe trait Sink {
    /// Where the next `bytes` bytes go. `None` if they have to be appended.
    fn room(&mut self, bytes: usize) -> Option<*mut u8>;

    /// Takes over the bytes that were written up to `end`.
    ///
    /// # Safety
    /// `end` lies within the room that was returned last, and all bytes of it before `end` have been written.
    unsafe fn written(&mut self, end: *mut u8);

    /// Appends bytes.
    fn append(&mut self, bytes: &[u8]);
}

// SAFETY: the spare capacity of a vector may be written to, and is there until the vector is used again.
#[cfg(feature = "alloc")]
unsafe impl Sink for alloc::vec::Vec<u8> {
    #[inline]
    fn room(&mut self, bytes: usize) -> Option<*mut u8> {
        self.reserve(bytes);
        Some(self.spare_capacity_mut().as_mut_ptr().cast())
    }

    #[inline]
    unsafe fn written(&mut self, end: *mut u8) {
        let length = end.addr() - self.as_ptr().addr();
        // SAFETY: the caller has written the bytes up to `end`, which lies within the capacity.
        unsafe { self.set_len(length) };
    }

    #[inline]
    fn append(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// Longest head of an item, in bytes.
const HEAD: usize = 9;

/// First byte, less the argument, of an item of this major type.
const fn initial(major: u8) -> u8 {
    major << 5
}

const UNSIGNED: u8 = initial(major::UNSIGNED);
const NEGATIVE: u8 = initial(major::NEGATIVE);
const BYTES: u8 = initial(major::BYTES);
const TEXT: u8 = initial(major::TEXT);
const FALSE: u8 = 0xF4;
const F32: u8 = 0xFA;
const F64: u8 = 0xFB;

/// A value that is neither an object nor an array.
///
/// # Safety
/// [`write`](Self::write) writes at most [`room`](Self::room) bytes, and all of those before the pointer that it returns.
pub unsafe trait Scalar: Copy {
    /// Largest number of bytes that [`write`](Self::write) writes.
    fn room(self) -> usize;

    /// Writes the item and returns where it ends.
    ///
    /// # Safety
    /// There is room for [`Scalar::room`] bytes.
    unsafe fn write(self, to: *mut u8) -> *mut u8;

    /// Appends the same bytes to a sink without room.
    fn append<S: Sink>(self, sink: &mut S);
}

/// Appends a scalar that needs no more room than a head does.
fn append_short<S: Sink>(sink: &mut S, scalar: impl Scalar) {
    let mut bytes = [0; HEAD];
    debug_assert!(scalar.room() <= HEAD);
    // SAFETY: the array has room for the longest head.
    let end = unsafe { scalar.write(bytes.as_mut_ptr()) };
    let length = end.addr() - bytes.as_ptr().addr();
    sink.append(bytes.get(..length).unwrap_or_default());
}

macro_rules! short_scalar {
    ($($type:ty: $room:expr, |$value:ident, $to:ident| $write:expr;)+) => {$(
        // SAFETY: a head, or a first byte and the value's own.
        unsafe impl Scalar for $type {
            #[inline(always)]
            fn room(self) -> usize {
                $room
            }

            #[inline(always)]
            unsafe fn write(self, $to: *mut u8) -> *mut u8 {
                let $value = self;
                // SAFETY: the caller's promise.
                unsafe { $write }
            }

            fn append<S: Sink>(self, sink: &mut S) {
                append_short(sink, self);
            }
        }
    )+};
}

short_scalar! {
    i32: HEAD, |value, to| integer(to, value.into());
    i64: HEAD, |value, to| integer(to, value);
    f32: 5, |value, to| fixed(to, F32, value.to_be_bytes());
    f64: HEAD, |value, to| fixed(to, F64, value.to_be_bytes());
    bool: 1, |value, to| fixed(to, FALSE + u8::from(value), []);
}

macro_rules! long_scalar {
    ($($type:ty: $major:expr, |$value:ident| $content:expr, |$pointer:ident, $bytes:ident| $write:expr;)+) => {$(
        // SAFETY: a head and the content. A slice has less than half of the address space, so their lengths add up.
        unsafe impl Scalar for $type {
            #[inline(always)]
            fn room(self) -> usize {
                let $value = self;
                HEAD + $content.len()
            }

            #[inline(always)]
            unsafe fn write(self, $pointer: *mut u8) -> *mut u8 {
                let $value = self;
                let $bytes: &[u8] = $content;
                // SAFETY: the caller's promise.
                unsafe { $write }
            }

            fn append<S: Sink>(self, sink: &mut S) {
                let $value = self;
                append_short(sink, Prefix { major: $major, argument: $content.len() as u64 });
                sink.append($content);
            }
        }
    )+};
}

long_scalar! {
    &str: TEXT, |value| value.as_bytes(), |to, content| prefixed(to, TEXT, content);
    &[u8]: BYTES, |value| value, |to, content| prefixed(to, BYTES, content);
    Name<'_>: TEXT, |value| value.0.as_bytes(), |to, content| prefixed_in_place(to, TEXT, content);
}

/// A text that is most likely a literal, so that its length is known where it is written.
#[derive(Clone, Copy)]
struct Name<'a>(&'a str);

/// The head of an item whose content follows.
#[derive(Clone, Copy)]
struct Prefix {
    major: u8,
    argument: u64,
}

short_scalar! {
    Prefix: HEAD, |value, to| head(to, value.major, value.argument);
}

/// An item whose encoding is known: exactly these bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Encoded<const N: usize>(
    /// The bytes.
    pub [u8; N],
);

// SAFETY: it writes its bytes.
unsafe impl<const N: usize> Scalar for Encoded<N> {
    #[inline(always)]
    fn room(self) -> usize {
        N
    }

    #[inline(always)]
    unsafe fn write(self, to: *mut u8) -> *mut u8 {
        // SAFETY: the caller's promise.
        unsafe {
            to.cast::<[u8; N]>().write(self.0);
            to.add(N)
        }
    }

    fn append<S: Sink>(self, sink: &mut S) {
        sink.append(&self.0);
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
    // SAFETY: the caller's promise.
    unsafe { prefixed_in_place(to, major, bytes) }
}

/// # Safety
/// There is room for [`HEAD`] and the bytes.
#[inline(always)]
unsafe fn prefixed_in_place(to: *mut u8, major: u8, bytes: &[u8]) -> *mut u8 {
    // SAFETY: the caller's promise; a slice from elsewhere does not overlap a buffer that is borrowed mutably.
    unsafe {
        let to = head(to, major, bytes.len() as u64);
        copy_bytes(bytes.as_ptr(), to, bytes.len());
        to.add(bytes.len())
    }
}

/// Writes a field of an object.
///
/// ```
/// use guest_abi::cbor::encode;
///
/// // {"Year": 2023, "Name": "tea"}
/// let mut bytes = Vec::new();
/// encode::object_of(&mut bytes, 2);
/// encode::field(&mut bytes, "Year", 2023_i64);
/// encode::field(&mut bytes, "Name", "tea");
/// assert_eq!(bytes, b"\xA2\x64Year\x19\x07\xE7\x64Name\x63tea");
/// ```
#[inline(always)]
pub fn field<S: Sink>(sink: &mut S, name: &str, value: impl Scalar) {
    let name = Name(name);
    match sink.room(name.room() + value.room()) {
        // SAFETY: there is room for both.
        Some(to) => unsafe {
            let end = value.write(name.write(to));
            sink.written(end);
        },
        None => {
            append(sink, name);
            append(sink, value);
        }
    }
}

/// Writes an element of an array, or an item on its own.
///
/// ```
/// use guest_abi::cbor::encode;
///
/// // ["tea", true]
/// let mut bytes = Vec::new();
/// encode::array_of(&mut bytes, 2);
/// encode::element(&mut bytes, "tea");
/// encode::element(&mut bytes, true);
/// assert_eq!(bytes, b"\x82\x63tea\xF5");
/// ```
#[inline(always)]
pub fn element<S: Sink>(sink: &mut S, value: impl Scalar) {
    match sink.room(value.room()) {
        // SAFETY: there is room for the value.
        Some(to) => unsafe {
            let end = value.write(to);
            sink.written(end);
        },
        None => append(sink, value),
    }
}

#[cold]
#[inline(never)]
fn append<S: Sink>(sink: &mut S, value: impl Scalar) {
    value.append(sink);
}

/// Writes the name of a field, which its value must follow.
#[inline(always)]
pub fn name<S: Sink>(sink: &mut S, name: &str) {
    element(sink, Name(name));
}

/// Writes a qualified name as a field's value or an element.
pub fn qname<S: Sink>(sink: &mut S, value: QName<'_>) {
    let [high, low] = QNAME_TAG.to_be_bytes();
    element(sink, Encoded([initial(major::TAG) | 25, high, low, initial(major::ARRAY) | 2]));
    element(sink, value.package);
    element(sink, value.entity);
}

/// Writes the head of an object that states its number of fields, which must follow.
pub fn object_of<S: Sink>(sink: &mut S, fields: usize) {
    element(sink, Prefix { major: initial(major::MAP), argument: fields as u64 });
}

/// Writes the head of an array that states its number of elements, which must follow.
pub fn array_of<S: Sink>(sink: &mut S, elements: usize) {
    element(sink, Prefix { major: initial(major::ARRAY), argument: elements as u64 });
}

/// Writes the head of a byte string of so many bytes that holds an item, which must follow.
#[cfg(feature = "alloc")]
pub(crate) fn embedded_of<S: Sink>(sink: &mut S, bytes: usize) {
    element(sink, Prefix { major: initial(major::TAG), argument: super::EMBEDDED_TAG as u64 });
    element(sink, Prefix { major: initial(major::BYTES), argument: bytes as u64 });
}

/// Writes an unsigned integer of up to 64 bits.
pub fn unsigned<S: Sink>(sink: &mut S, value: u64) {
    element(sink, Prefix { major: initial(major::UNSIGNED), argument: value });
}

/// Writes [`BEGIN_OBJECT`], [`BEGIN_ARRAY`] or [`END`].
#[inline]
pub fn mark<S: Sink>(sink: &mut S, mark: u8) {
    match sink.room(1) {
        // SAFETY: there is room for one byte.
        Some(to) => unsafe { sink.written(fixed(to, mark, [])) },
        None => sink.append(&[mark]),
    }
}

/// Writes the bytes before the first field of an intent: its start, its key and the start of its object.
pub(crate) fn intent_start<S: Sink>(sink: &mut S, start: [u8; 2], key: &[u8], mark: u8) {
    let Some(to) = sink.room(start.len() + key.len() + 1) else {
        return append_pieces(sink, start, key, mark);
    };
    // SAFETY: there is room for all of it; the key does not overlap a buffer that is borrowed mutably.
    unsafe {
        let to = Encoded(start).write(to);
        copy_bytes(key.as_ptr(), to, key.len());
        sink.written(fixed(to.add(key.len()), mark, []));
    }
}

#[cold]
#[inline(never)]
fn append_pieces<S: Sink>(sink: &mut S, start: [u8; 2], key: &[u8], mark: u8) {
    for piece in [&start, key, &[mark]] {
        sink.append(piece);
    }
}
