#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

mod contract;
mod engine;
mod failure;
mod guest;
mod host;
pub mod input;
mod instance;
mod metrics;
mod pool;
pub mod restore;
mod state;
pub mod text;

pub use contract::wasi::{self, WasiConfig};
pub use engine::artefact::{self, ArtefactError, ArtefactKey, ArtefactTrust, CodeOrigin};
pub use engine::{Allocation, CacheUse, CompileCache, Engine, EngineConfig, EngineError, WASMTIME_VERSION};
pub use failure::{Cause, Failure, InvalidData};
pub use guest::admission;
pub use guest::error::LoadError;
pub use guest::{Function, Guest};
pub use guest_abi::Level;
pub use guest_prepare::{self, PrepareOptions, module_info};
pub use host::call::{CallLimits, HostCall, LogLines, TraceEntry};
pub use host::outcome::{AllocationSource, AllocationStats, CallStats, Outcome, Replaced};
#[cfg(feature = "async")]
pub use instance::AsyncInstance;
pub use instance::{Choice, Instance, InstanceConfig, Retention, Status};
pub use metrics::Metrics;
#[cfg(feature = "async")]
pub use pool::{AsyncPool, AsyncPooledInstance};
pub use pool::{Pool, PoolConfig, PoolError, PoolStatus, PooledInstance};
pub use restore::policy::{Residue, RestorePolicy, RestoreStrategy, UnknownName};
pub use restore::snapshot;
#[cfg(feature = "async")]
pub use state::AsyncState;
pub use state::{MemoryState, State, StateError};
