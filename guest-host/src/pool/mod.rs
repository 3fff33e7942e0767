//! A pool of instances of one guest, for many threads.
//!
//! Threads take instances out and the guard gives them back. This file knows what an instance is worth when it comes
//! back; who gets it then is for `object_pool`.

#[cfg(feature = "async")]
mod awaiting;
mod error;
mod object_pool;
mod slot;

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::engine::InstanceAllocation;
use crate::guest::Guest;
use crate::instance::{Instance, InstanceConfig, Status};
use crate::state::{State, StateError};

#[cfg(feature = "async")]
pub use awaiting::{AsyncPool, AsyncPooledInstance};
pub use error::PoolError;
use object_pool::{Counts, Grant, ObjectPool, Patience, TakeError};

/// How many instances a [`Pool`] has, and what becomes of those that come back.
///
/// ```
/// use guest_host::PoolConfig;
///
/// // Two instances before the first request, and never more than 8.
/// let config = PoolConfig::default().with_warm(2).with_max(8);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
#[non_exhaustive]
pub struct PoolConfig {
    /// Instances that are made before the first is taken.
    pub warm: usize,
    /// Instances that there may be at the same time; those beyond `warm` are made when they are needed. Give the engine
    /// memory for as many ([`InstanceAllocation::Pooling`]), and for those besides the pool.
    pub max: usize,
    /// Whether an instance that is not as its snapshot has it is restored when it comes back, which it can be under a
    /// lazy [`RestorePolicy`](crate::RestorePolicy) only. Without, whoever takes it next finds in guest memory what
    /// earlier calls left there.
    pub restore_on_return: bool,
}

impl PoolConfig {
    guest_prepare::setters! {
        /// Sets [`Self::warm`].
        with_warm(warm: usize);
        /// Sets [`Self::max`].
        with_max(max: usize);
        /// Sets [`Self::restore_on_return`].
        with_restore_on_return(restore_on_return: bool);
    }
}

impl Default for PoolConfig {
    fn default() -> Self {
        Self { warm: 1, max: 16, restore_on_return: true }
    }
}

/// The numbers of a pool at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct PoolStatus {
    /// Instances that exist or are being made.
    pub instances: usize,
    /// Of those, the ones that nobody has.
    pub idle: usize,
    /// Threads that wait for one.
    pub waiting: usize,
}

impl From<Counts> for PoolStatus {
    fn from(counts: Counts) -> Self {
        Self { instances: counts.total, idle: counts.idle, waiting: counts.waiting }
    }
}

/// Instances of one guest, which many threads take and give back. Cheap to clone; all clones are the same pool.
///
/// An instance that is taken is [`Status::Ready`] and, unless [`PoolConfig::restore_on_return`] is off, as its snapshot
/// has it. One that comes back poisoned, whose borrower panicked, or that cannot be restored is dropped, and another
/// is made when it is needed.
///
/// Whoever waits is served in the order of coming. Taking and giving back take some nanoseconds when an instance that
/// the thread gave back itself is idle. No lock is held while an instance is made, restored or dropped.
///
/// ```no_run
/// use guest_host::{Engine, EngineConfig, Guest, InstanceConfig, MemoryState, Pool, PoolConfig, PrepareOptions};
///
/// let engine = Engine::new(&EngineConfig::default())?;
/// let guest = Guest::from_file(&engine, "shop.wasm".as_ref(), PrepareOptions::default())?;
/// let count_up = guest.function("count_up")?;
/// let pool = Pool::new(&guest, &InstanceConfig::default(), &PoolConfig::default(), || Ok(MemoryState::new()))?;
/// std::thread::scope(|scope| {
///     for _ in 0..4 {
///         scope.spawn(|| {
///             let mut instance = pool.take()?;
///             let intents = instance.invoke(count_up).map(|outcome| outcome.intents().count());
///             println!("{intents:?}");
///             Ok::<(), guest_host::PoolError>(())
///         });
///     }
/// });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Pool {
    shared: Arc<Shared>,
}

// What a panic leaves half-done is never lent again, and the closure that makes instances is one that must stand being
// called after it panicked.
impl UnwindSafe for Pool {}
impl RefUnwindSafe for Pool {}

struct Shared {
    objects: ObjectPool<Instance>,
    config: PoolConfig,
    make: Box<Make>,
}

type Make = dyn Fn() -> Result<Instance, PoolError> + Send + Sync;

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("objects", &self.objects).field("config", &self.config).finish_non_exhaustive()
    }
}

impl Pool {
    /// A pool of instances of `guest`, each with a state of its own from `state`, which is called by the thread that needs
    /// a new instance; several threads may be in it at the same time.
    ///
    /// # Errors
    /// [`PoolError::SizeZero`], [`PoolError::WarmAboveMax`] or [`PoolError::AboveEngine`] where `pool` makes no sense;
    /// [`PoolError::State`] and [`PoolError::Load`] when the first instances could not be made.
    pub fn new<S, F>(guest: &Guest, instance: &InstanceConfig, pool: &PoolConfig, state: F) -> Result<Self, PoolError>
    where
        S: State + 'static,
        F: Fn() -> Result<S, StateError> + Send + Sync + 'static,
    {
        check_engine(guest, pool)?;
        let (guest, config) = (guest.clone(), instance.clone());
        Self::with(pool, move || Ok(guest.instantiate(&config, state().map_err(PoolError::State)?)?))
    }

