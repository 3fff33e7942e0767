#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

mod arguments;
mod contract;
mod engine;
mod failure;
mod guest;
mod host;
mod instance;
#[cfg(feature = "metrics")]
mod metrics;
#[cfg(not(feature = "metrics"))]
#[path = "metrics/off.rs"]
mod metrics;
mod pool;
pub mod restore;
mod spans;
mod state;
mod stream;
pub mod text;

/// Memory blocks, which guests hand to each other. See [`Instance::call_stage`].
pub mod blocks {
    #[cfg(feature = "specimens")]
    pub use crate::contract::blocks::BlockSpecimen;
    pub use crate::instance::{AddError, Member, RingGroup};
    pub use guest_blocks::{
        Block, Counts, Frame, Full, JoinError, Mode, PublishError, Reading, ReceiveError, Refused, Subscriber,
        SubscriberMetrics, Topic, TopicMetrics, Violation, Writing,
    };
}

pub use arguments::{ArgumentError, Arguments, MissingArguments};
pub use contract::wasi::{self, WasiConfig};
#[cfg(feature = "artefacts")]
pub use engine::artefact::{self, ArtefactError, ArtefactKey, ArtefactTrust, CodeOrigin};
#[cfg(feature = "compile")]
pub use engine::{CacheUse, CompileCache};
pub use engine::{Engine, EngineConfig, EngineError, InstanceAllocation, WASMTIME_VERSION};
pub use failure::{Cause, Failure, InvalidData};
pub use guest::admission;
pub use guest::error::{AdmissionError, CompileError, ConfigError, InputError, LoadError, StartError};
pub use guest::{Function, Guest};
pub use guest_abi::{self, Level};
pub use guest_image;
pub use guest_prepare::{self, PrepareOptions, module_info};
pub use guest_state::{self, OrderedMap, OrderedMapMut, StoredState, StoredStateError};
pub use host::call::{CallLimits, HostCall, LogLines, TraceEntry};
pub use host::outcome::{AllocationSource, AllocationStats, CallStats, Outcome, Replaced};
pub use host::secrets::Secrets;
pub use host::supervisor::{Supervise, Supervisor};
#[cfg(feature = "async")]
pub use instance::AsyncInstance;
pub use instance::{
    Choice, GuestCall, GuestCallError, Instance, InstanceConfig, ResumeError, Retention, Status, SuspendError,
};
#[cfg(feature = "metrics")]
pub use metrics::Metrics;
#[cfg(feature = "async")]
pub use pool::{AsyncPool, AsyncPooledInstance};
pub use pool::{Pool, PoolConfig, PoolError, PoolStatus, PooledInstance};
pub use restore::policy::{Residue, RestorePolicy, RestoreStrategy, UnknownName};
pub use restore::snapshot;
#[cfg(feature = "async")]
pub use state::AsyncState;
pub use state::{MemoryState, State, StateError};
pub use stream::StreamError;
#[cfg(feature = "async")]
pub use stream::{GuestStream, MOST_AT_ONCE, StreamFuture};
/// wasmtime, in the version that this crate runs guests on. [`Engine::wasmtime`] lends its engine; use this path for what
/// you do with it, and your program cannot end up with two versions.
pub use wasmtime;
/// A WebAssembly value, as [`Instance::globals`] and [`snapshot::Snapshot::globals`] return it.
pub use wasmtime::Val;

#[cfg(test)]
mod tests {
    use super::*;

    /// A type that is `Send`, and one that is `Sync` as well.
    fn is_send<T: Send>() {}
    fn is_shared<T: Send + Sync>() {}

    /// Whether a type is `Sync`: the inherent constant hides that of the trait where it is.
    struct IsSync<T: ?Sized>(std::marker::PhantomData<T>);

    trait Otherwise {
        const FOUND: bool = false;
    }

    impl<T: ?Sized> Otherwise for IsSync<T> {}

    impl<T: ?Sized + Sync> IsSync<T> {
        const FOUND: bool = true;
    }

    #[test]
    fn types_are_shared_between_threads_as_the_book_says() {
        is_shared::<Engine>();
        is_shared::<Guest>();
        is_shared::<Pool>();
        #[cfg(feature = "metrics")]
        is_shared::<Metrics>();
        is_shared::<EngineConfig>();
        is_shared::<InstanceConfig>();
        is_shared::<PoolConfig>();
        is_shared::<PrepareOptions>();
        is_shared::<Secrets>();
        is_shared::<Failure>();
        is_shared::<LoadError>();
        is_shared::<PoolError>();
        is_send::<Instance>();
        is_send::<PooledInstance<'_>>();
        const { assert!(IsSync::<Engine>::FOUND, "the check itself") };
        const { assert!(!IsSync::<Instance>::FOUND && !IsSync::<PooledInstance<'static>>::FOUND) };
        #[cfg(feature = "async")]
        {
            is_shared::<AsyncPool>();
            is_send::<AsyncInstance>();
            is_send::<AsyncPooledInstance>();
            const { assert!(!IsSync::<AsyncInstance>::FOUND && !IsSync::<AsyncPooledInstance>::FOUND) };
        }
    }
}
