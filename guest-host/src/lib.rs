//! Runs WebAssembly guests on wasmtime and puts each instance back to its snapshot after every call.
//!
//! An extension is a pure function that a host calls many times a second. Every call of it starts from a pristine
//! instance: this crate loads guests, calls them, and restores the instance.
//!
//! The modules follow a guest's way: [`guest_prepare`] analyses and rewrites it, [`admission`] decides whether and how it
//! can be restored, [`Guest`] is the compiled result, [`Instance`] is one of it in memory with its [`snapshot`], and
//! [`restore`] holds the ways back. A [`Pool`] has instances for many threads.
//!
//! ```no_run
//! use guest_host::{Engine, EngineConfig, Guest, InstanceConfig, MemoryState, PrepareOptions, RestoreStrategy};
//!
//! let engine = Engine::new(&EngineConfig::default())?;
//! let guest = Guest::from_file(&engine, "shop.wasm".as_ref(), PrepareOptions::default())?;
//! let mut config = InstanceConfig::default();
//! config.strategy = RestoreStrategy::BumpReset;
//! let mut instance = guest.instantiate(&config, MemoryState::new())?;
//! let count_up = guest.function("count_up")?;
//! let outcome = instance.invoke(count_up)?;
//! println!("{} intents", outcome.intents().count());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

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
pub use instance::{Choice, Instance, InstanceConfig, Retention, Status};
pub use metrics::Metrics;
pub use pool::{Pool, PoolConfig, PoolError, PoolStatus, PooledInstance};
pub use restore::policy::{Residue, RestorePolicy, RestoreStrategy, UnknownName};
pub use restore::snapshot;
pub use state::{MemoryState, State, StateError};
