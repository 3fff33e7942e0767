#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

mod argument;
#[cfg(feature = "arrow")]
mod batch;
mod declare;
mod document;
mod error;
mod frame;
mod functions;
mod memory;
mod module;
mod returned;
mod runtime;
mod shape;
mod value;
#[cfg(feature = "json")]
pub mod wire;

pub use argument::{Argument, Arguments};
#[cfg(feature = "arrow")]
pub use batch::{Aggregate, Columnar, GroupStates, TableFunction, TableRows, array_of, data_type, value_at};
pub use error::FunctionError;
pub use guest_abi::document::{Document, DocumentBuf, FieldError, JsonError, JsonOptions};
pub use guest_abi::function::{Field, Items, Kind, Scalar, SectionError, Signature, Type, Volatility};
pub use guest_host;
pub use module::{Caller, Function, Module, ModuleConfig, Pristine, hash};
pub use returned::Returned;
pub use runtime::Runtime;
pub use value::{Date, Decimal, Timestamp, Value, ValueError};
