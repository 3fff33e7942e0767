//! Results: how each type is returned, and how those of many rows become a column.
#![expect(unsafe_code, reason = "numbers are written into room that the host has prepared")]

use alloc::string::String;
use alloc::vec::Vec;
use core::mem::size_of_val;

use guest_abi::ErrorCode;
use guest_abi::column::Column;
use guest_abi::function::{RESULT_NULL, Type};
use guest_abi::names::pack;

use super::address::{address, pointer};
use super::param::{DatumType, Slot};
use super::{Date, Decimal, Timestamp};
use crate::{Error, Result};

/// A result that is not null.
///
/// It is not for implementing: the types that cross are those of the ABI.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the result of a typed function",
    note = "results are numbers, `bool`, `&str`, `String`, `&[u8]`, `Vec<u8>`, `Date`, `Timestamp`, `Decimal`, `Vec` of all \
            these, `Document`, `DocumentBuf`, `Record` (feature `minicbor`), `Option` of these, and `Result` of all of that"
)]
pub trait Output: Sized {
    /// The type in a signature.
    const TYPE: Type;
    /// The WebAssembly result.
    type Slot: Slot;
    /// The results of many rows.
    #[doc(hidden)]
    type Rows: Rows<Self>;

    /// The result of a call that cannot return null.
    #[doc(hidden)]
    fn into_slot(self) -> Result<Self::Slot>;

    /// The packed result.
    #[doc(hidden)]
    fn into_packed(self) -> Result<i64>;
}

/// The result of a typed function. See the [module](super) for the types there are.
///
/// It is not for implementing: the types that cross are those of the ABI.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the result of a typed function",
    note = "results are numbers, `bool`, `&str`, `String`, `&[u8]`, `Vec<u8>`, `Date`, `Timestamp`, `Decimal`, `Vec` of all \
            these, `Document`, `DocumentBuf`, `Record` (feature `minicbor`), `Option` of these, and `Result` of all of that"
)]
pub trait Return: Sized {
    /// The type in a signature.
    const TYPE: Type;
    /// The WebAssembly result.
    type Slot: Slot;
    /// The result where it is neither null nor an error.
    type Value: Output;

    /// The value, or null.
    #[doc(hidden)]
    fn into_value(self) -> Result<Option<Self::Value>>;

    /// The WebAssembly result.
    #[doc(hidden)]
    fn into_slot(self) -> Result<Self::Slot>;
}

impl<T: Output> Return for T {
    const TYPE: Type = T::TYPE;
    type Slot = T::Slot;
    type Value = T;

    #[inline(always)]
    fn into_value(self) -> Result<Option<T>> {
        Ok(Some(self))
    }

    #[inline(always)]
    fn into_slot(self) -> Result<T::Slot> {
        Output::into_slot(self)
    }
}

impl<T: Output> Return for Option<T> {
    const TYPE: Type = T::TYPE.nullable();
    type Slot = i64;
    type Value = T;

    #[inline(always)]
    fn into_value(self) -> Result<Option<T>> {
        Ok(self)
    }

    #[inline(always)]
    fn into_slot(self) -> Result<i64> {
        self.map_or(Ok(RESULT_NULL), T::into_packed)
    }
}

impl<T: Return, E: Into<Error>> Return for Result<T, E> {
    const TYPE: Type = T::TYPE;
    type Slot = T::Slot;
    type Value = T::Value;

    #[inline(always)]
    fn into_value(self) -> Result<Option<T::Value>> {
        self.map_err(Into::into)?.into_value()
    }

    #[inline(always)]
    fn into_slot(self) -> Result<T::Slot> {
        self.map_err(Into::into)?.into_slot()
    }
}

/// The results of many rows, as they become a column. The rows come in order; each is put or skipped.
#[doc(hidden)]
pub trait Rows<T>: Sized {
    /// Begins a column of so many rows.
    ///
    /// # Safety
    /// The column is the host's, for this type; until this is gone its room is valid for so many rows and nothing else uses
    /// it.
    unsafe fn begin(result: &Column, rows: usize) -> Self;

    /// Begins another column, with the memory of this one, if that has any.
    ///
    /// # Safety
    /// As for [`Rows::begin`].
    #[inline(always)]
    unsafe fn begin_again(&mut self, result: &Column, rows: usize) {
        // SAFETY: the caller's promise.
        *self = unsafe { Self::begin(result, rows) };
    }

    /// Puts the value of a row.
    ///
    /// # Safety
    /// The row is one of the column's.
    unsafe fn put(&mut self, row: usize, value: T) -> Result<()>;

