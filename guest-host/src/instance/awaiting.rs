//! An instance whose calls are suspended instead of blocking their thread.

use std::fmt;
use std::ops::Deref;

use guest_image::Delta;

use super::call_bytes::{Asked, called_with_bytes};
use super::invoke::lost;
use super::live::UnnamedFailure;
use super::suspend::{ResumeError, SuspendError};
use super::{Instance, InstanceConfig};
use crate::failure::Failure;
use crate::guest::error::LoadError;
use crate::guest::{Function, Guest};
use crate::host::mode::{Awaiting, Mode};
use crate::host::outcome::Outcome;
use crate::restore::Restored;
use crate::restore::policy::RestorePolicy;
use crate::spans::within;
use crate::state::awaited::{AsyncState, Awaited};

/// An [`Instance`] whose calls are futures: one that waits for its state, or that runs for long, holds no thread.
///
/// - A read of the state is awaited where [`AsyncState`] awaits.
/// - Guest code is suspended with each tick of the engine's clock
///   ([`EngineConfig::tick`](crate::EngineConfig::tick)), so that other tasks run, and ends when the deadline has passed. The
///   deadline counts all time, also that of reads; a read itself is not interrupted by it. To bound a read, bound the
///   state's own requests, or give the call up.
/// - A call is given up by dropping its future. The instance is replaced before the next call then, and its state stays.
///
/// Everything else is as for an [`Instance`], which this dereferences to. A call takes some microseconds more than one that
/// blocks: it runs on a stack of its own.
///
/// ```no_run
/// use guest_host::{Engine, EngineConfig, Guest, InstanceConfig, MemoryState, PrepareOptions};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let engine = Engine::new(&EngineConfig::default())?;
/// let guest = Guest::from_file(&engine, "shop.wasm".as_ref(), PrepareOptions::default())?;
/// let count_up = guest.function("count_up")?;
/// let mut instance = guest.instantiate_async(&InstanceConfig::default(), MemoryState::new()).await?;
/// let outcome = instance.invoke(count_up).await?;
/// println!("{} intents", outcome.intents().count());
/// # Ok(())
/// # }
/// ```
pub struct AsyncInstance {
    pub(super) instance: Instance,
}

impl Guest {
    /// Makes an instance whose calls are futures, as [`Guest::instantiate`] makes one whose calls block. What initialises the
    /// guest is suspended as calls are; compiling the module for a strategy that needs another preparation blocks.
    ///
    /// # Errors
    /// As for [`Guest::instantiate`].
    pub async fn instantiate_async(
        &self,
        config: &InstanceConfig,
        state: impl AsyncState + 'static,
    ) -> Result<AsyncInstance, LoadError> {
        let instance = self.make::<Awaiting>(config, Box::new(Awaited::new(state))).await?;
        Ok(AsyncInstance { instance })
    }
}

