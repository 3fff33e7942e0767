//! Documents as arguments and as results. [`guest_abi::document`] has what they are.

use guest_abi::document::DocumentBuf;
use guest_abi::function::{Scalar, Type};
use guest_host::wasmtime::ValRaw;
use guest_host::{GuestCall, GuestCallError};

use crate::argument;
use crate::frame::Frame;
use crate::memory::document;
use crate::returned::{self, packed};

/// Whether a type is that of a document.
fn is_document(ty: Type) -> bool {
    ty.list.is_none() && ty.scalar == Scalar::Document
}

macro_rules! arguments {
    ($($ty:ty)+) => {$(
        impl argument::sealed::Argument for $ty {
            fn name(&self) -> String {
                Scalar::Document.to_string()
            }

            #[inline]
            fn fits(&self, ty: Type) -> bool {
                is_document(ty)
            }

            #[inline]
            fn place(&self, frame: &mut Frame<'_, '_>, _ty: Type) -> Result<(), GuestCallError> {
                frame.push_bytes(self.as_bytes())
            }
        }
    )+};
}

arguments! { DocumentBuf &DocumentBuf }

impl returned::sealed::Returned for DocumentBuf {
    fn name() -> String {
        Scalar::Document.to_string()
    }

    fn fits(ty: Type) -> bool {
        is_document(ty)
    }

    fn take(call: &mut GuestCall<'_>, _ty: Type, slot: ValRaw) -> Result<Self, GuestCallError> {
        document(packed(call, slot)?)
    }
}

/// Checks the documents of a batch. The bytes of a row that is null have no meaning.
#[cfg(feature = "arrow")]
pub(crate) fn check_documents(array: &arrow_array::BinaryArray) -> Result<(), String> {
    for (row, bytes) in array.iter().enumerate() {
        if let Some(Err(error)) = bytes.map(guest_abi::document::check) {
            return Err(format!("row {row} is not a document: {error}"));
        }
    }
    Ok(())
}
