//! Parameters: how each type is taken from WebAssembly parameters, and from a row of a column.
#![expect(unsafe_code, reason = "arguments are addresses of memory that the host writes")]

use guest_abi::column::Column;
use guest_abi::function::{Scalar, Type};

use super::column::{bit, bytes, column_at, number, range, slice_at};
use super::{Date, Decimal, List, Timestamp};
use crate::Result;

/// A WebAssembly parameter or result. `()` is none: the C ABI leaves arguments without a size out.
pub trait Slot: Copy + Default {}

impl Slot for () {}
impl Slot for i32 {}
impl Slot for u32 {}
impl Slot for i64 {}
impl Slot for u64 {}
impl Slot for f32 {}
impl Slot for f64 {}

/// The type of a value that is not null, and its WebAssembly parameters.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a parameter of a typed function",
    note = "parameters are numbers, `bool`, `&str`, `&[u8]`, `Date`, `Timestamp`, `Decimal`, slices of numbers, `List`, \
            `Document`, `Record` (feature `minicbor`) and `Option` of these"
)]
pub trait DatumType {
    /// The type in a signature.
    const TYPE: Type;
    /// The first parameter.
    type First: Slot;
    /// The second parameter.
    type Second: Slot;
}

/// A value that is not null, as long as a call runs.
///
/// It is not for implementing: the types that cross are those of the ABI.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a parameter of a typed function",
    note = "parameters are numbers, `bool`, `&str`, `&[u8]`, `Date`, `Timestamp`, `Decimal`, slices of numbers, `List`, \
            `Document`, `Record` (feature `minicbor`) and `Option` of these"
)]
pub trait Datum<'call>: DatumType + Sized {
    /// The value that crosses as these parameters.
    ///
    /// # Safety
    /// They are the host's, for this type, and what they are addresses of stays until `'call` ends.
    #[doc(hidden)]
    unsafe fn from_slots(first: Self::First, second: Self::Second) -> Self;

    /// The value of a row.
    ///
    /// # Safety
    /// The column is the host's, for this type; it is plain or of views, has the row, and all of it stays until `'call`
    /// ends.
    #[doc(hidden)]
    unsafe fn from_row(column: &Column, row: usize) -> Self;
}

/// The type of a parameter, and its WebAssembly parameters. See the [module](super) for the types there are.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a parameter of a typed function",
    note = "parameters are numbers, `bool`, `&str`, `&[u8]`, `Date`, `Timestamp`, `Decimal`, slices of numbers, `List`, \
            `Document`, `Record` (feature `minicbor`) and `Option` of these"
)]
pub trait ParamType {
    /// The type in a signature.
    const TYPE: Type;
    /// The first WebAssembly parameter.
    type First: Slot;
    /// The second.
    type Second: Slot;
    /// The third.
    type Third: Slot;
}

impl<T: DatumType> ParamType for T {
    const TYPE: Type = T::TYPE;
    type First = T::First;
    type Second = T::Second;
    type Third = ();
}

impl<T: DatumType> ParamType for Option<T> {
    const TYPE: Type = T::TYPE.nullable();
    type First = i32;
    type Second = T::First;
    type Third = T::Second;
}

/// A parameter of a typed function. See the [module](super) for the types there are.
///
/// It is not for implementing: the types that cross are those of the ABI.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a parameter of a typed function",
    note = "parameters are numbers, `bool`, `&str`, `&[u8]`, `Date`, `Timestamp`, `Decimal`, slices of numbers, `List`, \
            `Document`, `Record` (feature `minicbor`) and `Option` of these"
)]
pub trait Param<'call>: ParamType + Sized {
    /// The value of these WebAssembly parameters.
    ///
    /// # Safety
    /// As that of [`Datum::from_slots`].
    #[doc(hidden)]
    unsafe fn from_slots(first: Self::First, second: Self::Second, third: Self::Third) -> Result<Self>;

    /// The value of a row that is not null.
    ///
    /// # Safety
    /// As that of [`Datum::from_row`].
    #[doc(hidden)]
    unsafe fn from_row(column: &Column, row: usize) -> Result<Self>;

    /// Null, where the parameter takes it.
    #[doc(hidden)]
    fn null() -> Option<Self>;
}

impl<'call, T: Datum<'call>> Param<'call> for T {
    #[inline(always)]
    unsafe fn from_slots(first: T::First, second: T::Second, _third: ()) -> Result<Self> {
        // SAFETY: the caller's promise.
        Ok(unsafe { T::from_slots(first, second) })
    }

    #[inline(always)]
    unsafe fn from_row(column: &Column, row: usize) -> Result<Self> {
        // SAFETY: the caller's promise.
        Ok(unsafe { T::from_row(column, row) })
    }

    #[inline(always)]
    fn null() -> Option<Self> {
        None
    }
}

impl<'call, T: Datum<'call>> Param<'call> for Option<T> {
    #[inline(always)]
    unsafe fn from_slots(first: i32, second: T::First, third: T::Second) -> Result<Self> {
        // SAFETY: the caller's promise; where the first is not 0, there is a value.
        Ok((first != 0).then(|| unsafe { T::from_slots(second, third) }))
    }

    #[inline(always)]
    unsafe fn from_row(column: &Column, row: usize) -> Result<Self> {
        // SAFETY: the caller's promise.
        Ok(Some(unsafe { T::from_row(column, row) }))
    }

    #[inline(always)]
    fn null() -> Option<Self> {
        Some(None)
    }
}

