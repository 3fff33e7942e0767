//! Making an instance: by which plan it is restored, and a new one in the place of an old one.

use std::time::Duration;

use guest_abi::names;
use wasmtime::Store;

use super::choice::{MOST_STATICS, Trial};
use super::phase::Phase;
use super::plan::{Mechanism, Plan};
use super::start::start;
use super::{Choice, Instance, InstanceConfig};
use crate::arguments::Arguments;
use crate::contract::{ContractState, Data, blocks};
use crate::failure::Cause;
use crate::guest::Guest;
use crate::guest::admission::{NoWriteBarrier, Refusal};
use crate::guest::error::{AdmissionError, CompileError, ConfigError, LoadError, StartError};
use crate::host::mode::{Blocking, Deadline, Mode, ready};
use crate::host::outcome::CallStats;
#[cfg(feature = "metrics")]
use crate::metrics::Tally;
use crate::restore::policy::{Residue, RestorePolicy, RestoreStrategy};
use crate::restore::{BumpReset, DirtyCards, FullCopy, Restore, Watermark, WithBlocks};
use crate::spans::within;
use crate::state::State;
use guest_prepare::tells_allocations;

/// Ticks that never pass.
const NO_DEADLINE: u64 = u64::MAX >> 1;

impl Guest {
    /// Makes an instance that reads `state`, initialises it and takes its snapshot.
    ///
    /// # Errors
    /// [`LoadError`] when it cannot be instantiated or initialised, or not be restored by the strategy.
    pub fn instantiate(&self, config: &InstanceConfig, state: impl State + 'static) -> Result<Instance, LoadError> {
        ready(self.make::<Blocking>(config, Box::new(state)))
    }

    /// Makes an instance of a mode.
    pub(super) async fn make<M: Mode>(
        &self,
        config: &InstanceConfig,
        state: Box<dyn State>,
    ) -> Result<Instance, LoadError> {
        let auto = config.strategy == RestoreStrategy::Auto;
        let choice = match config.strategy {
            RestoreStrategy::Auto => Choice::first(self, config.residue, config.policy),
            asked => Choice::asked(asked),
        };
        let mut instance = self.absent(self.plan_or_next(choice, config)?, config, state)?;
        let mut made = within!(debug_span, "instantiate", guest = self.name(); instance.replace::<M>());
        // Which allocator keeps the control block shows only in an instance.
        while auto
            && let Err(LoadError::Admission(AdmissionError::Strategy { .. })) = made
            && let Some(other) = instance.plan.choice.without_its_allocator(config.policy)
        {
            instance.follow(self.plan_or_next(other, config)?);
            made = instance.replace::<M>().await;
        }
        made?;
        if auto && !config.policy.is_lazy() {
            if instance.plan.choice == Choice::RESIDUE_KEPT && instance.reset_bytes() > MOST_STATICS {
                match self.plan(Choice::MANY_STATICS, config) {
                    Ok(plan) => {
                        instance.follow(plan);
                        instance.replace::<M>().await?;
                    }
                    // It is restored by the plan that it has, then.
                    Err(LoadError::Admission(AdmissionError::Strategy { .. })) => {}
                    Err(error) => return Err(error),
                }
            }
            instance.plan.trial = instance.alternative().map(|other| Box::new(Trial::against(other)));
        }
        Ok(instance)
    }

    /// Makes an instance that is restored by a strategy of the embedder's own; `config.strategy` means nothing then.
    ///
    /// # Errors
    /// As for [`Guest::instantiate`].
    pub fn instantiate_with(
        &self,
        restore: Box<dyn Restore>,
        config: &InstanceConfig,
        state: impl State + 'static,
    ) -> Result<Instance, LoadError> {
        self.admission().full_copy().map_err(|reasons| AdmissionError::Strategy { strategy: "custom", reasons })?;
        let compiled = if restore.wants_marks() { self.marking()? } else { self.plain() };
        let mechanism = Mechanism::InPlace { restore: self.with_blocks(restore), entrances: false };
        let mut plan = Plan::new(Choice::asked(config.strategy), mechanism, compiled);
        plan.is_custom = true;
        let mut instance = self.absent(plan, config, Box::new(state))?;
        ready(instance.replace::<Blocking>())?;
        Ok(instance)
    }

