//! What the shared core asks of a contract, for the native one.

use guest_abi::cbor::encode::Scalar;
use guest_sdk_core::key::Integers;

/// The native contract, which a [`KeyBuilder`](crate::KeyBuilder) is for.
#[derive(Debug)]
pub enum Native {}

/// Integers have no width: each is as short as it can be.
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
