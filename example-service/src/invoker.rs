//! Calls into the guest: a bounded pool of instances, each of which reads the state of one call at a time.

use std::path::Path;
use std::time::Duration;

use guest_abi::Level;
use guest_host::admission::Contract;
use guest_host::{
    AsyncPool, Cause, Engine, EngineConfig, Failure, Function, Guest, InstanceAllocation, InstanceConfig, MemoryState,
    PoolConfig, PoolError, PrepareOptions,
};
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
    /// Bytes of the exchange region; `None` for the default.
    pub exchange: Option<u32>,
}

/// The guest and its instances. Cheap to clone; the clones share the pool.
#[derive(Debug, Clone)]
pub struct Invoker {
    guest: Guest,
    pool: AsyncPool,
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
}

impl Invoker {
    /// Loads the guest from a file and makes its first instance.
    ///
    /// # Errors
    /// An error of `guest-host` if the guest cannot be loaded or instantiated.
    pub async fn new(guest: &Path, limits: CallLimits, metrics: &ServiceMetrics) -> anyhow::Result<Self> {
        let mut engine = EngineConfig::default();
        engine.allocation = InstanceAllocation::pooling(limits.instances);
        let engine = Engine::new(&engine)?;
        let guest = Guest::from_file(&engine, guest, PrepareOptions::default())?;
        // A tenant's records change by intents alone.
        anyhow::ensure!(
            !matches!(guest.admission().contract, Ok(Contract::Bare(_))),
            "{} is a bare module: its functions leave no intents; build an extension with `guest-sdk`",
            guest.name()
        );
        let mut config = InstanceConfig::default();
        config.deadline = Some(limits.deadline);
        config.memory_limit = limits.memory;
        config.exchange_size = limits.exchange;
        config.metrics = Some(metrics.guests.clone());
        let mut size = PoolConfig::default();
        (size.warm, size.max) = (1, limits.instances as usize);
        // Between calls instances read an empty state, so that none keeps a tenant's records.
        let pool = AsyncPool::new(&guest, &config, &size, async || Ok(MemoryState::new())).await?;
        Ok(Self { guest, pool })
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
    /// The guest lets other requests run while it runs. If this future is dropped, the call is given up, and the pool has
    /// another instance in the place of its own.
    ///
    /// # Errors
    /// [`NotCalled`] if there is no instance for it.
    pub async fn invoke(&self, function: Function, state: TenantState, wait: Duration) -> Result<Called, NotCalled> {
        let mut instance = timeout(wait, self.pool.take()).await.map_err(|_| NotCalled::Busy)??;
        instance.set_state(state);
        let intents = instance.invoke(function).await.map(|outcome| outcome.intent_bytes().to_vec());
        let log = instance.last_log().map(|(level, line)| (level, line.to_owned())).collect();
        instance.set_state(MemoryState::new());
        Ok(Called { intents, log })
    }

    /// Makes no more calls.
    pub fn close(&self) {
        self.pool.close();
    }
}
