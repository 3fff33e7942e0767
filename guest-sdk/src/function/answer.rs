//! The result of a program's event.

use alloc::vec::Vec;

use guest_abi::function::{Scalar, Type};

use super::byte_rows::ByteRows;
use super::output::Output;
use crate::Result;
use crate::once::Once;

/// The result of an event. Its bytes stay until the next event: a program is not restored after a call, so that it must not leave
/// behind what each call has made.
#[derive(Debug)]
pub struct Answer(pub(crate) Vec<u8>);

/// The bytes of the last event.
static LAST: Once<Vec<u8>> = Once::new();

impl From<Answer> for Vec<u8> {
    fn from(Answer(bytes): Answer) -> Self {
        bytes
    }
}

impl Output for Answer {
    const TYPE: Type = Type::of(Scalar::Bytes);
    type Slot = i64;
    type Rows = ByteRows;

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
