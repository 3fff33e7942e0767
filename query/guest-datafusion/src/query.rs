//! A query that calls functions: whether it goes on, and the instances that it has.
//!
//! A plan gets a [`Query`] when it is made, and its functions instances of their own. Both end with the plan.

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use datafusion::error::DataFusionError;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use guest_functions::guest_host::{Cause, MemoryState, PoolConfig, Supervise, Supervisor};
use guest_functions::{FunctionError, Module};

use crate::kind::ModuleFunction;

/// Digits of a module's hash that names show.
const SHOWN: usize = 8;

/// The first digits of a module's hash.
pub(crate) fn short_hash(module: &Module) -> String {
    module.hash().iter().take(SHOWN / 2).map(|byte| format!("{byte:02x}")).collect()
}

/// What the functions of one plan share.
pub(crate) struct Query {
    /// Whether somebody has read results.
    has_begun: AtomicBool,
    /// Streams of results that somebody has.
    streams: AtomicUsize,
    memory: Arc<dyn MemoryPool>,
}

impl fmt::Debug for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Query").field("is_over", &self.is_over()).finish_non_exhaustive()
    }
}

impl Query {
    /// A query whose instances are charged to this pool.
    pub(crate) fn new(memory: Arc<dyn MemoryPool>) -> Arc<Self> {
        Arc::new(Self { has_begun: AtomicBool::new(false), streams: AtomicUsize::new(0), memory })
    }

    /// Somebody begins to read results.
    pub(crate) fn begin(self: &Arc<Self>) -> Reading {
        self.streams.fetch_add(1, Ordering::SeqCst);
        self.has_begun.store(true, Ordering::SeqCst);
        Reading(Arc::clone(self))
    }

    /// Whether nobody reads results any more.
    fn is_over(&self) -> bool {
        self.has_begun.load(Ordering::SeqCst) && self.streams.load(Ordering::SeqCst) == 0
    }
}

/// Somebody reads the results of a query. With the last one, its guests end.
#[derive(Debug)]
pub struct Reading(Arc<Query>);

impl Drop for Reading {
    fn drop(&mut self) {
        self.0.streams.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The modules of a query's functions, each with instances of its own for the query.
pub(crate) struct Instances {
    query: Arc<Query>,
    /// Each as it was loaded, and with instances of the query.
    modules: Vec<(Module, Module)>,
}

impl Instances {
    pub(crate) fn new(query: Arc<Query>) -> Self {
        Self { query, modules: Vec::new() }
    }

    /// The query.
    pub(crate) fn query(&self) -> &Arc<Query> {
        &self.query
    }

    /// Whether no function was asked for.
    pub(crate) fn is_empty(&self) -> bool {
        self.modules.is_empty()
    }

    /// The function on instances of the query. Those of one module share them.
    ///
    /// # Errors
    /// As for [`Module::with_instances`].
    pub(crate) fn function<F: ModuleFunction>(&mut self, function: &F) -> Result<F, FunctionError> {
        F::find(&self.module(function.module())?, &function.signature().name)
    }

    fn module(&mut self, module: &Module) -> Result<Module, FunctionError> {
        if let Some((_, of_query)) = self.modules.iter().find(|(loaded, _)| loaded.is_same(module)) {
            return Ok(of_query.clone());
        }
        let of_query = of_query(module, &self.query)?;
        self.modules.push((module.clone(), of_query.clone()));
        Ok(of_query)
    }
}

/// The module with instances that are charged to the query's memory, and end with it.
fn of_query(module: &Module, query: &Arc<Query>) -> Result<Module, FunctionError> {
    let name = format!("WebAssembly module {}@{}", module.name(), short_hash(module));
    let query = Arc::clone(query);
    // An instance is made where a thread calls and none is idle, so there are never more than threads that call at a time.
    let restores = module.config().pool.restore_on_return;
    let pool = PoolConfig::default().with_warm(0).with_max(usize::MAX).with_restore_on_return(restores);
    module.with_instances(&pool, move |guest, config| {
        let reservation = MemoryConsumer::new(name.as_str()).register(&query.memory);
        let charge = Charge { query: Arc::clone(&query), reservation, of_module: config.supervisor.clone() };
        let config = config.clone().with_supervisor(Some(Supervisor::new(Arc::new(charge))));
        Ok(guest.instantiate(&config, MemoryState::new())?)
    })
}

/// What an instance costs, and the query that pays for it.
struct Charge {
    query: Arc<Query>,
    reservation: MemoryReservation,
    /// The supervisor that the module was loaded with.
    of_module: Option<Supervisor>,
}

thread_local! {
    /// Why the instance that this thread calls, or makes, was refused memory.
    static REFUSED: RefCell<Option<DataFusionError>> = const { RefCell::new(None) };
}

impl Supervise for Charge {
    fn is_interrupted(&self) -> bool {
        self.query.is_over() || self.of_module.as_ref().is_some_and(Supervisor::is_interrupted)
    }

    fn grants_memory(&self, bytes: usize) -> bool {
        if !self.of_module.as_ref().is_none_or(|supervisor| supervisor.grants_memory(bytes)) {
            return false;
        }
        match self.reservation.try_resize(bytes) {
            Ok(()) => true,
            Err(error) => {
                REFUSED.set(Some(error));
                false
            }
        }
    }
}

/// Calls a function by `call`. The error is [`DataFusionError::ResourcesExhausted`] where it failed because the query's
/// memory is used up, and a [`FunctionError`] otherwise. `name` is that of the function.
pub(crate) fn charged<T>(name: &str, call: impl FnOnce() -> Result<T, FunctionError>) -> Result<T, DataFusionError> {
    REFUSED.set(None);
    call().map_err(|error| match REFUSED.take() {
        Some(refused) if lacks_memory(&error) => {
            let reason = match refused {
                DataFusionError::ResourcesExhausted(reason) => reason,
                other => other.to_string(),
            };
            DataFusionError::ResourcesExhausted(format!("no memory for the WebAssembly function `{name}`: {reason}"))
        }
        _ => DataFusionError::External(Box::new(error)),
    })
}

/// Whether the error can be that of an instance which was refused memory.
fn lacks_memory(error: &FunctionError) -> bool {
    let cause = match error {
        FunctionError::Call(failure) | FunctionError::Row { failure, .. } => &failure.cause,
        // No instance was made.
        error => return matches!(error, FunctionError::Load(_)),
    };
    matches!(cause, Cause::OutOfMemory { .. } | Cause::NotRestorable { .. })
}
