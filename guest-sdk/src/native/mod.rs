//! The native contract: values cross as CBOR, and lie in the exchange region.
//!
//! Natively this is compiled too, whatever the features say: [`crate::testing`] is a host of it.

#[cfg(all(
    target_arch = "wasm32",
    any(feature = "alloc-leaking", feature = "alloc-bump-reset", feature = "alloc-freelist", feature = "alloc-wee")
))]
mod allocator;
mod call;
mod entry;
#[cfg(target_arch = "wasm32")]
pub(crate) mod exports;
mod intent_sink;
mod raw;
mod region;
mod rows;
mod value;
mod writer;

#[cfg(all(
    target_arch = "wasm32",
    any(feature = "alloc-leaking", feature = "alloc-bump-reset", feature = "alloc-freelist", feature = "alloc-wee")
))]
pub(crate) use allocator::{Global, global};
#[cfg(all(target_arch = "wasm32", any(feature = "std", feature = "panic-handler")))]
pub(crate) use call::panic;
pub(crate) use call::{Call, key_i32, key_i64, log};
#[cfg(not(target_arch = "wasm32"))]
pub(crate) use entry::Exchange;
pub use rows::{Row, Rows};
pub use value::{Fields, Items, Value};
pub use writer::{ArrayWriter, IntentWriter, ObjectWriter};

/// An element of an array. In the native contract it is a value like any other.
pub type Item<'call> = Value<'call>;
/// The fields of a row's key. In the native contract they are an object like any other.
pub type RowKey<'step> = Value<'step>;
