//! The native contract, as the shared core sees it.

use guest_abi::cbor::encode::Scalar;
use guest_sdk_core::key::Integers;

/// The native contract, as the type parameter of a [`KeyBuilder`](crate::KeyBuilder).
#[derive(Debug)]
pub enum Native {}

/// Integers have no width: each takes its shortest form.
impl Integers for Native {
    #[inline]
    fn int32(value: i32) -> impl Scalar {
        i64::from(value)
    }

    #[inline]
    fn int64(value: i64) -> impl Scalar {
        value
    }
}
