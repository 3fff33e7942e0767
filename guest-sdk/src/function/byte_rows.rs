//! Results of many rows whose values become bytes.
#![expect(unsafe_code, reason = "results of many rows are written into room that the host has prepared")]

use alloc::vec::Vec;

use guest_abi::column::Column;

use super::output::{Rows, Runs};
use crate::Result;

/// The bytes of many rows, one behind the other.
#[derive(Debug)]
pub struct ByteRows(Runs);

impl<T: Into<Vec<u8>>> Rows<T> for ByteRows {
    unsafe fn begin(result: &Column, rows: usize) -> Self {
        // SAFETY: the caller's promise.
        Self(unsafe { Rows::<Vec<u8>>::begin(result, rows) })
    }

    unsafe fn begin_again(&mut self, result: &Column, rows: usize) {
        // SAFETY: the caller's promise.
        unsafe { Rows::<Vec<u8>>::begin_again(&mut self.0, result, rows) }
    }

    unsafe fn put(&mut self, row: usize, value: T) -> Result<()> {
        // SAFETY: the caller's promise.
        unsafe { Rows::<Vec<u8>>::put(&mut self.0, row, value.into()) }
    }

    fn skip(&mut self) {
        Rows::<Vec<u8>>::skip(&mut self.0);
    }

    fn finish(&mut self, result: &mut Column) {
        Rows::<Vec<u8>>::finish(&mut self.0, result);
    }
}
