//! Making an instance: which mechanism restores it, and which of the guest's modules that needs.

use std::sync::Arc;

use guest_abi::names;

use super::choice::{MOST_STATICS, Trial};
use super::{Choice, Instance, InstanceConfig, Mechanism, NO_DEADLINE, Status};
use crate::contract::{ContractState, Data};
use crate::guest::admission::{NoWriteBarrier, Refusal};
use crate::guest::error::LoadError;
use crate::guest::{Compiled, Guest};
use crate::host::outcome::CallStats;
use crate::metrics::Tally;
use crate::restore::policy::{Residue, RestorePolicy, RestoreStrategy};
use crate::restore::{BumpReset, DirtyCards, FullCopy, Restore, Watermark};
use crate::state::State;
use guest_prepare::tells_allocations;

/// A choice with what it takes.
pub(super) type TakenUp = (Choice, (Mechanism, Arc<Compiled>));

impl Guest {
    /// Makes an instance that reads `state`, initialises it and takes its snapshot.
    ///
    /// # Errors
    /// [`LoadError`] when it cannot be instantiated or initialised, or not be restored by the strategy.
    pub fn instantiate(&self, config: &InstanceConfig, state: impl State + 'static) -> Result<Instance, LoadError> {
        let auto = config.strategy == RestoreStrategy::Auto;
        let choice = match config.strategy {
            RestoreStrategy::Auto => Choice::first(self, config.residue, config.policy),
            asked => Choice::asked(asked),
        };
        let (choice, (mechanism, compiled)) = self.take_up(choice, auto, config)?;
        let mut instance = self.unborn(mechanism, compiled, choice, config, Box::new(state))?;
        let mut made = instance.replace();
        // Which allocator keeps the control block shows only in an instance.
        while auto
            && let Err(LoadError::Allocator { .. }) = made
            && let Some(other) = instance.choice.without_its_allocator(config.policy)
        {
            instance.adopt(self.take_up(other, auto, config)?);
            made = instance.replace();
        }
        made?;
        if auto && !config.policy.is_lazy() {
            if instance.choice == Choice::RESIDUE_KEPT && instance.reset_bytes() > MOST_STATICS {
                match self.take_up(Choice::MANY_STATICS, auto, config) {
                    Ok(found) => {
                        instance.adopt(found);
                        instance.replace()?;
                    }
                    // It is restored by what it has, then.
                    Err(LoadError::Strategy { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
            instance.trial = instance.rival().map(|rival| Box::new(Trial::against(rival)));
        }
        Ok(instance)
    }

    /// Finds the mechanism of a choice. Where it was left open and the module cannot be given a write barrier, that is
    /// another one.
    fn take_up(&self, choice: Choice, auto: bool, config: &InstanceConfig) -> Result<TakenUp, LoadError> {
        match self.mechanism(choice.strategy, config) {
            Err(LoadError::Strategy { .. }) if auto && choice == Choice::EVERY_BYTE => {
                let choice = Choice::NO_BARRIER;
                self.mechanism(choice.strategy, config).map(|found| (choice, found))
            }
            found => found.map(|found| (choice, found)),
        }
    }

    /// How a strategy restores, and the module prepared for it.
    pub(super) fn mechanism(
        &self,
        strategy: RestoreStrategy,
        config: &InstanceConfig,
    ) -> Result<(Mechanism, Arc<Compiled>), LoadError> {
        let refuse = |reasons| LoadError::Strategy { strategy: strategy.name(), reasons };
        self.admission().admits(strategy).map_err(refuse)?;
        // Functions of the guest's own that tell what it allocated are called when the entrance has returned.
        let asked = config.count && tells_allocations(self.info());
        let entrances = config.policy == RestorePolicy::EveryCall
            && !self.engine().config().fuel
            && !asked
            && !self.prepared().entrances.is_empty();
        let own = |restore| Mechanism::InPlace { restore, entrances };
        let mechanism = match strategy {
            RestoreStrategy::Auto | RestoreStrategy::Reinstantiate => Mechanism::Replace,
            RestoreStrategy::FullCopy => own(Box::new(FullCopy)),
            RestoreStrategy::DirtyCards => {
                // What the module was compiled from is the harness's own code, so that is where the fault is.
                let refuse = |reason| refuse(vec![Refusal::NoWriteBarrier { reason }]);
                let compiled = self.marking().map_err(|error| match error {
                    LoadError::Prepare(error) => refuse(NoWriteBarrier::Prepare(error)),
                    LoadError::Compile(reason) => refuse(NoWriteBarrier::Compile(reason)),
                    error => error,
                })?;
                let mechanism = match &compiled.prepared.barrier {
                    Some(barrier) => own(Box::new(DirtyCards::new(barrier.clone()))),
                    // Admission refuses every module that has no barrier.
                    None => Mechanism::Replace,
                };
                return Ok((mechanism, compiled));
            }
            RestoreStrategy::Watermark => own(Box::new(Watermark)),
            RestoreStrategy::BumpReset => own(Box::new(BumpReset)),
        };
        let cleans_stack = matches!(strategy, RestoreStrategy::Watermark | RestoreStrategy::BumpReset)
            && config.residue == Residue::Scrub;
        let tracking = if cleans_stack { self.tracking()? } else { None };
        // Who is not told how far the stack was used cleans all of it.
        let compiled = tracking.unwrap_or_else(|| self.plain());
        Ok((mechanism, compiled))
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
        self.admission().full_copy().map_err(|reasons| LoadError::Strategy { strategy: "custom", reasons })?;
        let mechanism = Mechanism::InPlace { restore, entrances: false };
        let choice = Choice::asked(config.strategy);
        let mut instance = self.unborn(mechanism, self.plain(), choice, config, Box::new(state))?;
        instance.replace()?;
        Ok(instance)
    }

    /// An instance that is still to be made, in the place of none.
    fn unborn(
        &self,
        mechanism: Mechanism,
        compiled: Arc<Compiled>,
        choice: Choice,
        config: &InstanceConfig,
        state: Box<dyn State>,
    ) -> Result<Instance, LoadError> {
        let minimum =
            self.info().memories.first().map_or(0, |memory| memory.ty.minimum.saturating_mul(names::PAGE_SIZE.into()));
        if config.memory_limit < minimum {
            return Err(LoadError::LimitBelowMinimum { limit: config.memory_limit, minimum });
        }
        if let Some(reason) = config.wasi.mistake() {
            return Err(LoadError::Wasi { reason });
        }
        let data = host_data(config, state);
        Ok(Instance {
            guest: self.clone(),
            config: InstanceConfig { strategy: choice.strategy, ..config.clone() },
            choice,
            mechanism,
            compiled,
            deadline_ticks: config.deadline.map_or(NO_DEADLINE, |deadline| self.engine().ticks(deadline)),
            fuel: self.engine().config().fuel,
            status: Status::Poisoned,
            pristine: false,
            live: None,
            orphan: Some(Box::new(data)),
            last_stats: CallStats::default(),
            restore_error: None,
            trial: None,
            retained: config.retention.map_or(usize::MAX, |kept| usize::try_from(kept.bytes).unwrap_or(usize::MAX)),
            idle: 0,
            tally: config.metrics.as_ref().map(|metrics| Box::new(Tally::new(metrics, self))),
        })
    }
}

/// What the host functions of an instance work on.
pub(super) fn host_data(config: &InstanceConfig, state: Box<dyn State>) -> Data {
    let limit = usize::try_from(config.memory_limit).unwrap_or(usize::MAX);
    Data::new(state, limit, config.limits, config.trace, ContractState::new(&config.wasi))
}
