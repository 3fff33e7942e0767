//! A pool of instances whose calls are futures.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::sync::Arc;
use std::thread;

use super::object_pool::{Grant, ObjectPool, TakeError};
use super::{PoolConfig, PoolError, PoolStatus, check, check_engine, give_back, shrink};
use crate::guest::Guest;
use crate::instance::{AsyncInstance, InstanceConfig, Status};
use crate::state::{AsyncState, StateError};

/// A [`Pool`](crate::Pool) of [`AsyncInstance`]s: [`AsyncPool::take`] is a future, and the instances that it lends can move
/// between threads and outlive the value that they were taken from. Cheap to clone; all clones are the same pool.
///
/// Tasks that wait are served in the order of coming. One that gives up, by dropping the future, leaves the queue.
///
/// ```no_run
/// use std::time::Duration;
///
/// use guest_host::{
///     AsyncPool, Engine, EngineConfig, Guest, InstanceConfig, MemoryState, PoolConfig, PrepareOptions,
/// };
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let engine = Engine::new(&EngineConfig::default())?;
/// let guest = Guest::from_file(&engine, "shop.wasm".as_ref(), PrepareOptions::default())?;
/// let count_up = guest.function("count_up")?;
/// let state = || async { Ok(MemoryState::new()) };
/// let pool = AsyncPool::new(&guest, &InstanceConfig::default(), &PoolConfig::default(), state).await?;
/// let mut instance = pool.take().await?;
/// let outcome = instance.invoke(count_up).await?;
/// println!("{} intents", outcome.intents().count());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct AsyncPool {
    shared: Arc<Shared>,
}

struct Shared {
    objects: ObjectPool<AsyncInstance>,
    config: PoolConfig,
    make: Box<Make>,
}

type Making = Pin<Box<dyn Future<Output = Result<AsyncInstance, PoolError>> + Send>>;
type Make = dyn Fn() -> Making + Send + Sync;

impl AsyncPool {
    /// A pool of instances of `guest`, each with a state of its own from `state`. Several tasks may call `state` at the same
    /// time.
    ///
    /// # Errors
    /// As for [`Pool::new`](crate::Pool::new).
    pub async fn new<S, F, R>(
        guest: &Guest,
        instance: &InstanceConfig,
        pool: &PoolConfig,
        state: F,
    ) -> Result<Self, PoolError>
    where
        S: AsyncState + 'static,
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = Result<S, StateError>> + Send + 'static,
    {
        check_engine(guest, pool)?;
        let (guest, config) = (guest.clone(), instance.clone());
        Self::with(pool, move || {
            let (guest, config, state) = (guest.clone(), config.clone(), state());
            async move { Ok(guest.instantiate_async(&config, state.await.map_err(PoolError::State)?).await?) }
        })
        .await
    }

    /// A pool of what `make` makes.
    ///
    /// # Errors
    /// As for [`AsyncPool::new`], and those of `make`.
    pub async fn with<F, R>(config: &PoolConfig, make: F) -> Result<Self, PoolError>
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = Result<AsyncInstance, PoolError>> + Send + 'static,
    {
        check(config)?;
        let make: Box<Make> = Box::new(move || Box::pin(make()));
        let shared = Shared { objects: ObjectPool::new(config.max), config: config.clone(), make };
        let pool = Self { shared: Arc::new(shared) };
        pool.warm_up().await?;
        Ok(pool)
    }

    /// How the pool was made.
    #[must_use]
    pub fn config(&self) -> &PoolConfig {
        &self.shared.config
    }

    /// Takes an instance: an idle one, or a new one, or when there are as many as there may be, the next that comes back.
    /// To wait for a limited time, put a time limit of the runtime around the future.
    ///
    /// A task that waits while it holds another instance of the same pool may wait for ever.
    ///
    /// # Errors
    /// [`PoolError::Closed`]; [`PoolError::State`] and [`PoolError::Load`] when a new instance could not be made.
    pub async fn take(&self) -> Result<AsyncPooledInstance, PoolError> {
        match self.shared.objects.turn().await {
            Ok(grant) => self.granted(grant).await,
            Err(_) => Err(PoolError::Closed),
        }
    }