impl DatumType for bool {
    const TYPE: Type = Type::of(Scalar::Bool);
    type First = i32;
    type Second = ();
}

impl Datum<'_> for bool {
    #[inline(always)]
    unsafe fn from_slots(first: i32, _second: ()) -> Self {
        first != 0
    }

    #[inline(always)]
    unsafe fn from_row(column: &Column, row: usize) -> Self {
        // SAFETY: the bitmap has a bit for each row behind the first bit.
        unsafe { bit(column.values, column.first_bit as usize + row) }
    }
}

macro_rules! fixed_width {
    ($($type:ty = $scalar:ident, $slot:ty, $value:ident => $from:expr;)+) => {$(
        impl DatumType for $type {
            const TYPE: Type = Type::of(Scalar::$scalar);
            type First = $slot;
            type Second = ();
        }

        impl Datum<'_> for $type {
            #[inline(always)]
            unsafe fn from_slots(first: $slot, _second: ()) -> Self {
                let $value = first;
                $from
            }

            #[inline(always)]
            unsafe fn from_row(column: &Column, row: usize) -> Self {
                // SAFETY: there is a number for each row.
                let $value = unsafe { number::<$slot>(column.values, row) };
                $from
            }
        }
    )+};
}

fixed_width! {
    i32 = I32, i32, value => value;
    i64 = I64, i64, value => value;
    u64 = U64, u64, value => value;
    f32 = F32, f32, value => value;
    f64 = F64, f64, value => value;
    Date = Date, i32, days => Self(days);
    Timestamp = Timestamp, i64, micros => Self(micros);
}

impl<const PRECISION: u8, const SCALE: i8> DatumType for Decimal<PRECISION, SCALE> {
    const TYPE: Type = {
        assert!(PRECISION >= 1 && PRECISION <= 38, "a decimal has 1 to 38 digits: choose another precision");
        Type::of(Scalar::Decimal { precision: PRECISION, scale: SCALE })
    };
    type First = u64;
    type Second = i64;
}

impl<const PRECISION: u8, const SCALE: i8> Datum<'_> for Decimal<PRECISION, SCALE> {
    #[inline(always)]
    unsafe fn from_slots(low: u64, high: i64) -> Self {
        Self(i128::from(high) << 64 | i128::from(low))
    }

    #[inline(always)]
    unsafe fn from_row(column: &Column, row: usize) -> Self {
        // SAFETY: there is a number for each row.
        Self(unsafe { number(column.values, row) })
    }
}

impl DatumType for &[u8] {
    const TYPE: Type = Type::of(Scalar::Bytes);
    type First = u32;
    type Second = u32;
}

impl<'call> Datum<'call> for &'call [u8] {
    #[inline(always)]
    unsafe fn from_slots(address: u32, length: u32) -> Self {
        // SAFETY: the caller's promise.
        unsafe { slice_at(address, 0, length) }
    }

    #[inline(always)]
    unsafe fn from_row(column: &Column, row: usize) -> Self {
        // SAFETY: the caller's promise.
        unsafe { bytes(column, row) }
    }
}

impl DatumType for &str {
    const TYPE: Type = Type::of(Scalar::String);
    type First = u32;
    type Second = u32;
}

impl<'call> Datum<'call> for &'call str {
    #[inline(always)]
    unsafe fn from_slots(address: u32, length: u32) -> Self {
        // SAFETY: the caller's promise; the host passes UTF-8.
        unsafe { str::from_utf8_unchecked(slice_at(address, 0, length)) }
    }

    #[inline(always)]
    unsafe fn from_row(column: &Column, row: usize) -> Self {
        // SAFETY: the caller's promise; the host passes UTF-8.
        unsafe { str::from_utf8_unchecked(bytes(column, row)) }
    }
}

impl<T: ParamType> DatumType for List<'_, T> {
    const TYPE: Type = {
        assert!(T::TYPE.list.is_none(), "a list of lists is not a type: use a list of other items");
        T::TYPE.list()
    };
    type First = u32;
    type Second = ();
}

impl<'call, T: ParamType> Datum<'call> for List<'call, T> {
    #[inline(always)]
    unsafe fn from_slots(items: u32, _second: ()) -> Self {
        // SAFETY: the caller's promise.
        unsafe {
            let items = column_at(items);
            List::new(items, 0, items.rows)
        }
    }

    #[inline(always)]
    unsafe fn from_row(column: &Column, row: usize) -> Self {
        // SAFETY: the caller's promise: the offsets are in order and within the items.
        unsafe {
            let (start, end) = range(column, row);
            List::new(column_at(column.child), start, end - start)
        }
    }
}

macro_rules! slices {
    ($($item:ty)+) => {$(
        impl DatumType for &[$item] {
            const TYPE: Type = <$item as DatumType>::TYPE.list();
            type First = u32;
            type Second = ();
        }

        impl<'call> Datum<'call> for &'call [$item] {
            #[inline(always)]
            unsafe fn from_slots(items: u32, _second: ()) -> Self {
                // SAFETY: the caller's promise.
                unsafe {
                    let items = column_at(items);
                    slice_at(items.values, 0, items.rows)
                }
            }

            #[inline(always)]
            unsafe fn from_row(column: &Column, row: usize) -> Self {
                // SAFETY: the caller's promise: the offsets are in order and within the items, which are plain and begin
                // at a multiple of 8.
                unsafe {
                    let (start, end) = range(column, row);
                    slice_at(column_at(column.child).values, start, end - start)
                }
            }
        }
    )+};
}

slices! { i32 i64 u64 f32 f64 }