    /// Leaves a row without a value.
    fn skip(&mut self);

    /// Sets the buffers of the column that are the guest's own: they stay until this is gone or begins anew.
    fn finish(&mut self, result: &mut Column);
}

/// A number that lies in a buffer as it is.
pub trait FixedWidth: DatumType + Copy + Default {}

/// Numbers, in the host's room.
#[derive(Debug)]
pub struct Numbers<T> {
    values: *mut T,
}

impl<T: FixedWidth> Rows<T> for Numbers<T> {
    #[inline(always)]
    unsafe fn begin(result: &Column, _rows: usize) -> Self {
        Self { values: pointer(result.values).cast() }
    }

    #[inline(always)]
    unsafe fn put(&mut self, row: usize, value: T) -> Result<()> {
        // SAFETY: there is room for each row.
        unsafe { self.values.add(row).write_unaligned(value) };
        Ok(())
    }

    #[inline(always)]
    fn skip(&mut self) {}

    #[inline(always)]
    fn finish(&mut self, _result: &mut Column) {}
}

/// A bitmap in the host's room, all zeros at first.
#[derive(Debug)]
pub struct Bits {
    bytes: *mut u8,
    first_bit: usize,
}

impl Bits {
    /// The bitmap at an address.
    #[inline(always)]
    pub(super) fn new(bitmap: u32, first_bit: u32) -> Self {
        Self { bytes: pointer(bitmap), first_bit: first_bit as usize }
    }

    /// Sets the bit of a row.
    ///
    /// # Safety
    /// The bitmap has a bit for the row, and nothing else uses it.
    #[inline(always)]
    pub(super) unsafe fn set(&self, row: usize) {
        let at = self.first_bit + row;
        // SAFETY: the caller's promise.
        unsafe { *self.bytes.add(at / 8) |= 1 << (at % 8) };
    }
}

impl Rows<bool> for Bits {
    #[inline(always)]
    unsafe fn begin(result: &Column, _rows: usize) -> Self {
        Self::new(result.values, result.first_bit)
    }

    #[inline(always)]
    unsafe fn put(&mut self, row: usize, value: bool) -> Result<()> {
        if value {
            // SAFETY: the caller's promise.
            unsafe { self.set(row) };
        }
        Ok(())
    }

    #[inline(always)]
    fn skip(&mut self) {}

    #[inline(always)]
    fn finish(&mut self, _result: &mut Column) {}
}

/// Strings or bytes: the bytes of all rows, one behind the other, and where each row ends.
#[derive(Debug)]
pub struct Runs {
    bytes: Vec<u8>,
    offsets: Vec<i32>,
}

impl Default for Runs {
    fn default() -> Self {
        Self::new(0)
    }
}

impl Runs {
    fn new(rows: usize) -> Self {
        let mut offsets = Vec::with_capacity(rows + 1);
        offsets.push(0);
        Self { bytes: Vec::new(), offsets }
    }

    /// Forgets all rows, and keeps their memory.
    pub(super) fn reset(&mut self) {
        self.bytes.clear();
        self.offsets.truncate(1);
    }

    /// Rows so far.
    pub(super) fn rows(&self) -> usize {
        self.offsets.len() - 1
    }

    /// The addresses of the offsets and of the bytes.
    pub(super) fn kept(&self) -> (u32, u32) {
        (kept_at(&self.offsets).0, kept_at(&self.bytes).0)
    }

    /// Appends a row.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<()> {
        self.push_with(|to| to.extend_from_slice(bytes))
    }

    /// Appends a row, whose bytes `append` appends.
    pub(super) fn push_with(&mut self, append: impl FnOnce(&mut Vec<u8>)) -> Result<()> {
        append(&mut self.bytes);
        let end = i32::try_from(self.bytes.len()).map_err(|_| too_long())?;
        self.offsets.push(end);
        Ok(())
    }

    fn skip(&mut self) {
        let end = self.offsets.last().copied().unwrap_or_default();
        self.offsets.push(end);
    }
}

#[cold]
pub(super) fn too_long() -> Error {
    Error::new(ErrorCode::OutOfRange, "the results of one batch are longer than 2 GiB: use smaller batches")
}

impl<T: AsRef<[u8]>> Rows<T> for Runs {
    unsafe fn begin(_result: &Column, rows: usize) -> Self {
        Self::new(rows)
    }

    unsafe fn begin_again(&mut self, _result: &Column, _rows: usize) {
        self.reset();
    }

    unsafe fn put(&mut self, _row: usize, value: T) -> Result<()> {
        self.push(value.as_ref())
    }

