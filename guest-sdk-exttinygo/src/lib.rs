#![doc = include_str!("../README.md")]
#![deny(missing_docs)]
#![no_std]

extern crate alloc;

#[cfg(any(feature = "std", not(target_arch = "wasm32")))]
extern crate std;

#[cfg(all(
    target_arch = "wasm32",
    any(feature = "alloc-leaking", feature = "alloc-bump-reset", feature = "alloc-freelist", feature = "alloc-wee")
))]
mod allocator;
#[cfg(target_arch = "wasm32")]
mod callback;
mod context;
#[cfg(target_arch = "wasm32")]
mod exports;
#[cfg(any(target_arch = "wasm32", test))]
mod heap;
#[cfg(target_arch = "wasm32")]
mod imports;
mod key;
mod names;
#[cfg(target_arch = "wasm32")]
mod output;
#[cfg(target_arch = "wasm32")]
mod panics;
mod rows;
#[cfg(all(
    target_arch = "wasm32",
    feature = "counters",
    any(feature = "alloc-leaking", feature = "alloc-bump-reset", feature = "alloc-freelist", feature = "alloc-wee")
))]
mod statistics;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
mod value;
mod writer;

/// Natively there is no host, so the imports go to the one of [`testing`], which is the thread's own.
#[cfg(not(target_arch = "wasm32"))]
use testing::imports::{self, log, read_values};
#[cfg(target_arch = "wasm32")]
use {callback::read_values, output::log};

pub use context::Context;
pub use guest_sdk_core::{Error, ErrorCode, InitResult, Level, QName, Result, storage};
pub use guest_sdk_macros::{extension_exttinygo as extension, init_exttinygo as init};
pub use key::Exttinygo;
pub use rows::{Row, Rows};
pub use value::{Item, Items, RowKey, Value};
pub use writer::IntentWriter;

/// Builds a key: a storage, an entity and fields.
///
/// ```
/// use guest_sdk_exttinygo::{KeyBuilder, storage};
///
/// let mut key = KeyBuilder::new(storage::VIEW, "example.com/shop.OrderedItems");
/// key.put_i32("Year", 2023).put_i32("Month", 1);
/// ```
pub type KeyBuilder<const N: usize = 512> = guest_sdk_core::key::KeyBuilder<Exttinygo, N>;

/// The expansion of the attribute macros. Not for use by hand.
#[doc(hidden)]
pub mod generated {
    #[cfg(target_arch = "wasm32")]
    pub use crate::exports::{extension, init};
    pub use crate::names::is_free;
    #[cfg(target_arch = "wasm32")]
    pub use crate::{__guest_sdk_extension as export_extension, __guest_sdk_init as export_init};
}
