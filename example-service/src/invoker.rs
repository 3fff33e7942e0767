//! Calls into the guest: a bounded pool of instances, each of which reads the state of one call at a time.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use guest_abi::Level;
use guest_host::{
    Allocation, Cause, Engine, EngineConfig, Failure, Function, Guest, InstanceConfig, MemoryState, Pool, PoolConfig,
    PoolError, PrepareOptions,
};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::metrics::ServiceMetrics;
use crate::state::TenantState;

/// Limits on calls.
#[derive(Debug, Clone, Copy)]
pub struct CallLimits {
    /// Calls that run at the same time.
    pub instances: u32,
    /// How long a call may take.
    pub deadline: Duration,
    /// Bytes of memory that a call may have.
    pub memory: u64,
}

/// The guest and its instances. Cheap to clone; the clones share the pool.
#[derive(Debug, Clone)]
pub struct Invoker {
    guest: Guest,
    pool: Pool,
    /// One for each instance, so that no thread waits for an instance.
    instances: Arc<Semaphore>,
}

/// The outcome of a call.
#[derive(Debug)]
pub struct Called {
    /// Intents in their wire form, if the call succeeded.
    pub intents: Result<Vec<u8>, Failure>,
    /// Log lines, whether or not it succeeded.
    pub log: Vec<(Level, String)>,
}

/// Why there was no call.
#[derive(Debug, thiserror::Error)]
pub enum NotCalled {
    /// All instances stayed in use.
    #[error("all instances are in use; try again later")]
    Busy,
    /// There is no instance, and none could be made.
    #[error(transparent)]
    Pool(#[from] PoolError),
    /// The thread of the call panicked.
    #[error("the call was lost")]
    Lost,
}

impl Invoker {
    /// Loads the guest from a file and makes its first instance.
    ///
    /// # Errors
    /// An error of `guest-host` if the guest cannot be loaded or instantiated.
    pub fn new(guest: &Path, limits: CallLimits, metrics: &ServiceMetrics) -> anyhow::Result<Self> {
        let mut engine = EngineConfig::default();
        engine.allocation = Allocation::pooling(limits.instances);
        let engine = Engine::new(&engine)?;
        let guest = Guest::from_file(&engine, guest, PrepareOptions::default())?;
        let mut config = InstanceConfig::default();
        config.deadline = Some(limits.deadline);
        config.memory_limit = limits.memory;
        config.metrics = Some(metrics.guests.clone());
        let mut size = PoolConfig::default();
        (size.warm, size.max) = (1, limits.instances as usize);
        // Between calls instances read an empty state, so that none keeps a tenant's records.
        let pool = Pool::new(&guest, &config, &size, || Ok(MemoryState::new()))?;
        Ok(Self { guest, pool, instances: Arc::new(Semaphore::new(size.max)) })
    }

    /// The function of this name.
    ///
    /// # Errors
    /// [`Cause::MissingExport`], which names similar functions.
    pub fn function(&self, name: &str) -> Result<Function, Cause> {
        self.guest.function(name)
    }

    /// Invokes a function, with `state` for it to read. Waits at most `wait` for an instance.
    ///
    /// The call runs on a thread of its own and goes on if this future is dropped; its deadline ends it.
    ///
    /// # Errors
    /// [`NotCalled`] if there is no instance for it.
    pub async fn invoke(&self, function: Function, state: TenantState, wait: Duration) -> Result<Called, NotCalled> {
        let permit = match timeout(wait, Arc::clone(&self.instances).acquire_owned()).await {
            Ok(Ok(permit)) => permit,
            Ok(Err(_)) | Err(_) => return Err(NotCalled::Busy),
        };
        let pool = self.pool.clone();
        let called = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let mut instance = pool.take()?;
            instance.set_state(state);
            let intents = instance.invoke(function).map(|outcome| outcome.intent_bytes().to_vec());
            let log = instance.last_log().map(|(level, line)| (level, line.to_owned())).collect();
            instance.set_state(MemoryState::new());
            Ok(Called { intents, log })
        });
        called.await.map_err(|_| NotCalled::Lost)?
    }

    /// Makes no more calls.
    pub fn close(&self) {
        self.pool.close();
    }
}