    fn skip(&mut self) {
        self.skip();
    }

    fn finish(&mut self, result: &mut Column) {
        (result.offsets, result.values) = self.kept();
    }
}

/// Gives a vector's memory to the host, which reads it before it restores the guest: address and length in bytes.
fn leaked<T: 'static>(values: Vec<T>) -> (u32, u32) {
    kept_at(values.leak())
}

/// Address and length in bytes of values that stay until the host has read them.
pub(super) fn kept_at<T>(values: &[T]) -> (u32, u32) {
    let bytes = size_of_val(values);
    (address(values.as_ptr().cast(), bytes), bytes as u32)
}

/// Widest number: a decimal.
const WIDEST: usize = 16;

/// Keeps the bytes of a number where the host finds them until the next call: their address and length, packed.
#[cfg(target_arch = "wasm32")]
fn kept(bytes: [u8; WIDEST], length: usize) -> i64 {
    use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

    static KEPT: [AtomicU64; 2] = [AtomicU64::new(0), AtomicU64::new(0)];
    let number = u128::from_le_bytes(bytes);
    KEPT[0].store(number as u64, Relaxed);
    KEPT[1].store((number >> 64) as u64, Relaxed);
    pack(address(KEPT.as_ptr().cast(), WIDEST), length as u32)
}

/// Natively several threads return numbers.
#[cfg(not(target_arch = "wasm32"))]
fn kept(bytes: [u8; WIDEST], length: usize) -> i64 {
    use alloc::boxed::Box;

    let bytes = Box::leak(Box::new(bytes));
    pack(address(bytes.as_ptr(), WIDEST), length as u32)
}

/// Keeps the bytes of a number, as above.
fn kept_number<const N: usize>(number: [u8; N]) -> i64 {
    let mut bytes = [0; WIDEST];
    for (to, from) in bytes.iter_mut().zip(number) {
        *to = from;
    }
    kept(bytes, N)
}

impl Output for bool {
    const TYPE: Type = <Self as DatumType>::TYPE;
    type Slot = i32;
    type Rows = Bits;

    #[inline(always)]
    fn into_slot(self) -> Result<i32> {
        Ok(self.into())
    }

    fn into_packed(self) -> Result<i64> {
        Ok(kept_number([self.into()]))
    }
}

macro_rules! numbers {
    ($($type:ty = $slot:ty, $value:ident => $number:expr;)+) => {$(
        impl FixedWidth for $type {}

        impl Output for $type {
            const TYPE: Type = <Self as DatumType>::TYPE;
            type Slot = $slot;
            type Rows = Numbers<Self>;

            #[inline(always)]
            fn into_slot(self) -> Result<$slot> {
                let $value = self;
                Ok($number)
            }

            fn into_packed(self) -> Result<i64> {
                let $value = self;
                Ok(kept_number($number.to_le_bytes()))
            }
        }
    )+};
}

numbers! {
    i32 = i32, value => value;
    i64 = i64, value => value;
    u64 = u64, value => value;
    f32 = f32, value => value;
    f64 = f64, value => value;
    Date = i32, value => value.0;
    Timestamp = i64, value => value.0;
}

impl<const PRECISION: u8, const SCALE: i8> FixedWidth for Decimal<PRECISION, SCALE> {}

impl<const PRECISION: u8, const SCALE: i8> Output for Decimal<PRECISION, SCALE> {
    const TYPE: Type = <Self as DatumType>::TYPE;
    type Slot = i64;
    type Rows = Numbers<Self>;

    fn into_slot(self) -> Result<i64> {
        self.into_packed()
    }

    fn into_packed(self) -> Result<i64> {
        Ok(kept_number(self.0.to_le_bytes()))
    }
}

macro_rules! bytes {
    ($($type:ty as $datum:ty, $value:ident => $packed:expr;)+) => {$(
        impl Output for $type {
            const TYPE: Type = <$datum as DatumType>::TYPE;
            type Slot = i64;
            type Rows = Runs;

            fn into_slot(self) -> Result<i64> {
                self.into_packed()
            }

            fn into_packed(self) -> Result<i64> {
                let $value = self;
                let (address, length) = $packed;
                Ok(pack(address, length))
            }
        }
    )+};
}

bytes! {
    &[u8] as &[u8], value => (address(value.as_ptr(), value.len()), value.len() as u32);
    &str as &str, value => (address(value.as_ptr(), value.len()), value.len() as u32);
    Vec<u8> as &[u8], value => leaked(value);
    String as &str, value => leaked(value.into_bytes());
}
