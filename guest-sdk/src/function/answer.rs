//! The result of a program's event.
#![expect(unsafe_code, reason = "results of many rows are written into room that the host has prepared")]

use alloc::vec::Vec;

use guest_abi::column::Column;
use guest_abi::function::{Scalar, Type};

use super::output::{Output, Rows, Runs};
use crate::Result;
use crate::once::Once;

/// The result of an event. Its bytes stay until the next event: a program is not restored after a call, so that it must not leave
/// behind what each call has made.
#[derive(Debug)]
pub struct Answer(pub(crate) Vec<u8>);

/// The bytes of the last event.
static LAST: Once<Vec<u8>> = Once::new();

impl Output for Answer {
    const TYPE: Type = Type::of(Scalar::Bytes);
    type Slot = i64;
    type Rows = AnswerRows;

    fn into_slot(self) -> Result<i64> {
        self.into_packed()
    }

    fn into_packed(self) -> Result<i64> {
        LAST.with(|last| {
            *last = self.0;
            last.as_slice().into_packed()
        })
    }
}

/// The results of many events, one behind the other.
#[derive(Debug)]
pub struct AnswerRows(Runs);

impl Rows<Answer> for AnswerRows {
    unsafe fn begin(result: &Column, rows: usize) -> Self {
        // SAFETY: the caller's promise.
        Self(unsafe { Rows::<Vec<u8>>::begin(result, rows) })
    }

    unsafe fn begin_again(&mut self, result: &Column, rows: usize) {
        // SAFETY: the caller's promise.
        unsafe { Rows::<Vec<u8>>::begin_again(&mut self.0, result, rows) }
    }

    unsafe fn put(&mut self, row: usize, value: Answer) -> Result<()> {
        // SAFETY: the caller's promise.
        unsafe { Rows::<Vec<u8>>::put(&mut self.0, row, value.0) }
    }

    fn skip(&mut self) {
        Rows::<Vec<u8>>::skip(&mut self.0);
    }

    fn finish(&mut self, result: &mut Column) {
        Rows::<Vec<u8>>::finish(&mut self.0, result);
    }
}
