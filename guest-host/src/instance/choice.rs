//! What `auto` picks, and what the first calls of an instance say of it.
//!
//! What admission finds decides first: it is known before anything runs. Against it stands one thing that only calls can
//! show: whether a guest writes most of what a restore without marks would put back anyway. Then its marks tell nothing
//! that its allocator does not know, and it is better off without them. The first calls are counted for that, in bytes and
//! never in time, so that equal calls always lead to the same choice.

use crate::guest::Guest;
use crate::restore::policy::{Residue, RestorePolicy, RestoreStrategy};

/// A strategy, and why it was picked.
///
/// ```
/// use guest_host::{Engine, EngineConfig, Guest, InstanceConfig, MemoryState, PrepareOptions, RestoreStrategy};
///
/// # let engine = Engine::new(&EngineConfig::default())?;
/// # let wasm = wat::parse_str(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/shop.wat")))?;
/// # let guest = Guest::load(&engine, "shop", &wasm, PrepareOptions::default())?;
/// let instance = guest.instantiate(&InstanceConfig::default(), MemoryState::new())?;
/// let choice = instance.strategy();
/// assert_eq!(choice.strategy, RestoreStrategy::DirtyCards);
/// println!("{}: {}", choice.strategy, choice.reason);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Choice {
    /// The strategy; never [`RestoreStrategy::Auto`] for an instance that the harness restores.
    pub strategy: RestoreStrategy,
    /// Why, in words.
    pub reason: &'static str,
}

impl Choice {
    pub(super) const RESIDUE_KEPT: Self = Self {
        strategy: RestoreStrategy::BumpReset,
        reason: "residue may be kept, and the guest's allocator can be reset",
    };
    pub(super) const EVERY_BYTE: Self = Self {
        strategy: RestoreStrategy::DirtyCards,
        reason: "the guest can be restored in place, and what its stores mark costs least to put back",
    };
    pub(super) const MANY_STATICS: Self = Self {
        strategy: RestoreStrategy::DirtyCards,
        reason: "a reset would copy more statics than calls are expected to write",
    };
    pub(super) const NO_BARRIER: Self = Self {
        strategy: RestoreStrategy::FullCopy,
        reason: "the guest can be restored in place, but not be given a write barrier",
    };
    const SELDOM: Self = Self {
        strategy: RestoreStrategy::Watermark,
        reason: "few calls are followed by a restore, which the allocator's word makes cheap enough without marks",
    };
    pub(super) const SELDOM_UNTOLD: Self = Self {
        strategy: RestoreStrategy::FullCopy,
        reason: "few calls are followed by a restore, and marks would slow them all down",
    };
    const NOT_IN_PLACE: Self =
        Self { strategy: RestoreStrategy::Reinstantiate, reason: "the guest cannot be restored in place" };

    pub(super) const fn asked(strategy: RestoreStrategy) -> Self {
        Self { strategy, reason: "it was asked for" }
    }

    /// What to try first for a guest.
    pub(super) fn first(guest: &Guest, residue: Residue, policy: RestorePolicy) -> Self {
        let admission = guest.admission();
        match (admission.allocator_aware().is_ok(), admission.full_copy().is_ok()) {
            (true, _) if residue == Residue::Keep => Self::RESIDUE_KEPT,
            (true, _) if policy.is_lazy() => Self::SELDOM,
            (_, true) if policy.is_lazy() => Self::SELDOM_UNTOLD,
            (_, true) => Self::EVERY_BYTE,
            _ => Self::NOT_IN_PLACE,
        }
    }

    /// What to try where an instance shows that the guest's allocator is not one for the strategy that was tried.
    pub(super) fn without_its_allocator(self, policy: RestorePolicy) -> Option<Self> {
        match self.strategy {
            RestoreStrategy::BumpReset if policy.is_lazy() => Some(Self::SELDOM),
            RestoreStrategy::Watermark => Some(Self::SELDOM_UNTOLD),
            RestoreStrategy::BumpReset => Some(Self::EVERY_BYTE),
            _ => None,
        }
    }
}

/// Bytes of statics and snapshotted heap up to which a reset that copies them all is expected to be cheaper than marks.
///
/// Measured: marks and the restore of the cards of a call that reads one record cost some 75 ns more than a reset of the
/// guest `bench`; in this time 8 KiB are copied.
pub(super) const MOST_STATICS: u64 = 8 << 10;

/// Calls after which a strategy is judged, and of how many of them the bytes must speak for a change.
const CALLS: u32 = 8;
const MOST: u32 = 6;

