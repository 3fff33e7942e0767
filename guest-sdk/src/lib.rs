//! The SDK for extensions: functions that a host calls, that read state and leave intents.
//!
//! ```
//! use guest_sdk::{extension, storage, Context, KeyBuilder, Result};
//!
//! /// Adds the order's total to the view of ordered items.
//! #[extension]
//! fn calc_ordered_items(cx: &mut Context) -> Result<()> {
//!     let event = cx.get_value(&KeyBuilder::new(storage::EVENT, ""))?;
//!     let order = event.get("ArgumentObject")?;
//!     let mut total = 0;
//!     for item in order.get("Items")?.items()? {
//!         total += i64::from(item.get_i32("Quantity")?) * item.get_i64("SinglePrice")?;
//!     }
//!     let mut key = KeyBuilder::new(storage::VIEW, "example.com/shop.OrderedItems");
//!     key.put_i32("Year", order.get_i32("Year")?).put_i32("Month", order.get_i32("Month")?);
//!     match cx.query_value(&key)? {
//!         None => {
//!             cx.new_value(&key)?.put_i64("Amount", total);
//!         }
//!         Some(found) => {
//!             let amount = found.get_i64("Amount")? + total;
//!             cx.update_value(&key, &found)?.put_i64("Amount", amount);
//!         }
//!     }
//!     Ok(())
//! }
//! ```
//!
//! # What costs what
//!
//! A get is one crossing to the host. Intents cost none: they are written where the host reads them when the function
//! has returned, and only what exceeds that room is handed over before. Keys, values, intents, errors and log lines
//! take nothing from the guest's heap; the room for values is the exchange region, which a host makes as large as it
//! likes, [`Context::scope`] reuses, and [`Context::read_values`] fills chunk by chunk.
//!
//! # Features
//!
//! | feature | default | |
//! |---|---|---|
//! | `std` | on | panics are reported by a hook of std; a `no_std` guest turns it off |
//! | `panic-handler` | | defines the panic handler of a `no_std` guest |
//! | `alloc-leaking`, `alloc-bump-reset`, `alloc-freelist`, `alloc-wee` | | defines the guest's global allocator; at most one |
//! | `counters` | on | the allocator counts, for the host's reports |
//! | `exttinygo` | | on wasm32, the guest speaks the exttinygo contract instead of the native one |
//!
//! Without an allocator feature a guest has Rust's default one, or its own. Natively these features define
//! nothing, so an extension's tests run with any of them.
//!
//! With `exttinygo` the same extension runs on existing hosts of that contract. On wasm32 [`Value`], [`Rows`] and
//! [`IntentWriter`] are handles of the host's then, each field that is read or put is a crossing, and what that contract has
//! no words for is not there: nested values in intents (`put_object`, `put_array`, `put_value`), and asking what a value
//! is or has (`kind`, `fields`, `find`, `encoded`, `as_*` of a whole value). What cannot be read as asked ends the call
//! instead of being an error, and an error that an extension returns is reported as a panic, `panic: error <code>:
//! <message>`. Natively, in tests, the feature changes nothing.
//!
//! # Tests
//!
//! An extension is a plain function when it is compiled for anything but wasm32. The module `testing` runs it against an
//! in-memory state, over the same wire form and within the same limits as a host, so `cargo test` is enough.
//!
//! # What it assumes
//!
//! One thread. A build with the target feature `atomics` is refused.
#![no_std]

extern crate alloc;

#[cfg(any(feature = "std", not(target_arch = "wasm32")))]
extern crate std;

mod context;
mod contract;
mod entry;
#[cfg(target_arch = "wasm32")]
mod exports;
mod intent_sink;
#[cfg(target_arch = "wasm32")]
mod panics;
mod raw;
mod region;
mod rows;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
mod writer;

pub use context::Context;
pub use contract::Native;
pub use guest_sdk_core::value::{Fields, Items, Value};
pub use guest_sdk_core::{Error, ErrorCode, InitResult, Kind, Level, QName, Result, storage};
pub use guest_sdk_macros::{extension, init};
pub use rows::{Row, Rows};
pub use writer::{ArrayWriter, IntentWriter, ObjectWriter};

/// Builds a key: a storage, an entity and fields.
///
/// ```
/// use guest_sdk::{KeyBuilder, storage};
///
/// let mut key = KeyBuilder::new(storage::VIEW, "example.com/shop.OrderedItems");
/// key.put_i32("Year", 2023).put_i32("Month", 1);
/// ```
pub type KeyBuilder<const N: usize = 512> = guest_sdk_core::key::KeyBuilder<Native, N>;

/// An element of an array. In the native contract it is a value like any other.
pub type Item<'call> = Value<'call>;

/// The fields of a row's key. In the native contract they are an object like any other.
pub type RowKey<'step> = Value<'step>;

/// The guest's allocator, as it is: a request that it could not serve stands in its control block, where the host reads it.
#[cfg(all(
    target_arch = "wasm32",
    any(feature = "alloc-leaking", feature = "alloc-bump-reset", feature = "alloc-freelist", feature = "alloc-wee")
))]
#[global_allocator]
static ALLOCATOR: guest_sdk_core::allocator::Chosen = guest_sdk_core::allocator::chosen();

/// What the attribute macros expand to. Not for use by hand.
#[doc(hidden)]
pub mod generated {
    #[cfg(target_arch = "wasm32")]
    pub use crate::exports::{extension, init};
    #[cfg(target_arch = "wasm32")]
    pub use crate::{__guest_sdk_extension as export_extension, __guest_sdk_init as export_init};
}
