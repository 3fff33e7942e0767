//! Functions with typed arguments and a typed result: their types, their signatures, and how they cross.
//!
//! A guest declares each of its functions in the custom section [`SECTION`], so that a host can list and check them without
//! running anything. [`Declaration`] writes an entry at compile time; `read_section` reads the entries of a module.
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
//! # Aggregates
//!
//! An aggregate gives one result for a group of rows. The host keeps its states, one for each group, as bytes that it does not
//! read, so that each crossing can begin on a pristine instance. An aggregate `name` is exported as [`EXPORT_AGGREGATE`]
//! followed by its name, with the type `(operation: i32, rows: i32, columns: i32, groups: i32, count: i32, states: i32, result:
//! i32) -> i32`. [`Operation`] says what is done:
//!
//! | operation | `rows`, `columns` | `result` |
//! |---|---|---|
//! | [`Accumulate`](Operation::Accumulate), [`Retract`](Operation::Retract) | the arguments, as in a call of many rows | the new states |
//! | [`Merge`](Operation::Merge) | one column of bytes: states of the same aggregate, which may be null | the new states |
//! | [`Evaluate`](Operation::Evaluate) | 0, 0 | the result of each state |
//!
//! `states` is the address of a column of bytes with `count` rows: the states. Null is the state of a group of no rows, here
//! and among the states that are merged. `groups` is the address of an unsigned 32-bit number for each row: the number of the state that the row
//! belongs to; 0 says that all rows belong to the first state. New states are a column of bytes with `count` rows, of which
//! none is null.
//!
//! The bytes of a state begin with the state's version, as 4 little-endian bytes: the one that the signature has. A guest
//! reports [`ErrorCode::Malformed`](crate::ErrorCode::Malformed) for a state that it cannot read.
//!
//! The guest returns [`BATCH_DONE`], or the number of the row that reported an error; for `Evaluate`, of the state. A row of
//! which an argument is null that its parameter does not take is left out if the aggregate is strict, and an error otherwise.
//!
//! # Table functions
//!
//! A table function gives any number of rows for a call. It is exported as [`EXPORT_TABLE`] followed by its name, with the
//! type `(most: i32, columns: i32, results: i32) -> i32`. A call is several crossings without a restore in between: the
//! first passes in `columns` the address of the arguments, columns of one row as in a call of many rows, which stay where they
//! are until the call is over; those after it pass 0. `results` is the address of as many columns as the signature has
//! results, each with room for `most` rows, which is at least 1.
//!
//! The guest writes at most `most` rows and returns their number, also as the `rows` of each column; 0 says that there are no
//! more, and that the guest is not called again. It returns [`TABLE_FAILED`] after it has reported an error. Of a strict table
//! function, null for a parameter that does not take it gives no rows.
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
pub use types::{Items, Kind, Operation, Scalar, Type, Volatility};

/// Name of the custom section with the signatures. Linkers join sections of one name.
pub const SECTION: &str = "guest-functions";

/// Version of an entry of the section.
pub const SECTION_VERSION: u32 = 1;

/// Begins the export of a function that is called for one row.
pub const EXPORT_ROW: &str = "__guest_function_";

/// Begins the export of a function that is called for many rows.
pub const EXPORT_BATCH: &str = "__guest_batch_";

/// Begins the export of an aggregate.
pub const EXPORT_AGGREGATE: &str = "__guest_aggregate_";

/// Begins the export of a table function.
pub const EXPORT_TABLE: &str = "__guest_table_";

/// A result that is null.
pub const RESULT_NULL: i64 = -1;

/// The result of a batch of which no row failed.
pub const BATCH_DONE: i32 = -1;

/// The result of a table function that reported an error.
pub const TABLE_FAILED: i32 = -1;
