//! When an instance that could be restored in place is replaced all the same: because its memory grew beyond what calls
//! need, or because another strategy serves it better.

use std::mem;

use guest_abi::AllocatorKind;

use super::make::TakenUp;
use super::{Instance, Mechanism};
use crate::guest::error::LoadError;
use crate::host::outcome::Replaced;
use crate::restore::policy::{Residue, RestoreStrategy};

impl Instance {
    /// Whether the memory of an instance that is about to be restored has been larger than needed for too long.
    #[inline]
    pub(super) fn keeps_too_much(&mut self) -> bool {
        // As much as the limiter granted: the size itself takes longer to look up.
        let grown = self.live.as_ref().is_some_and(|live| live.store.data().limiter.granted() > self.retained);
        grown && self.is_idle()
    }

    #[cold]
    fn is_idle(&mut self) -> bool {
        let (Some(retention), Some(live)) = (self.config.retention, &mut self.live) else {
            return false;
        };
        if !matches!(self.mechanism, Mechanism::InPlace { .. }) {
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

    /// Gives memory back by replacing the instance.
    #[cold]
    pub(super) fn give_back(&mut self) {
        // If it fails the next call tries again.
        let _ = self.replace_for(Replaced::Shrunk);
    }

    /// Replaces the instance and says why.
    pub(super) fn replace_for(&mut self, why: Replaced) -> Result<(), LoadError> {
        self.replace_uncalled(why)?;
        self.last_stats.replaced = Some(why);
        Ok(())
    }

    /// Replaces the instance at another time than after a call, of which the figures would tell, and counts that.
    pub(super) fn replace_uncalled(&mut self, why: Replaced) -> Result<(), LoadError> {
        self.replace()?;
        if let Some(tally) = &mut self.tally {
            tally.replaced(why);
        }
        Ok(())
    }

    /// Why an instance is replaced that was not restored in place.
    pub(super) fn why_replaced(&self) -> Replaced {
        match self.mechanism {
            Mechanism::Replace => Replaced::ByStrategy,
            Mechanism::InPlace { .. } => Replaced::NotRestorable,
        }
    }

    /// Takes up another strategy. The instance is to be replaced then, as the guest's code may be another.
    pub(super) fn adopt(&mut self, (choice, (mechanism, compiled)): TakenUp) {
        (self.choice, self.mechanism, self.compiled) = (choice, mechanism, compiled);
        self.config.strategy = choice.strategy;
    }

    /// Bytes that a reset of the heap copies back.
    pub(super) fn reset_bytes(&self) -> u64 {
        let ranges = self.live.as_ref().map(|live| live.snapshot.reset.iter().map(|range| range.len() as u64).sum());
        ranges.unwrap_or(0)
    }

    /// The strategy that could take the place of `dirty-cards`: one that asks the guest's allocator, if that tells.
    pub(super) fn rival(&self) -> Option<RestoreStrategy> {
        if self.choice.strategy != RestoreStrategy::DirtyCards || self.guest.admission().allocator_aware().is_err() {
            return None;
        }
        let block = self.live.as_ref()?.snapshot.control_block?;
        match block.image.allocator()? {
            AllocatorKind::BumpReset => Some(RestoreStrategy::BumpReset),
            _ => Some(RestoreStrategy::Watermark),
        }
    }

    /// Bytes that the rival would write at least, if it restored the instance now; `None` where no strategy is on trial.
    #[inline]
    pub(super) fn expected_of_rival(&mut self, succeeded: bool) -> Option<u64> {
        match &self.trial {
            Some(trial) if succeeded => {
                let rival = trial.rival();
                Some(self.expected_of(rival))
            }
            _ => None,
        }
    }

    #[cold]
    fn expected_of(&mut self, rival: RestoreStrategy) -> u64 {
        if rival == RestoreStrategy::BumpReset && self.config.residue == Residue::Keep {
            return self.reset_bytes();
        }
        let Some(live) = &mut self.live else {
            return 0;
        };
        let Some(block) = live.control_block() else {
            // What cannot be read is not to be asked.
            return u64::MAX >> 8;
        };
        let regions = &live.snapshot.regions;
        let used = (block.image.effective_high_water() as usize).saturating_sub(regions.statics().start);
        // Of the exchange region a call may have used little.
        used.saturating_sub(regions.exchange().len()) as u64
    }

    /// Takes note of a restore after a call that succeeded, and changes to another strategy where that is due.
    #[cold]
    pub(super) fn learn(&mut self, written: u64, expected: u64) {
        let Some(trial) = &mut self.trial else {
            return;
        };
        let next = trial.restored(self.choice, written, expected);
        if trial.is_over() {
            self.trial = None;
        }
        if let Some(next) = next
            && let Ok(found) = self.guest.mechanism(next.strategy, &self.config)
        {
            let before = (self.choice, (mem::replace(&mut self.mechanism, Mechanism::Replace), self.compiled.clone()));
            self.adopt((next, found));
            if self.replace_for(Replaced::AnotherStrategy).is_err() {
                // It stays with what it had, and the next call tries to make an instance again.
                self.adopt(before);
                self.trial = None;
            }
        }
    }
}
