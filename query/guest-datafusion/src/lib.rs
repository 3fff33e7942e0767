#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

mod error;
mod factory;
mod modules;
mod plan;
mod query;
mod resolver;
mod scalar;
mod types;

pub use datafusion;
pub use error::RegisterError;
pub use factory::WasmFunctionFactory;
pub use guest_functions;
pub use modules::{WasmModules, register_module};
pub use plan::WasmQueryPlanner;
pub use resolver::{FolderResolver, ModuleResolver};
pub use scalar::WasmScalarUdf;
