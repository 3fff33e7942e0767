#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

mod argument;
mod declare;
mod error;
mod frame;
mod module;
mod returned;
mod runtime;
mod value;

pub use argument::{Argument, Arguments};
pub use error::FunctionError;
pub use guest_abi::function::{Field, Items, Kind, Scalar, SectionError, Signature, Type, Volatility};
pub use guest_host;
pub use module::{Caller, Function, Module, ModuleConfig};
pub use returned::Returned;
pub use runtime::Runtime;
pub use value::{Date, Decimal, Timestamp, Value, ValueError};