/// A trial of `dirty-cards` against a strategy that asks the allocator instead.
///
/// After each of some calls, what the cards made the restore write is held against what the alternative is expected to write at
/// least. Where that is little more for most of the calls, the alternative has its calls too, and stays if it keeps to what was
/// expected of it. Calls count alike, however much they write: one that is like no other decides nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Trial {
    alternative: Choice,
    /// The choice before the alternative, while that is tried itself.
    before: Option<Choice>,
    /// Calls that are still to be counted.
    left: u32,
    /// Calls that spoke for the alternative.
    votes: u32,
}

impl Trial {
    const WRITES_ITS_HEAP: &'static str =
        "most of what the first calls wrote is heap of which the allocator tells, so that marks are of no use";

    pub(super) const fn against(alternative: RestoreStrategy) -> Self {
        let alternative = Choice { strategy: alternative, reason: Self::WRITES_ITS_HEAP };
        Self { alternative, before: None, left: CALLS, votes: 0 }
    }

    /// The strategy that is on trial.
    pub(super) const fn alternative(&self) -> RestoreStrategy {
        self.alternative.strategy
    }

    /// Takes note of a restore after a call that succeeded: the bytes that it wrote, and those that the alternative would
    /// write at least, `None` where it could not restore. Returns the choice to change to, where that is due.
    pub(super) fn restored(&mut self, choice: Choice, written: u64, expected: Option<u64>) -> Option<Choice> {
        let speaks_for = match (self.before, expected) {
            (None, Some(expected)) => expected <= written + written / 4,
            (Some(_), Some(expected)) => written <= expected + expected / 4,
            (None, None) => false,
            // No figure is too high for one that is not known.
            (Some(_), None) => true,
        };
        self.votes += u32::from(speaks_for);
        self.left = self.left.saturating_sub(1);
        if self.left > 0 {
            return None;
        }
        match (self.before, self.votes >= MOST) {
            (None, true) => {
                (self.before, self.left, self.votes) = (Some(choice), CALLS, 0);
                Some(self.alternative)
            }
            (None, false) | (Some(_), true) => None,
            (Some(before), false) => Some(before),
        }
    }

    /// Whether there is nothing more to count.
    pub(super) const fn is_over(&self) -> bool {
        self.left == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CARDS: Choice = Choice::EVERY_BYTE;

    /// Goes through the calls of one part of a trial.
    fn calls(trial: &mut Trial, choice: Choice, written: u64, expected: impl Into<Option<u64>>) -> Option<Choice> {
        let expected = expected.into();
        for _ in 1..CALLS {
            assert_eq!(trial.restored(choice, written, expected), None);
            assert!(!trial.is_over());
        }
        trial.restored(choice, written, expected)
    }

    #[test]
    fn an_alternative_that_would_write_much_more_is_not_tried() {
        let mut trial = Trial::against(RestoreStrategy::Watermark);
        assert_eq!(calls(&mut trial, CARDS, 4000, 5001), None);
        assert!(trial.is_over());
    }

    #[test]
    fn an_alternative_that_does_what_was_expected_stays() {
        let mut trial = Trial::against(RestoreStrategy::Watermark);
        let alternative = calls(&mut trial, CARDS, 4000, 5000).unwrap();
        assert_eq!(alternative.strategy, RestoreStrategy::Watermark);
        assert!(!trial.is_over());
        assert_eq!(calls(&mut trial, alternative, 5000, 4000), None);
        assert!(trial.is_over());
    }

    #[test]
    fn an_alternative_that_writes_more_than_was_expected_goes() {
        let mut trial = Trial::against(RestoreStrategy::Watermark);
        let alternative = calls(&mut trial, CARDS, 4000, 5000).unwrap();
        assert_eq!(calls(&mut trial, alternative, 5001, 4000), Some(CARDS));
        assert!(trial.is_over());
    }

    #[test]
    fn an_alternative_that_could_not_restore_is_not_tried() {
        let mut trial = Trial::against(RestoreStrategy::Watermark);
        assert_eq!(calls(&mut trial, CARDS, 4000, None), None);
        assert!(trial.is_over());
    }

    #[test]
    fn a_few_calls_that_write_much_decide_nothing() {
        let mut trial = Trial::against(RestoreStrategy::Watermark);
        for call in 1..=CALLS {
            let (written, expected) = if call <= CALLS - MOST { (4000, 9000) } else { (4000, 4000) };
            assert_eq!(trial.restored(CARDS, written, Some(expected)).is_some(), call == CALLS);
        }
        let mut trial = Trial::against(RestoreStrategy::Watermark);
        for call in 1..=CALLS {
            let (written, expected) = if call < MOST { (1 << 40, 1 << 40) } else { (4000, 9000) };
            assert_eq!(trial.restored(CARDS, written, Some(expected)), None);
        }
    }
}