    /// A pool of what `make` makes, for instance with a restore of the embedder's own. It is called by the thread that
    /// needs a new instance; several threads may be in it at the same time.
    ///
    /// # Errors
    /// As for [`Pool::new`], and those of `make`.
    pub fn with(
        config: &PoolConfig,
        make: impl Fn() -> Result<Instance, PoolError> + Send + Sync + 'static,
    ) -> Result<Self, PoolError> {
        check(config)?;
        let shared = Shared { objects: ObjectPool::new(config.max), config: config.clone(), make: Box::new(make) };
        let pool = Self { shared: Arc::new(shared) };
        pool.warm_up()?;
        Ok(pool)
    }

    /// How the pool was made.
    #[must_use]
    pub fn config(&self) -> &PoolConfig {
        &self.shared.config
    }

    /// Takes an instance: an idle one, or a new one, or when there are as many as there may be, the next that comes back.
    ///
    /// A thread that waits while it holds another instance of the same pool may wait for ever.
    ///
    /// # Errors
    /// [`PoolError::Closed`]; [`PoolError::State`] and [`PoolError::Load`] when a new instance could not be made.
    #[inline]
    pub fn take(&self) -> Result<PooledInstance<'_>, PoolError> {
        self.take_with(Patience::Endless)
    }

    /// Takes an instance as [`Pool::take`] does, but waits at most for this long. An instance that has to be made may
    /// take longer.
    ///
    /// # Errors
    /// As for [`Pool::take`], and [`PoolError::TimedOut`].
    #[inline]
    pub fn take_within(&self, limit: Duration) -> Result<PooledInstance<'_>, PoolError> {
        self.take_with(Patience::UpTo(limit))
    }

    /// Takes an instance as [`Pool::take`] does, but does not wait for one to come back.
    ///
    /// # Errors
    /// As for [`Pool::take`], and [`PoolError::Exhausted`].
    #[inline]
    pub fn try_take(&self) -> Result<PooledInstance<'_>, PoolError> {
        self.take_with(Patience::None)
    }

    /// Makes the instances that are missing to [`PoolConfig::warm`], as after some were lost, and returns how many it made.
    ///
    /// # Errors
    /// As for [`Pool::take`]; those that were made until then stay.
    pub fn warm_up(&self) -> Result<usize, PoolError> {
        let objects = &self.shared.objects;
        let mut made = 0;
        while let Some(permit) = objects.permit_below(self.shared.config.warm).map_err(|_| PoolError::Closed)? {
            let instance = Box::new((self.shared.make)()?);
            permit.used();
            drop(objects.put(instance));
            made += 1;
        }
        Ok(made)
    }

    /// Drops idle instances while there are more than [`PoolConfig::warm`], and returns how many it dropped.
    pub fn shrink(&self) -> usize {
        shrink(&self.shared.objects, self.shared.config.warm)
    }

    /// Lends nothing from now on: drops what is idle, and sends away all who wait. What is lent can still be used and is
    /// dropped when it comes back.
    pub fn close(&self) {
        drop(self.shared.objects.close());
    }

    /// Whether it was closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared.objects.is_closed()
    }

    /// The numbers of the pool at this moment.
    #[must_use]
    pub fn status(&self) -> PoolStatus {
        self.shared.objects.counts().into()
    }

    #[inline]
    fn take_with(&self, patience: Patience) -> Result<PooledInstance<'_>, PoolError> {
        let instance = match self.shared.objects.take(patience) {
            Ok(Grant::Item(instance)) => instance,
            Ok(Grant::Permit(permit)) => {
                // Without an instance, also by a panic, the permit goes to whoever waits.
                let instance = Box::new((self.shared.make)()?);
                permit.used();
                instance
            }
            Err(error) => return Err(self.take_error(error, patience)),
        };
        let lender = Lender::Borrowed(&self.shared);
        Ok(PooledInstance { instance: Some(instance), lender, panicking: thread::panicking() })
    }

    #[cold]
    fn take_error(&self, error: TakeError, patience: Patience) -> PoolError {
        let max = self.shared.objects.max();
        match (error, patience) {
            (TakeError::Closed, _) => PoolError::Closed,
            (TakeError::TimedOut, Patience::UpTo(limit)) => PoolError::TimedOut { max, limit },
            (TakeError::Exhausted | TakeError::TimedOut, _) => PoolError::Exhausted { max },
        }
    }
}

/// That the engine has memory for the instances that the pool may have.
fn check_engine(guest: &Guest, pool: &PoolConfig) -> Result<(), PoolError> {
    check(pool)?;
    match guest.engine().config().allocation {
        InstanceAllocation::Pooling { instances, .. } if pool.max > instances as usize => {
            Err(PoolError::AboveEngine { max: pool.max, instances })
        }
        _ => Ok(()),
    }
}

