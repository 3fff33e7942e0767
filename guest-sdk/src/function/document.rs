//! Documents as parameters, read where the host has put them, and as results.
#![expect(unsafe_code, reason = "arguments are addresses of memory that the host writes")]

use alloc::vec::Vec;

use guest_abi::column::Column;
use guest_abi::document::{Document, DocumentBuf};
use guest_abi::function::{Scalar, Type};

use super::output::{Output, Rows, Runs};
use super::param::{Datum, DatumType, Param};
use crate::{Error, Result};

impl DatumType for Document<'_> {
    const TYPE: Type = Type::of(Scalar::Document);
    type First = u32;
    type Second = u32;
}

/// The document of an argument's bytes.
#[inline]
fn read(bytes: &[u8]) -> Result<Document<'_>> {
    Document::new(bytes).map_err(|_| malformed())
}

#[cold]
fn malformed() -> Error {
    Error::new(guest_abi::ErrorCode::Malformed, "an argument is not a document")
}

impl<'call> Param<'call> for Document<'call> {
    #[inline]
    unsafe fn from_slots(address: u32, length: u32, _third: ()) -> Result<Self> {
        // SAFETY: the caller's promise.
        read(unsafe { Datum::from_slots(address, length) })
    }

    #[inline]
    unsafe fn from_row(column: &Column, row: usize) -> Result<Self> {
        // SAFETY: the caller's promise.
        read(unsafe { Datum::from_row(column, row) })
    }

    fn null() -> Option<Self> {
        None
    }
}

impl<'call> Param<'call> for Option<Document<'call>> {
    #[inline]
    unsafe fn from_slots(first: i32, address: u32, length: u32) -> Result<Self> {
        match first {
            0 => Ok(None),
            // SAFETY: the caller's promise.
            _ => read(unsafe { Datum::from_slots(address, length) }).map(Some),
        }
    }

    #[inline]
    unsafe fn from_row(column: &Column, row: usize) -> Result<Self> {
        // SAFETY: the caller's promise.
        read(unsafe { Datum::from_row(column, row) }).map(Some)
    }

    fn null() -> Option<Self> {
        Some(None)
    }
}

/// Documents, one behind the other.
#[doc(hidden)]
#[derive(Debug)]
pub struct DocumentRows(Runs);

macro_rules! results {
    ($($type:ty, $value:ident => $bytes:expr, $packed:expr;)+) => {$(
        impl Output for $type {
            const TYPE: Type = Type::of(Scalar::Document);
            type Slot = i64;
            type Rows = DocumentRows;

            fn into_slot(self) -> Result<i64> {
                self.into_packed()
            }

            fn into_packed(self) -> Result<i64> {
                let $value = self;
                $packed.into_packed()
            }
        }

        impl Rows<$type> for DocumentRows {
            unsafe fn begin(result: &Column, rows: usize) -> Self {
                // SAFETY: the caller's promise.
                Self(unsafe { Rows::<&[u8]>::begin(result, rows) })
            }

            unsafe fn begin_again(&mut self, result: &Column, rows: usize) {
                // SAFETY: the caller's promise.
                unsafe { Rows::<Vec<u8>>::begin_again(&mut self.0, result, rows) }
            }

            unsafe fn put(&mut self, row: usize, value: $type) -> Result<()> {
                let $value = &value;
                // SAFETY: the caller's promise.
                unsafe { Rows::<&[u8]>::put(&mut self.0, row, $bytes) }
            }

            fn skip(&mut self) {
                Rows::<Vec<u8>>::skip(&mut self.0);
            }

            fn finish(&mut self, result: &mut Column) {
                Rows::<Vec<u8>>::finish(&mut self.0, result);
            }
        }
    )+};
}

results! {
    Document<'_>, value => value.bytes(), value.bytes();
    DocumentBuf, value => value.as_bytes(), value.into_bytes();
}
