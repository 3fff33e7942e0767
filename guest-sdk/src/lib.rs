#![doc = include_str!("../README.md")]
#![deny(missing_docs)]
#![no_std]

extern crate alloc;

#[cfg(any(feature = "std", not(target_arch = "wasm32")))]
extern crate std;

mod arena;
pub mod block;
mod context;
mod contract;
pub mod document;
mod entry;
#[cfg(target_arch = "wasm32")]
mod exports;
pub mod function;
pub mod http;
mod intent_sink;
mod log;
mod once;
#[cfg(target_arch = "wasm32")]
mod panics;
pub mod program;
mod raw;
mod rows;
mod secret;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
mod writer;

pub use context::Context;
pub use contract::Native;
#[cfg(feature = "minicbor")]
pub use function::Record;
pub use function::{Date, Decimal, List, State, Timestamp};
pub use guest_abi::document::{Document, DocumentBuf, Path};
pub use guest_abi::flat;
pub use guest_abi::path;
pub use guest_sdk_core::value::{Fields, Items, Value};
pub use guest_sdk_core::{Error, ErrorCode, InitResult, Kind, Level, QName, Result, storage};
pub use guest_sdk_macros::{State, aggregate, extension, function, init, stage, table_function};
pub use log::log;
pub use rows::{Row, Rows};
pub use secret::secret;
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

/// The guest's allocator, unchanged: it records a request that it could not serve in its control block, where the host
/// reads it.
#[cfg(all(
    target_arch = "wasm32",
    any(feature = "alloc-leaking", feature = "alloc-bump-reset", feature = "alloc-freelist", feature = "alloc-wee")
))]
#[global_allocator]
static ALLOCATOR: guest_sdk_core::allocator::Chosen = guest_sdk_core::allocator::chosen();

/// The expansion of the attribute macros. Not for use by hand.
#[doc(hidden)]
pub mod generated {
    pub use alloc::vec::Vec;

    use alloc::boxed::Box;

    pub use guest_abi::function::{Declaration, Kind as FunctionKind, Operation, Volatility};

    #[cfg(target_arch = "wasm32")]
    pub use crate::exports::{extension, init, stage};
    #[cfg(not(target_arch = "wasm32"))]
    pub use crate::function::address::forget_segments;
    pub use crate::function::address::{address, pointer};
    pub use crate::function::aggregate::{Crossing, Done, Groups, no_operation};
    pub use crate::function::call::{Batch, Call, RowError, Stop};
    #[cfg(target_arch = "wasm32")]
    pub use crate::function::call::{end, end_batch};
    #[cfg(target_arch = "wasm32")]
    pub use crate::function::table::current::CURRENT;
    pub use crate::function::table::{NextCall, TableCall, columns, no_rows, table_call};
    pub use crate::{
        __guest_sdk_aggregate as export_aggregate, __guest_sdk_function as export_function,
        __guest_sdk_table_function as export_table_function,
    };
    #[cfg(target_arch = "wasm32")]
    pub use crate::{
        __guest_sdk_extension as export_extension, __guest_sdk_init as export_init, __guest_sdk_stage as export_stage,
    };

    /// A value that stays for good.
    pub fn leak<T>(value: T) -> &'static mut T {
        Box::leak(Box::new(value))
    }

    /// Whether there is an item.
    #[must_use]
    pub const fn is_some<T>(items: &[T]) -> bool {
        !items.is_empty()
    }
}
