#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

mod calls;
mod codec;
mod frame;
mod function_codec;
mod logging;
mod node;
mod opaque;
mod opaque_table;
mod payload;
#[cfg(feature = "scheduler")]
pub mod scheduler;
mod table;
mod wire;

pub use calls::Calls;
pub use codec::{WasmCodec, WasmLogicalCodec, WasmPhysicalCodec};
pub use function_codec::FunctionCodec;
pub use logging::{log_level, log_to_stderr};
pub use opaque::{OpaqueFunctions, OpaqueUdf};
pub use opaque_table::{OpaqueTable, OpaqueTableExec};
pub use payload::{
    Column, FunctionKind, Limits, ModuleReference, Parameter, Payload, PayloadError, Planning, Source, hash, hex,
};
pub use table::{TableCall, TableScan};