impl AsyncInstance {
    /// Invokes the function of this name. See [`AsyncInstance::invoke`].
    ///
    /// # Errors
    /// As for [`Instance::invoke_by_name`].
    pub async fn invoke_by_name(&mut self, name: &str) -> Result<Outcome<'_>, Failure> {
        let function = self.instance.find(name)?;
        self.invoke(function).await
    }

    /// Invokes a function, as [`Instance::invoke`] does.
    ///
    /// # Errors
    /// As for [`Instance::invoke`].
    pub async fn invoke(&mut self, function: Function) -> Result<Outcome<'_>, Failure> {
        let instance = &mut self.instance;
        let began = instance.tally.as_mut().map(|tally| tally.begin(function));
        let mut called = within!(debug_span, "invoke", guest = instance.guest.name(),
            function = instance.guest.function_name(function);
            instance.attempt_async(function, false, &mut Asked::Configured));
        if instance.may_retry(&called) {
            instance.count_restored();
            called = instance.attempt_async(function, true, &mut Asked::Configured).await;
        }
        instance.outcome(function, began, called)
    }

    /// Restores the instance now, whatever the policy, as [`Instance::restore`] does.
    ///
    /// # Errors
    /// As for [`Instance::restore`].
    pub async fn restore(&mut self) -> Result<Option<Restored>, LoadError> {
        self.instance.restore_or_replace::<Awaiting>().await
    }

    /// Suspends the instance, as [`Instance::suspend`] does.
    ///
    /// # Errors
    /// As for [`Instance::suspend`].
    pub async fn suspend(&mut self) -> Result<Delta, SuspendError> {
        let delta = self.instance.delta()?;
        if !self.restore_at_once() {
            // The state is safe. If no new instance can be made, the next call or resumption tries again, and says why.
            let _ = self.restore().await;
        }
        self.instance.resumed = false;
        Ok(delta)
    }

    /// Puts the instance into the state of an image, as [`Instance::resume`] does.
    ///
    /// # Errors
    /// As for [`Instance::resume`].
    pub async fn resume(&mut self, delta: &Delta) -> Result<(), ResumeError> {
        if !self.is_pristine() {
            self.restore().await?;
        }
        self.instance.resume_pristine(delta)
    }

    /// Lets the guest read another state from now on, as [`Instance::set_state`] does.
    pub fn set_state(&mut self, state: impl AsyncState + 'static) {
        self.instance.set_state(Awaited::new(state));
    }

    /// The state that the guest reads, in the type in which it was given to the instance. `None` if it is of another type.
    pub fn state_mut_as<S: AsyncState + 'static>(&mut self) -> Option<&mut S> {
        self.instance.state_mut_as::<Awaited>()?.state_mut()
    }

    /// Restores the instance if that can be done in place, which needs no waiting; says whether it is pristine then.
    pub(crate) fn restore_at_once(&mut self) -> bool {
        self.instance.is_pristine() || self.instance.restore_uncalled().is_some()
    }
}

impl Deref for AsyncInstance {
    type Target = Instance;

    fn deref(&self) -> &Instance {
        &self.instance
    }
}

impl fmt::Debug for AsyncInstance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AsyncInstance").field(&self.instance).finish()
    }
}

impl Instance {
    /// One call and the restore that follows it, as [`Instance::attempt`] has them.
    pub(super) async fn attempt_async(
        &mut self,
        function: Function,
        retried: bool,
        asked: &mut Asked<'_>,
    ) -> Result<(), Box<UnnamedFailure>> {
        self.last_stats.begin(retried);
        if !self.phase.is_ready()
            && let Err(error) = self.replace_uncalled::<Awaiting>(self.why_replaced()).await
        {
            return Err(self.not_replaced(&error));
        }
        let called = self.call_async(function, asked).await;
        let restore =
            called.is_err() || self.config.policy == RestorePolicy::EveryCall || self.wants_restore::<Awaiting>().await;
        if restore {
            let began = self.config.count.then(std::time::Instant::now);
            let globals_restored = called.is_ok() && self.plan.uses_entrances();
            if let Some(due) = self.restore_after(called.is_ok(), globals_restored) {
                self.carry_out::<Awaiting>(due).await;
            }
            self.last_stats.restore_time = began.map(|began| began.elapsed());
        } else {
            self.leave_used();
        }
        called
    }

    /// Calls the function. Until this has ended, the instance counts as one whose call is under way.
    async fn call_async(&mut self, function: Function, asked: &mut Asked<'_>) -> Result<(), Box<UnnamedFailure>> {
        let pristine = self.begin_call(function)?;
        let deadline = self.deadline;
        let Some(live) = self.phase.live_mut() else {
            return Err(lost());
        };
        Awaiting::arm(&mut live.store, deadline);
        let called = match (&live.functions[function.index], asked) {
            (Some(function), Asked::Configured) => function.call_async(&mut live.store).await,
            (Some(function), Asked::Bytes { argument, result }) => {
                let exchange = live.snapshot.regions.exchange();
                let called = called_with_bytes(function, &mut live.store, exchange, argument).await;
                called.map(|found| **result = found)
            }
            (None, _) => return Err(lost()),
        };
        self.end_call(called)?;
        if self.asks_guest() {
            self.ask_guest::<Awaiting>(pristine).await;
            self.check_blocks()?;
        }
        Ok(())
    }
}
