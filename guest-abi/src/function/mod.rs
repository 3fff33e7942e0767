//! Functions with typed arguments and a typed result: their types, their signatures, and how they cross.
//!
//! A guest declares each of its functions in the custom section [`SECTION`], so that a host can list and check them without
//! running anything. [`Declaration`] writes an entry at compile time; [`read_section`] reads the entries of a module.
//!
//! # Calls of one row
//!
//! A function `name` is exported as [`EXPORT_ROW`] followed by its name. Each parameter is one or more WebAssembly
//! parameters, in this order:
//!
//! | type | crosses as |
//! |---|---|
//! | `bool`, `i32`, date | an `i32`; a truth value is 0 or 1 |
//! | `i64`, `u64`, timestamp | an `i64` |
//! | `f32`, `f64` | an `f32`, an `f64` |
//! | decimal | two `i64`: the lower half, the upper half |
//! | string, bytes, record, document | two `i32`: address and length in bytes |
//! | list | an `i32`: the address of the [`Column`](crate::column::Column) of its items |
//! | nullable | an `i32` that is 1 for a value and 0 for null, and then as above; for null the rest is 0 |
//!
//! A result that is one number and cannot be null is returned as that number. Every other result is returned as an `i64`
//! that [packs](crate::names::pack) an address and a length: the bytes of a string, of bytes, of a record or of a document;
//! the little-endian bytes of a number; or the address of a list's column and 0. It is [`RESULT_NULL`] for null.
//!
//! A function that fails reports its error through [`IMPORT_FAIL`](crate::names::IMPORT_FAIL) before it returns. Its result
//! has no meaning then.
//!
//! # Calls of many rows
//!
//! The same function is exported as [`EXPORT_BATCH`] followed by its name, with the type `(rows: i32, columns: i32, result:
//! i32) -> i32`. `columns` is the address of as many [`Column`](crate::column::Column)s as there are parameters, one behind
//! the other, and `result` that of one more. [The guest](crate::column) fills the result. It returns [`BATCH_DONE`], or the
//! number of the row that reported an error. The column of the result has no meaning then.
//!
//! # Null
//!
//! Each parameter of a nullable type takes null. Where an argument is null and its parameter does not take that, the function is
//! not called for the row. If the function is [strict](Declaration::strict), the row's result is null, whatever the result's
//! type; otherwise the call fails. In a call of one row the host sees to both, as such an argument cannot cross. In a call of
//! many rows the guest does: it leaves the row's bit of the result's `validity` 0, or reports
//! [`ErrorCode::WrongType`](crate::ErrorCode::WrongType) and returns the row's number.

mod declaration;
#[cfg(feature = "alloc")]
mod section;
mod types;

pub use declaration::Declaration;
#[cfg(feature = "alloc")]
pub use section::{Field, SectionError, Signature, read_section};
pub use types::{Items, Kind, Scalar, Type, Volatility};

/// Name of the custom section with the signatures. Linkers join sections of one name.
pub const SECTION: &str = "guest-functions";

/// Version of an entry of the section.
pub const SECTION_VERSION: u32 = 1;

/// Begins the export of a function that is called for one row.
pub const EXPORT_ROW: &str = "__guest_function_";

/// Begins the export of a function that is called for many rows.
pub const EXPORT_BATCH: &str = "__guest_batch_";

/// A result that is null.
pub const RESULT_NULL: i64 = -1;

/// The result of a batch of which no row failed.
pub const BATCH_DONE: i32 = -1;
