//! What an embedder decides while guest code runs: whether it goes on, and whether its memory may grow.

use std::fmt;
use std::sync::Arc;

/// Watches over the guest code of an instance, beside the limits of its configuration.
///
/// Its methods are called by the thread that calls the guest, in the middle of the call. They return soon: the guest waits
/// for them, and `is_interrupted` is called with each tick of the engine's clock.
///
/// ```
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicBool, Ordering};
///
/// use guest_host::{Cause, InstanceConfig, Supervise, Supervisor};
///
/// # use guest_host::{Engine, EngineConfig, Guest, MemoryState, PrepareOptions};
/// # let engine = Engine::new(&EngineConfig::default())?;
/// # let wasm = wat::parse_str(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/shop.wat")))?;
/// # let guest = Guest::load(&engine, "shop", &wasm, PrepareOptions::default())?;
/// struct Stop(AtomicBool);
///
/// impl Supervise for Stop {
///     fn is_interrupted(&self) -> bool {
///         self.0.load(Ordering::Relaxed)
///     }
/// }
///
/// let stop = Arc::new(Stop(AtomicBool::new(false)));
/// let config = InstanceConfig::default().with_deadline(None).with_supervisor(Some(Supervisor::new(stop.clone())));
/// let mut instance = guest.instantiate(&config, MemoryState::new())?;
/// let cause = std::thread::scope(|scope| {
///     let call = scope.spawn(|| instance.invoke_by_name("spin").map(drop).unwrap_err().cause);
///     stop.0.store(true, Ordering::Relaxed);
///     call.join().unwrap()
/// });
/// assert!(matches!(cause, Cause::Interrupted));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Supervise: Send + Sync {
    /// Whether the guest must end now. The call fails with [`Cause::Interrupted`](crate::Cause::Interrupted).
    fn is_interrupted(&self) -> bool {
        false
    }

    /// Whether the instance's linear memory may have `bytes` from now on. It is asked before the memory is made, with each
    /// growth, and anew with the first size where the instance is replaced; a growth that the configuration's limit
    /// forbids is not asked for. A guest that is refused memory goes on as at that limit.
    fn grants_memory(&self, bytes: usize) -> bool {
        let _ = bytes;
        true
    }
}

/// A [`Supervise`] that an [`InstanceConfig`](crate::InstanceConfig) holds. Two are equal if they are the same one.
#[derive(Clone)]
pub struct Supervisor(Arc<dyn Supervise>);

impl Supervisor {
    /// Instances that are made with it in their configuration are watched over by `supervise`.
    #[must_use]
    pub fn new(supervise: Arc<dyn Supervise>) -> Self {
        Self(supervise)
    }

    /// As [`Supervise::is_interrupted`].
    #[must_use]
    pub fn is_interrupted(&self) -> bool {
        self.0.is_interrupted()
    }

    /// As [`Supervise::grants_memory`].
    #[must_use]
    pub fn grants_memory(&self, bytes: usize) -> bool {
        self.0.grants_memory(bytes)
    }
}

impl fmt::Debug for Supervisor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Supervisor").finish_non_exhaustive()
    }
}

impl PartialEq for Supervisor {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Supervisor {}
