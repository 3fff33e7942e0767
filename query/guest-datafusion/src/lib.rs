#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

mod aggregate;
mod describe;
mod error;
mod factory;
mod function;
mod kind;
mod modules;
mod plan;
mod query;
mod resolver;
mod scalar;
mod table;
mod types;

pub use aggregate::WasmAggregateUdf;
pub use datafusion;
pub use error::RegisterError;
pub use factory::WasmFunctionFactory;
pub use function::WasmFunction;
pub use guest_functions;
pub use kind::ModuleFunction;
pub use modules::{WasmModules, register_module};
pub use plan::WasmQueryPlanner;
pub use query::Reading;
pub use resolver::{FolderResolver, ModuleResolver};
pub use scalar::WasmScalarUdf;
pub use table::{WasmTable, WasmTableExec, WasmTableFunction};
