#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

mod calls;
mod codec;
mod frame;
mod function_codec;
mod node;
mod opaque;
mod opaque_functions;
mod opaque_table;
mod payload;
#[cfg(feature = "program")]
pub mod program;
#[cfg(feature = "scheduler")]
pub mod scheduler;
mod table;
#[cfg(feature = "scheduler")]
mod windows;
mod wire;

pub use calls::Calls;
pub use codec::{WasmCodec, WasmLogicalCodec, WasmPhysicalCodec};
pub use function_codec::FunctionCodec;
pub use opaque::OpaqueUdf;
pub use opaque_functions::OpaqueFunctions;
pub use opaque_table::{OpaqueTable, OpaqueTableExec};
pub use payload::{
    Column, FunctionKind, Limits, ModuleReference, Parameter, Payload, PayloadError, Planning, Source, hash, hex,
};
pub use table::{TableCall, TableScan};
