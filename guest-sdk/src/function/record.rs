//! Values of the guest's own types, through their CBOR codec.
#![expect(unsafe_code, reason = "arguments are addresses of memory that the host writes")]

use alloc::vec::Vec;

use guest_abi::ErrorCode;
use guest_abi::column::Column;
use guest_abi::function::{Scalar, Type};
use minicbor::{Decode, Encode};

use super::output::{Output, Rows, Runs};
use super::param::{Datum, DatumType, Param};
use crate::{Error, Result};

/// A value of a type of the guest's own, which crosses in CBOR: a type that derives [`minicbor::Decode`] for arguments and
/// [`minicbor::Encode`] for results. Needs the feature `minicbor`.
///
/// An argument that is not CBOR of the type fails its call with [`ErrorCode::Malformed`].
///
/// ```
/// use guest_sdk::{Record, function};
/// use minicbor::{Decode, Encode};
///
/// #[derive(Encode, Decode)]
/// struct Point {
///     #[n(0)]
///     x: f64,
///     #[n(1)]
///     y: f64,
/// }
///
/// #[function]
/// fn mirrored(Record(point): Record<Point>) -> Record<Point> {
///     Record(Point { x: point.y, y: point.x })
/// }
///
/// assert_eq!(mirrored(Record(Point { x: 1.0, y: 2.0 })).0.x, 2.0);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Record<T>(
    /// The value.
    pub T,
);

impl<T> DatumType for Record<T> {
    const TYPE: Type = Type::of(Scalar::Record);
    type First = u32;
    type Second = u32;
}

impl<T> Record<T> {
    fn decode<'call>(bytes: &'call [u8]) -> Result<Self>
    where
        T: Decode<'call, ()>,
    {
        minicbor::decode(bytes).map(Self).map_err(|_| malformed())
    }
}

#[cold]
fn malformed() -> Error {
    Error::new(ErrorCode::Malformed, "an argument is not CBOR of the record that the function takes")
}

impl<'call, T: Decode<'call, ()>> Param<'call> for Record<T> {
    #[inline]
    unsafe fn from_slots(address: u32, length: u32, _third: ()) -> Result<Self> {
        // SAFETY: the caller's promise.
        Self::decode(unsafe { Datum::from_slots(address, length) })
    }

    #[inline]
    unsafe fn from_row(column: &Column, row: usize) -> Result<Self> {
        // SAFETY: the caller's promise.
        Self::decode(unsafe { Datum::from_row(column, row) })
    }

    fn null() -> Option<Self> {
        None
    }
}

impl<'call, T: Decode<'call, ()>> Param<'call> for Option<Record<T>> {
    #[inline]
    unsafe fn from_slots(first: i32, address: u32, length: u32) -> Result<Self> {
        match first {
            0 => Ok(None),
            // SAFETY: the caller's promise.
            _ => Record::decode(unsafe { Datum::from_slots(address, length) }).map(Some),
        }
    }

    #[inline]
    unsafe fn from_row(column: &Column, row: usize) -> Result<Self> {
        // SAFETY: the caller's promise.
        Record::decode(unsafe { Datum::from_row(column, row) }).map(Some)
    }

    fn null() -> Option<Self> {
        Some(None)
    }
}

impl<T: Encode<()>> Record<T> {
    fn encode(&self) -> Result<Vec<u8>> {
        minicbor::to_vec(&self.0).map_err(|_| Error::from("a record in the result cannot be encoded"))
    }
}

impl<T: Encode<()>> Output for Record<T> {
    const TYPE: Type = <Self as DatumType>::TYPE;
    type Slot = i64;
    type Rows = RecordRows;

    fn into_slot(self) -> Result<i64> {
        self.into_packed()
    }

    fn into_packed(self) -> Result<i64> {
        self.encode()?.into_packed()
    }
}

/// Records, encoded one behind the other.
#[doc(hidden)]
#[derive(Debug)]
pub struct RecordRows(Runs);

impl<T: Encode<()>> Rows<Record<T>> for RecordRows {
    unsafe fn begin(result: &Column, rows: usize) -> Self {
        // SAFETY: the caller's promise.
        Self(unsafe { Rows::<Vec<u8>>::begin(result, rows) })
    }

    unsafe fn begin_again(&mut self, result: &Column, rows: usize) {
        // SAFETY: the caller's promise.
        unsafe { Rows::<Vec<u8>>::begin_again(&mut self.0, result, rows) }
    }

    unsafe fn put(&mut self, row: usize, value: Record<T>) -> Result<()> {
        // SAFETY: the caller's promise.
        unsafe { self.0.put(row, value.encode()?) }
    }

    fn skip(&mut self) {
        Rows::<Vec<u8>>::skip(&mut self.0);
    }

    fn finish(&mut self, result: &mut Column) {
        Rows::<Vec<u8>>::finish(&mut self.0, result);
    }
}
