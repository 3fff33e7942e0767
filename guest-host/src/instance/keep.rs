//! When an instance that could be restored in place is replaced all the same: because its memory grew beyond what calls
//! need, or because another strategy serves it better.

use guest_abi::AllocatorKind;

use super::Instance;
use super::plan::{Mechanism, Plan};
use crate::guest::error::LoadError;
use crate::host::mode::Mode;
use crate::host::outcome::Replaced;
use crate::restore::policy::{Residue, RestoreStrategy};
use crate::spans::within;

/// A replacement that is due after a call, in addition to a restore in place or instead of it.
pub(super) enum Due {
    /// A new instance.
    Replace(Replaced),
    /// A new instance by another plan, as the guest's code may be another then.
    Change(Box<Plan>),
}

impl Instance {
    /// Whether the memory of an instance that is about to be restored has been larger than needed for too long.
    #[inline]
    pub(super) fn holds_idle_memory(&mut self) -> bool {
        // As much as the limiter granted: the size itself takes longer to look up.
        let grown = self.phase.live().is_some_and(|live| live.store.data().limiter.granted() > self.retained);
        grown && self.is_idle()
    }

    #[cold]
    fn is_idle(&mut self) -> bool {
        let (Some(retention), Some(live)) = (self.config.retention, self.phase.live_mut()) else {
            return false;
        };
        if !self.plan.is_in_place() {
            return false;
        }
        let most = retention.bytes.max(live.snapshot.memory.len() as u64);
        let physical = live.handles.memory.data_size(&live.store) as u64;
        // Without virtual growth a guest does not tell how much it needed, and its memory is never idle.
        if physical <= most || live.logical_bytes() > most {
            self.idle = 0;
            return false;
        }
        self.idle += 1;
        self.idle >= retention.restores
    }

    /// Does what is due after a call. Where that fails, the next call tries again to make an instance.
    #[cold]
    pub(super) async fn carry_out<M: Mode>(&mut self, due: Due) {
        match due {
            Due::Replace(why) => drop(self.replace_for::<M>(why).await),
            Due::Change(plan) => {
                let before = self.follow(*plan);
                if self.replace_for::<M>(Replaced::AnotherStrategy).await.is_err() {
                    self.follow(before);
                }
            }
        }
    }

    /// Replaces the instance and says why.
    pub(super) async fn replace_for<M: Mode>(&mut self, why: Replaced) -> Result<(), LoadError> {
        self.replace_uncalled::<M>(why).await?;
        self.last_stats.replaced = Some(why);
        Ok(())
    }

    /// Replaces the instance at another time than after a call, whose figures would tell, and counts that.
    pub(super) async fn replace_uncalled<M: Mode>(&mut self, why: Replaced) -> Result<(), LoadError> {
        within!(debug_span, "replace", guest = self.guest.name(), reason = why.kind(); self.replace::<M>())?;
        if let Some(tally) = &mut self.tally {
            tally.replaced(why);
        }
        Ok(())
    }

    /// Why an instance is replaced that was not restored in place.
    pub(super) fn why_replaced(&self) -> Replaced {
        match self.plan.mechanism {
            Mechanism::Replace => Replaced::ByStrategy,
            Mechanism::InPlace { .. } => Replaced::NotRestorable,
        }
    }

    /// Goes by this plan from the next instance on, and returns the one before.
    pub(super) fn follow(&mut self, plan: Plan) -> Plan {
        self.config.strategy = plan.choice.strategy;
        std::mem::replace(&mut self.plan, plan)
    }

    /// Bytes that a reset of the heap copies back.
    pub(super) fn reset_bytes(&self) -> u64 {
        let live = self.phase.live();
        live.map_or(0, |live| live.snapshot.reset.iter().map(|range| range.len() as u64).sum())
    }

    /// The strategy that could take the place of `dirty-cards`: one that asks the guest's allocator, if the allocator keeps
    /// a control block.
    pub(super) fn alternative(&self) -> Option<RestoreStrategy> {
        // Marks also save comparing and copying the bytes of blocks, which a trial does not count.
        if self.plan.choice.strategy != RestoreStrategy::DirtyCards
            || self.guest.info().imports_blocks()
            || self.guest.admission().allocator_aware().is_err()
        {
            return None;
        }
        let block = self.phase.live()?.snapshot.control_block?;
        match block.image.allocator()? {
            AllocatorKind::BumpReset => Some(RestoreStrategy::BumpReset),
            _ => Some(RestoreStrategy::Watermark),
        }
    }

    /// Where another strategy is on trial, the bytes that it would write at least if it restored the instance now.
    #[inline]
    pub(super) fn expected_of_alternative(&mut self, succeeded: bool) -> Option<Expected> {
        match &self.plan.trial {
            Some(trial) if succeeded => {
                let alternative = trial.alternative();
                Some(self.expected_of(alternative))
            }
            _ => None,
        }
    }

    #[cold]
    fn expected_of(&mut self, alternative: RestoreStrategy) -> Expected {
        if alternative == RestoreStrategy::BumpReset && self.config.residue == Residue::Keep {
            return Some(self.reset_bytes());
        }
        let live = self.phase.live_mut()?;
        let block = live.control_block()?;
        let regions = &live.snapshot.regions;
        let used = (block.image.effective_high_water() as usize).saturating_sub(regions.statics().start);
        // A call may have used little of the exchange region.
        Some(used.saturating_sub(regions.exchange().len()) as u64)
    }

    /// Takes note of a restore after a call that succeeded, and returns the change to another strategy where that is due.
    #[cold]
    pub(super) fn learn(&mut self, written: u64, expected: Expected) -> Option<Due> {
        let mut trial = self.plan.trial.take()?;
        let next = trial.restored(self.plan.choice, written, expected);
        let goes_on = (!trial.is_over()).then_some(trial);
        if let Some(next) = next
            && let Ok(mut plan) = self.guest.plan(next, &self.config)
        {
            plan.trial = goes_on;
            return Some(Due::Change(Box::new(plan)));
        }
        self.plan.trial = goes_on;
        None
    }
}

/// Bytes that another strategy would write at least; `None` where its control block cannot be read, so that it could not
/// restore.
pub(super) type Expected = Option<u64>;
