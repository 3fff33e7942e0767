//! Typed functions: those that a query engine or another program calls with typed arguments.
//!
//! `#[function]` exports a function twice, for one row and for many, and declares its signature in the module, where a host
//! reads it without running anything. [`guest_abi::function`] says how arguments and results cross.
//!
//! ```
//! use guest_sdk::function;
//! use guest_sdk::function::Function;
//!
//! /// The greatest common divisor.
//! #[function]
//! fn gcd(mut a: i64, mut b: i64) -> i64 {
//!     while b != 0 {
//!         (a, b) = (b, a.wrapping_rem(b));
//!     }
//!     a
//! }
//!
//! // It is the function that it was, and tests call it.
//! assert_eq!(gcd(12, 18), 6);
//! // What the section says is there natively too.
//! assert_eq!(__guest_function_gcd::DECLARATION.documentation, "The greatest common divisor.");
//! ```
//!
//! # Types
//!
//! | type in a signature | parameter | result |
//! |---|---|---|
//! | `bool`, `i32`, `i64`, `u64`, `f32`, `f64` | the same | the same |
//! | date, timestamp, decimal | [`Date`], [`Timestamp`], [`Decimal`] | the same |
//! | string | `&str` | `&str`, `String` |
//! | bytes | `&[u8]` | `&[u8]`, `Vec<u8>` |
//! | list | [`List`], or a slice of `i32`, `i64`, `u64`, `f32` or `f64` | `Vec` of all of the above, or of `Option` of them |
//! | record | `Record` (feature `minicbor`) | the same |
//! | document | [`Document`](crate::Document) | the same, [`DocumentBuf`](crate::DocumentBuf) |
//! | nullable | `Option` of all these | `Option` of all these |
//!
//! A result may also be a `Result` with an error that becomes an [`Error`](crate::Error). Arguments are borrowed from the
//! host's memory for the length of the call, without a copy: `&str`, slices and lists cannot be kept. `Record` is decoded.
//!
//! # Aggregates and table functions
//!
//! `#[aggregate]` makes the methods of a type an aggregate: [`State`] says how the type crosses between batches.
//! `#[table_function]` makes a function that returns an iterator one that gives a table: [`TableRow`] is one of its rows.
//!
//! # Null
//!
//! A parameter that is an `Option` takes null. For any other parameter, a function is *strict* unless its attribute says
//! `strict = false`:
//!
//! - strict: where an argument is null, the result is null and the function is not called;
//! - not strict: where an argument is null, the call fails, with an error that names the parameter.
//!
//! In a call of one row the host sees to both. In a call of many rows the SDK does, so the host passes a validity bitmap for
//! the results of a strict function if a column may have a null.
//!
//! # Memory
//!
//! Numbers take no heap. Strings, bytes, lists and records in a result, and numbers that may be null, lie in memory that the
//! guest leaves to the host: the host reads them and then restores the guest's memory.

pub(crate) mod address;
pub(crate) mod aggregate;
mod answer;
mod byte_rows;
pub(crate) mod call;
mod column;
mod document;
mod items;
mod list;
mod output;
mod param;
#[cfg(feature = "minicbor")]
mod record;
mod state;
pub(crate) mod table;
mod types;

pub use aggregate::{Aggregate, Done};
#[doc(hidden)]
pub use answer::Answer;
pub(crate) use byte_rows::ByteRows;
pub use call::Function;
pub use items::{Item, ItemValue};
pub use list::{List, ListItem, ListIter};
pub use output::{FixedWidth, Output, Return};
pub use param::{Datum, DatumType, Param, ParamType, Slot};
#[cfg(feature = "minicbor")]
pub use record::Record;
pub use state::State;
pub use table::{TableFunction, TableRow};
pub use types::{Date, Decimal, Timestamp};