    /// Takes an instance as [`AsyncPool::take`] does, but does not wait for one to come back.
    ///
    /// # Errors
    /// As for [`AsyncPool::take`], and [`PoolError::Exhausted`].
    pub async fn try_take(&self) -> Result<AsyncPooledInstance, PoolError> {
        match self.shared.objects.take(super::object_pool::Patience::None) {
            Ok(grant) => self.granted(grant).await,
            Err(TakeError::Closed) => Err(PoolError::Closed),
            Err(_) => Err(PoolError::Exhausted { max: self.shared.config.max }),
        }
    }

    async fn granted(&self, grant: Grant<'_, AsyncInstance>) -> Result<AsyncPooledInstance, PoolError> {
        let instance = match grant {
            Grant::Item(instance) => instance,
            Grant::Permit(permit) => {
                // Without an instance, also where this future is dropped, the permit goes to whoever waits.
                let instance = Box::new((self.shared.make)().await?);
                permit.used();
                instance
            }
        };
        let panicking = thread::panicking();
        Ok(AsyncPooledInstance { instance: Some(instance), shared: Arc::clone(&self.shared), panicking })
    }

    /// Makes the instances that are missing to [`PoolConfig::warm`], as after some were lost, and returns how many it made.
    ///
    /// # Errors
    /// As for [`AsyncPool::take`]; those that were made until then stay.
    pub async fn warm_up(&self) -> Result<usize, PoolError> {
        let objects = &self.shared.objects;
        let mut made = 0;
        while let Some(permit) = objects.permit_below(self.shared.config.warm).map_err(|_| PoolError::Closed)? {
            let instance = Box::new((self.shared.make)().await?);
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

    /// Lends nothing from now on: drops what is idle, and sends away all that wait. What is lent can still be used and is
    /// dropped when it comes back.
    pub fn close(&self) {
        drop(self.shared.objects.close());
    }

    /// Whether it was closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared.objects.is_closed()
    }

    /// The pool's counts at this moment; those that wait are tasks.
    #[must_use]
    pub fn status(&self) -> PoolStatus {
        self.shared.objects.counts().into()
    }
}

impl fmt::Debug for AsyncPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shared { objects, config, .. } = &*self.shared;
        f.debug_struct("AsyncPool").field("objects", objects).field("config", config).finish_non_exhaustive()
    }
}

/// An instance that was taken from an [`AsyncPool`], and goes back when this is dropped.
///
/// It is dropped rather than lent again when a call was given up or failed to restore it, when the thread began to panic
/// while it had it, or when it is not as its snapshot has it and cannot be restored in place: giving back never waits.
pub struct AsyncPooledInstance {
    /// `None` once it went back.
    instance: Option<Box<AsyncInstance>>,
    shared: Arc<Shared>,
    /// Whether the thread was panicking already when it took the instance, as in a destructor.
    panicking: bool,
}

impl AsyncPooledInstance {
    /// Drops the instance instead of giving it back; the pool may have another in its place.
    pub fn discard(mut self) {
        self.end(false);
    }

    fn end(&mut self, keep: bool) {
        let Some(instance) = self.instance.take() else {
            return;
        };
        let restores = self.shared.config.restore_on_return;
        give_back(&self.shared.objects, instance, |instance| {
            keep && instance.status() == Status::Ready && (!restores || instance.restore_at_once())
        });
    }
}

impl Drop for AsyncPooledInstance {
    fn drop(&mut self) {
        self.end(self.panicking || !thread::panicking());
    }
}

impl Deref for AsyncPooledInstance {
    type Target = AsyncInstance;

    fn deref(&self) -> &AsyncInstance {
        match &self.instance {
            Some(instance) => instance,
            None => unreachable!("only what consumes the guard takes the instance out"),
        }
    }
}

impl DerefMut for AsyncPooledInstance {
    fn deref_mut(&mut self) -> &mut AsyncInstance {
        match &mut self.instance {
            Some(instance) => instance,
            None => unreachable!("only what consumes the guard takes the instance out"),
        }
    }
}

impl fmt::Debug for AsyncPooledInstance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AsyncPooledInstance").field(&self.instance).finish()
    }
}
