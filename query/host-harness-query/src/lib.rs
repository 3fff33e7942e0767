#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

mod arguments;
mod error;
mod modules;
mod output;
mod progress;
mod query;
mod table;
mod values;

pub use arguments::{Format, Pristine, QueryArguments};
pub use error::Error;
pub use modules::ModuleFile;
pub use progress::Place;
pub use query::{execute, run};
pub use table::{Table, register_tables};
pub use values::{Deadline, size};
