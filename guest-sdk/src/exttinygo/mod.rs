//! The exttinygo contract, version 0.0.1: values are handles of the host, and each field that is read or written is a
//! call to it.
//!
//! It is compiled for wasm32 alone; an extension's native tests run over the native contract, whatever the features say.

#[cfg(any(feature = "alloc-leaking", feature = "alloc-bump-reset", feature = "alloc-freelist", feature = "alloc-wee"))]
mod allocator;
mod call;
pub(crate) mod exports;
mod heap;
mod imports;
mod key;
mod output;
mod rows;
#[cfg(all(
    feature = "counters",
    any(feature = "alloc-leaking", feature = "alloc-bump-reset", feature = "alloc-freelist", feature = "alloc-wee")
))]
mod statistics;
mod value;
mod writer;

#[cfg(any(
    feature = "alloc-leaking",
    feature = "alloc-bump-reset",
    feature = "alloc-freelist",
    feature = "alloc-wee"
))]
pub(crate) use allocator::{Global, global};
pub(crate) use call::Call;
pub(crate) use key::{key_i32, key_i64};
pub(crate) use output::log;
#[cfg(any(feature = "std", feature = "panic-handler"))]
pub(crate) use output::panic;
pub use rows::{Row, Rows};
pub use value::{Item, Items, RowKey, Value};
pub use writer::IntentWriter;