    /// Makes an instance that is made anew for each call, of the module with a write barrier: a reference for instances that are
    /// restored by its marks. The marks decide whether some breaches of the rules of memory blocks are found.
    ///
    /// # Errors
    /// As for [`Guest::instantiate`].
    #[doc(hidden)]
    pub fn instantiate_anew_with_marks(
        &self,
        config: &InstanceConfig,
        state: impl State + 'static,
    ) -> Result<Instance, LoadError> {
        let plan = Plan::new(Choice::asked(RestoreStrategy::Reinstantiate), Mechanism::Replace, self.marking()?);
        let mut instance = self.absent(plan, config, Box::new(state))?;
        ready(instance.replace::<Blocking>())?;
        Ok(instance)
    }

    /// The plan of a choice. Where the host chose, and the module cannot be given a write barrier, it is that of another.
    fn plan_or_next(&self, choice: Choice, config: &InstanceConfig) -> Result<Plan, LoadError> {
        match self.plan(choice, config) {
            Err(LoadError::Admission(AdmissionError::Strategy { .. })) if choice == Choice::EVERY_BYTE => {
                self.plan(Choice::NO_BARRIER, config)
            }
            found => found,
        }
    }

    /// How a choice restores, and the module prepared for it.
    pub(super) fn plan(&self, choice: Choice, config: &InstanceConfig) -> Result<Plan, LoadError> {
        let strategy = choice.strategy;
        let refuse = |reasons| LoadError::Admission(AdmissionError::Strategy { strategy: strategy.name(), reasons });
        self.admission().admits(strategy).map_err(refuse)?;
        // Functions of the guest's own that tell what it allocated are called when the entrance has returned.
        let asked = config.count && tells_allocations(self.info());
        let entrances = config.policy == RestorePolicy::EveryCall
            && !self.engine().config().fuel
            && !asked
            && !self.prepared().entrances.is_empty();
        let own = |restore| Mechanism::InPlace { restore: self.with_blocks(restore), entrances };
        let mechanism = match strategy {
            RestoreStrategy::Auto | RestoreStrategy::Reinstantiate => Mechanism::Replace,
            RestoreStrategy::FullCopy => own(Box::new(FullCopy)),
            RestoreStrategy::DirtyCards => {
                // The module was compiled from the host's own preparation, so that is where the fault is.
                let refuse = |reason| refuse(vec![Refusal::NoWriteBarrier { reason }]);
                let compiled = self.marking().map_err(|error| match error {
                    LoadError::Compile(CompileError::Prepare(error)) => refuse(NoWriteBarrier::Prepare(error)),
                    LoadError::Compile(CompileError::Compile(reason)) => refuse(NoWriteBarrier::Compile(reason)),
                    error => error,
                })?;
                let mechanism = match &compiled.prepared.barrier {
                    Some(_) => own(Box::new(DirtyCards)),
                    // There is no memory, so there is nothing to mark and nothing to copy.
                    None if self.info().memories.is_empty() => own(Box::new(FullCopy)),
                    // Admission refuses every other module that has no barrier.
                    None => Mechanism::Replace,
                };
                return Ok(Plan::new(choice, mechanism, compiled));
            }
            RestoreStrategy::Watermark => own(Box::new(Watermark)),
            RestoreStrategy::BumpReset => own(Box::new(BumpReset)),
        };
        let cleans_stack = matches!(strategy, RestoreStrategy::Watermark | RestoreStrategy::BumpReset)
            && config.residue == Residue::Scrub;
        let tracking = if cleans_stack { self.tracking()? } else { None };
        // Where nothing says how far the stack was used, a restore cleans all of it.
        Ok(Plan::new(choice, mechanism, tracking.unwrap_or_else(|| self.plain())))
    }

    /// A strategy that also ends attachments of memory blocks, if the guest may have any.
    fn with_blocks(&self, restore: Box<dyn Restore>) -> Box<dyn Restore> {
        if self.info().imports_blocks() { Box::new(WithBlocks(restore)) } else { restore }
    }