fn check(config: &PoolConfig) -> Result<(), PoolError> {
    match *config {
        PoolConfig { max: 0, .. } => Err(PoolError::SizeZero),
        PoolConfig { warm, max, .. } if warm > max => Err(PoolError::WarmAboveMax { warm, max }),
        _ => Ok(()),
    }
}

/// Gives an instance back to its pool if it can be lent again, and otherwise drops it.
#[inline]
fn give_back<T>(objects: &ObjectPool<T>, instance: Box<T>, can_be_lent: impl FnOnce(&mut T) -> bool) {
    // If the following code panics, the permit is dropped after the instance, and makes room for another.
    let permit = objects.permit_for_lent();
    let mut instance = instance;
    if can_be_lent(&mut instance) {
        permit.used();
        drop(objects.put(instance));
    } else {
        drop(instance);
        drop(permit);
    }
}

/// Drops idle instances while there are more than `bound`, and returns how many it dropped.
fn shrink<T>(objects: &ObjectPool<T>, bound: usize) -> usize {
    std::iter::from_fn(|| objects.take_above(bound)).map(drop).count()
}

impl Shared {
    /// Takes an instance back. It is restored or dropped before the pool can lend it or make another.
    #[inline]
    fn give_back(&self, instance: Box<Instance>, keep: bool) {
        give_back(&self.objects, instance, |instance| keep && (instance.is_pristine() || self.can_be_lent(instance)));
    }

    /// Whether an instance that is not as its snapshot has it can be lent again.
    #[cold]
    fn can_be_lent(&self, instance: &mut Instance) -> bool {
        // One that is poisoned may have lost more than its memory, for instance the state.
        instance.status() == Status::Ready && (!self.config.restore_on_return || instance.restore().is_ok())
    }
}

/// An instance that was taken from a [`Pool`], and goes back when this is dropped.
///
/// It is not lent again but dropped when it is poisoned, when the thread began to panic while it had it, or when it cannot
/// be restored.
///
/// Its state stays with it: what is set by [`Instance::set_state`] or changed through [`Instance::state_mut`] is what the
/// next borrower finds.
///
/// ```
/// use guest_host::{Engine, EngineConfig, Guest, InstanceConfig, MemoryState, Pool, PoolConfig, PrepareOptions};
///
/// # let engine = Engine::new(&EngineConfig::default())?;
/// # let wasm = wat::parse_str(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/shop.wat")))?;
/// # let guest = Guest::load(&engine, "shop", &wasm, PrepareOptions::default())?;
/// let pool = Pool::new(&guest, &InstanceConfig::default(), &PoolConfig::default(), || Ok(MemoryState::new()))?;
/// let mut instance = pool.take()?;
/// instance.set_state(MemoryState::new());
/// instance.invoke_by_name("count_up")?;
/// assert_eq!(pool.status().idle, 0);
/// drop(instance);
/// assert_eq!(pool.status().idle, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct PooledInstance<'a> {
    /// `None` once it went back.
    instance: Option<Box<Instance>>,
    lender: Lender<'a>,
    /// Whether the thread was panicking already when it took the instance, as in a destructor.
    panicking: bool,
}

/// Counting references to a pool for each call would be dearer than the call where several threads do it.
enum Lender<'a> {
    Borrowed(&'a Arc<Shared>),
    Owned(Arc<Shared>),
}

impl PooledInstance<'_> {
    /// The same instance, independent of the [`Pool`] value that it was taken from.
    #[must_use]
    pub fn into_owned(mut self) -> PooledInstance<'static> {
        let lender = Lender::Owned(Arc::clone(self.lender()));
        PooledInstance { instance: self.instance.take(), lender, panicking: self.panicking }
    }

    /// Drops the instance instead of giving it back; the pool may have another in its place.
    pub fn discard(mut self) {
        self.end(false);
    }

    fn lender(&self) -> &Arc<Shared> {
        match &self.lender {
            Lender::Borrowed(shared) => shared,
            Lender::Owned(shared) => shared,
        }
    }

    #[inline]
    fn end(&mut self, keep: bool) {
        if let Some(instance) = self.instance.take() {
            self.lender().give_back(instance, keep);
        }
    }
}

impl Drop for PooledInstance<'_> {
    #[inline]
    fn drop(&mut self) {
        self.end(self.panicking || !thread::panicking());
    }
}

impl Deref for PooledInstance<'_> {
    type Target = Instance;

    #[inline]
    fn deref(&self) -> &Instance {
        match &self.instance {
            Some(instance) => instance,
            None => unreachable!("only what consumes the guard takes the instance out"),
        }
    }
}

impl DerefMut for PooledInstance<'_> {
    #[inline]
    fn deref_mut(&mut self) -> &mut Instance {
        match &mut self.instance {
            Some(instance) => instance,
            None => unreachable!("only what consumes the guard takes the instance out"),
        }
    }
}

impl fmt::Debug for PooledInstance<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PooledInstance").field(&self.instance).finish()
    }
}
