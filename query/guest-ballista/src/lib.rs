#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

mod cache;
mod error;
pub mod executor;
mod functions;
mod interrupt;
mod limits;
mod session;
mod store;

pub use error::FunctionCodecError;
pub use functions::WasmFunctions;
pub use guest_ballista_plan::{Limits, WasmLogicalCodec, WasmPhysicalCodec};
pub use guest_datafusion;
pub use interrupt::InterruptingEngine;
pub use limits::Most;
pub use object_store;
pub use session::{RemoteSession, SessionError};
pub use store::{ModuleStore, StoreError};
