//! Runs, restores, measures and verifies WebAssembly guests on wasmtime.
//!
//! An extension is a pure function that a host calls many times a second. This crate loads such guests, puts each
//! instance back to its snapshot after every call, measures what that costs, and proves that it is right.
//!
//! The modules follow a guest's way: [`module_info`] and [`admission`] look at it, [`prepare`] rewrites it, [`Guest`]
//! is the compiled result, [`Instance`] is one of it in memory with its [`snapshot`], and [`restore`] holds the ways
//! back; a [`Pool`] has instances for many threads. [`measure`], [`verify`], [`replay`] and [`report`] are built on
//! those.
//!
//! ```no_run
//! use host_harness::{Engine, EngineConfig, Guest, InstanceConfig, MemoryState, PrepareOptions, RestoreStrategy};
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

pub mod admission;
mod aligned;
pub mod artefact;
mod call;
pub mod compare;
mod contract;
mod engine;
mod error;
mod failure;
mod footprint;
mod guest;
mod guest_memory;
mod input;
pub mod inspect;
mod instance;
mod limits;
pub mod measure;
mod metrics;
mod outcome;
mod policy;
mod pool;
pub mod replay;
pub mod report;
pub mod restore;
pub mod snapshot;
mod state;
pub mod verify;
pub mod wasi;
mod window;

pub use artefact::{ArtefactError, ArtefactKey, ArtefactTrust, CodeOrigin};
pub use call::{CallLimits, HostCall, LogLines, TraceEntry};
pub use engine::{Allocation, CacheUse, CompileCache, Engine, EngineConfig};
pub use error::LoadError;
pub use failure::{Cause, Failure, InvalidData};
pub use guest::{Function, Guest};
pub use guest_abi::Level;
pub use instance::{Choice, Instance, InstanceConfig, Retention, Status};
pub use metrics::Metrics;
pub use outcome::{AllocationSource, AllocationStats, CallStats, Outcome, Replaced};
pub use policy::{Residue, RestorePolicy, RestoreStrategy, UnknownName};
pub use pool::{Pool, PoolConfig, PoolError, PoolStatus, PooledInstance};
pub use state::{MemoryState, State, StateError, StateFileError, load_state_file, parse_state};
pub use wasi::WasiConfig;
