//! An instance: invoking its functions, and keeping it pristine.
//!
//! `config` says how to keep it, `choice` what the host picks where the configuration leaves that open, and `plan` what that
//! takes. `make` makes an instance, `start` leads to the snapshot, and `phase` says where the instance is. `invoke` calls and
//! restores; `call_numbers` and `call_with` do so for embedders that pass arguments themselves, and `call_bytes` with a stream; `diagnose` says why a call failed;
//! `counting` knows what it allocated; `keep` says when an instance is replaced that could be restored. `observe` has what an
//! embedder can see of it. `suspend` makes images of it and goes on from them.

#[cfg(feature = "async")]
mod awaiting;
#[cfg(feature = "async")]
mod call_bytes;
mod call_numbers;
mod call_with;
mod choice;
mod config;
mod counting;
mod diagnose;
mod invoke;
mod keep;
mod live;
mod make;
mod observe;
mod phase;
mod plan;
mod ring;
mod stages;
mod start;
mod suspend;
#[cfg(test)]
mod tests;

use crate::guest::Guest;
use crate::host::mode::Deadline;
use crate::host::outcome::CallStats;
use crate::metrics::Tally;
use crate::restore::policy::RestoreStrategy;
use crate::restore::{Restore, RestoreError};
use crate::state::State;

#[cfg(feature = "async")]
pub use awaiting::AsyncInstance;
pub use call_with::{GuestCall, GuestCallError};
pub use choice::Choice;
pub use config::{InstanceConfig, Retention, Status};
use make::host_data;
use phase::Phase;
use plan::{Mechanism, Plan};
pub use ring::{AddError, Member, RingGroup};
pub use suspend::{ResumeError, SuspendError};

/// A guest in memory, with its snapshot.
///
/// ```
/// use guest_host::{Engine, EngineConfig, Guest, InstanceConfig, MemoryState, PrepareOptions};
///
/// # let engine = Engine::new(&EngineConfig::default())?;
/// # let wasm = wat::parse_str(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/shop.wat")))?;
/// # let guest = Guest::load(&engine, "shop", &wasm, PrepareOptions::default())?;
/// let mut instance = guest.instantiate(&InstanceConfig::default(), MemoryState::new())?;
/// let count_up = guest.function("count_up")?;
/// for _ in 0..3 {
///     let intents = instance.invoke(count_up)?.intent_bytes().to_vec();
///     instance.state_mut().unwrap().apply(&intents)?;
///     // The call counted up in a global and in memory, and the restore put both back.
///     assert!(instance.is_pristine());
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Instance {
    guest: Guest,
    /// With the strategy that was picked, where that was left open.
    config: InstanceConfig,
    plan: Plan,
    phase: Phase,
    /// How long a call may take.
    deadline: Deadline,
    /// Whether a call must be looked at when it has ended: the engine counts its instructions, or the guest may have memory blocks. One
    /// question for both, as most calls have neither.
    attended: bool,
    /// Whether the engine counts instructions.
    fuel: bool,
    /// Figures of the last call, also of one that failed.
    last_stats: CallStats,
    /// Why the last restore could not be done in place; boxed, as it is hardly ever there.
    restore_error: Option<Box<RestoreError>>,
    /// Bytes up to which its memory is never too large.
    retained: usize,
    /// Restores in a row after calls that needed less memory than there is, see [`Retention`].
    idle: u32,
    /// Whether it was resumed from an image since it was last restored by the embedder.
    resumed: bool,
    /// Where its calls are counted, if they are.
    tally: Option<Box<Tally>>,
}

impl Instance {
    /// The guest.
    #[must_use]
    pub fn guest(&self) -> &Guest {
        &self.guest
    }

    /// How the instance was configured.
    #[must_use]
    pub fn config(&self) -> &InstanceConfig {
        &self.config
    }

    /// Whether it may be invoked.
    #[must_use]
    pub fn status(&self) -> Status {
        self.phase.status()
    }

    /// The strategy that was asked for or picked, and why. Where [`RestoreStrategy::Auto`] picked it, the first calls may
    /// show that another serves the guest better; the instance uses that one from then on.
    #[must_use]
    pub fn strategy(&self) -> Choice {
        self.plan.choice
    }

    /// Whether the guest is as its snapshot has it. Under a lazy policy it is not after a call that was not followed by a
    /// restore.
    #[must_use]
    #[inline]
    pub fn is_pristine(&self) -> bool {
        self.phase.is_pristine()
    }

    /// Name of the strategy by which it is restored.
    #[must_use]
    pub fn strategy_name(&self) -> &str {
        self.in_place().map_or(RestoreStrategy::Reinstantiate.name(), Restore::name)
    }

    /// The strategy, where it restores in place.
    #[must_use]
    pub fn in_place(&self) -> Option<&dyn Restore> {
        match &self.plan.mechanism {
            Mechanism::Replace => None,
            Mechanism::InPlace { restore, .. } => Some(restore.as_ref()),
        }
    }

    /// Lets the guest read another state from now on; the state that it read before is dropped. The snapshot stays as it
    /// is: what the guest made of the earlier state while it was initialised remains.
    pub fn set_state(&mut self, state: impl State + 'static) {
        match self.phase.data_mut() {
            Some(data) => data.state = Box::new(state),
            // A panic of the embedder's own code took it along: the instance can be made again with this one.
            None => self.phase = Phase::Absent(Box::new(host_data(&self.config, Box::new(state)))),
        }
    }

    /// The state that the guest reads. See [`Instance::state_mut_as`] for the state in its own type.
    pub fn state_mut(&mut self) -> Option<&mut dyn State> {
        Some(self.phase.data_mut()?.state.as_mut())
    }

    /// The state that the guest reads, in the type in which it was given to the instance. `None` if it is of another type.
    ///
    /// ```
    /// use guest_host::{Instance, MemoryState};
    ///
    /// # fn records(instance: &mut Instance) -> Option<usize> {
    /// let state: &mut MemoryState = instance.state_mut_as()?;
    /// # Some(
    /// state.len()
    /// # )
    /// # }
    /// ```
    pub fn state_mut_as<S: State>(&mut self) -> Option<&mut S> {
        self.state_mut()?.downcast_mut()
    }

    /// Figures of the last call, also of one that failed.
    #[must_use]
    pub fn last_stats(&self) -> &CallStats {
        &self.last_stats
    }

    /// Why the last restore could not be done in place. The instance was replaced then, and what the call before it left
    /// was kept.
    #[must_use]
    pub fn last_restore_error(&self) -> Option<&RestoreError> {
        self.restore_error.as_deref()
    }
}
