#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

mod codec;
mod function_codec;
mod logging;
mod node;
mod opaque;
mod payload;
#[cfg(feature = "scheduler")]
pub mod scheduler;
mod wire;

pub use codec::{WasmLogicalCodec, WasmPhysicalCodec};
pub use function_codec::FunctionCodec;
pub use logging::{log_level, log_to_stderr};
pub use opaque::{OpaqueFunctions, OpaqueUdf};
pub use payload::{Limits, ModuleReference, Parameter, Payload, PayloadError, Planning, Source, hash, hex};