    /// A limit of time in ticks of the engine's clock.
    pub(super) fn deadline(&self, limit: Option<Duration>) -> Deadline {
        Deadline { ticks: limit.map_or(NO_DEADLINE, |limit| self.engine().ticks(limit)), limit }
    }

    /// An instance that is still to be made.
    fn absent(&self, plan: Plan, config: &InstanceConfig, state: Box<dyn State>) -> Result<Instance, LoadError> {
        let minimum =
            self.info().memories.first().map_or(0, |memory| memory.ty.minimum.saturating_mul(names::PAGE_SIZE.into()));
        if config.memory_limit < minimum {
            return Err(ConfigError::LimitBelowMinimum { limit: config.memory_limit, minimum }.into());
        }
        if let Some(limit) = config.max_instructions.filter(|_| !self.engine().config().fuel) {
            return Err(ConfigError::NotCounting { limit }.into());
        }
        if let Some(reason) = config.wasi.mistake() {
            return Err(ConfigError::Wasi { reason }.into());
        }
        self.check_arguments(&config.arguments)?;
        Ok(Instance {
            guest: self.clone(),
            config: InstanceConfig { strategy: plan.choice.strategy, ..config.clone() },
            plan,
            phase: Phase::Absent(Box::new(host_data(config, state))),
            deadline: self.deadline(config.deadline),
            attended: self.engine().config().fuel || self.info().imports_blocks(),
            fuel: self.engine().config().fuel,
            last_stats: CallStats::default(),
            restore_error: None,
            retained: config.retention.map_or(usize::MAX, |kept| usize::try_from(kept.bytes).unwrap_or(usize::MAX)),
            idle: 0,
            resumed: false,
            #[cfg(feature = "metrics")]
            tally: config.metrics.as_ref().map(|metrics| Box::new(Tally::new(metrics, self))),
            #[cfg(not(feature = "metrics"))]
            tally: None,
        })
    }
}

impl Guest {
    /// Whether arguments that were configured are those of functions of numbers, and fit them.
    fn check_arguments(&self, arguments: &Arguments) -> Result<(), LoadError> {
        for (name, _) in arguments.iter() {
            let refuse = |reason: String| ConfigError::Arguments { function: name.to_owned(), reason };
            let function =
                self.export(name).ok_or_else(|| refuse(Cause::missing_export(name, self.functions()).to_string()))?;
            if !self.is_of_numbers(function) {
                return Err(refuse("an extension function takes no arguments".to_owned()).into());
            }
            if let Some(signature) = self.info().exported_function(name) {
                arguments.slots(name, signature).map_err(|error| refuse(error.to_string()))?;
            }
        }
        Ok(())
    }
}

impl Instance {
    /// Makes a new instance in the place of the old one.
    pub(super) async fn replace<M: Mode>(&mut self) -> Result<(), LoadError> {
        self.idle = 0;
        if self.attended
            && let Some(live) = self.phase.live_mut()
        {
            // Others may have the blocks that it had. If that fails, its memory goes away all the same.
            let _ = blocks::restore(&mut live.store);
        }
        let Some(mut data) = self.phase.take_data() else {
            return Err(StartError::Instantiate("its state was lost".to_owned()).into());
        };
        // The last call's outcome outlives the instance that it came from.
        let last_call = std::mem::take(&mut data.call);
        let store = self.phase.begin(Store::new(self.guest.engine().wasmtime(), data));
        let (compiled, in_place) = (&*self.plan.compiled, self.plan.is_in_place());
        let started = start::<M>(&self.guest, compiled, &self.config, in_place, store).await;
        store.data_mut().call = last_call;
        self.phase.finish(started, self.guest.callables())
    }
}

/// The data that the host functions of an instance work on.
pub(super) fn host_data(config: &InstanceConfig, state: Box<dyn State>) -> Data {
    let limit = usize::try_from(config.memory_limit).unwrap_or(usize::MAX);
    let supervisor = config.supervisor.clone();
    let contract = ContractState::new(&config.wasi);
    let mut data = Data::new(state, limit, supervisor, config.limits, config.trace, contract);
    data.secrets = config.secrets.clone();
    data
}
