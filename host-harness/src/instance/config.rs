//! How an instance is made and kept, and by which strategy.

use std::time::Duration;

use guest_abi::names;

use crate::call::CallLimits;
use crate::guest::Guest;
use crate::policy::{Residue, RestorePolicy, RestoreStrategy};

/// How an [`Instance`](crate::Instance) is made and kept.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct InstanceConfig {
    /// How it is restored. Left to the harness by default.
    pub strategy: RestoreStrategy,
    /// When it is restored.
    pub policy: RestorePolicy,
    /// What becomes of residue.
    pub residue: Residue,
    /// Bytes of linear memory that it may have.
    pub memory_limit: u64,
    /// How long a call may take; `None` for ever.
    pub deadline: Option<Duration>,
    /// How long initialisation may take.
    pub init_deadline: Duration,
    /// Bytes of its exchange region.
    pub exchange_size: u32,
    /// Bounds on what a call may leave.
    pub limits: CallLimits,
    /// Whether [`CallStats`](crate::CallStats) include the allocator's counters and the page count, which costs some
    /// nanoseconds.
    pub count: bool,
    /// Whether calls of host functions are traced.
    pub trace: bool,
}

impl Default for InstanceConfig {
    fn default() -> Self {
        Self {
            strategy: RestoreStrategy::Auto,
            policy: RestorePolicy::default(),
            residue: Residue::default(),
            memory_limit: 128 << 20,
            deadline: Some(Duration::from_secs(1)),
            init_deadline: Duration::from_secs(10),
            exchange_size: names::DEFAULT_EXCHANGE_SIZE,
            limits: CallLimits::default(),
            count: false,
            trace: false,
        }
    }
}

/// A strategy, and why it was picked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Choice {
    /// The strategy; never [`RestoreStrategy::Auto`] for an instance that the harness restores.
    pub strategy: RestoreStrategy,
    /// Why, in words.
    pub reason: &'static str,
}

impl Choice {
    const RESIDUE_KEPT: Self = Self {
        strategy: RestoreStrategy::BumpReset,
        reason: "residue may be kept, and the guest's allocator can be reset",
    };
    pub(super) const EVERY_BYTE: Self = Self {
        strategy: RestoreStrategy::DirtyCards,
        reason: "the guest can be restored in place, and what its stores mark costs least to put back",
    };
    pub(super) const NO_BARRIER: Self = Self {
        strategy: RestoreStrategy::FullCopy,
        reason: "the guest can be restored in place, but not be given a write barrier",
    };
    const NOT_IN_PLACE: Self =
        Self { strategy: RestoreStrategy::Reinstantiate, reason: "the guest cannot be restored in place" };

    pub(super) const fn asked(strategy: RestoreStrategy) -> Self {
        Self { strategy, reason: "it was asked for" }
    }

    /// What to try first for a guest.
    pub(super) fn first(guest: &Guest, residue: Residue) -> Self {
        let admission = guest.admission();
        if residue == Residue::Keep && admission.allocator_aware().is_ok() {
            Self::RESIDUE_KEPT
        } else if admission.full_copy().is_ok() {
            Self::EVERY_BYTE
        } else {
            Self::NOT_IN_PLACE
        }
    }
}

/// Whether an instance may be invoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Status {
    /// It may.
    Ready,
    /// A call is under way.
    Running,
    /// A call or a restore did not come to its end. It is replaced before the next call.
    Poisoned,
}
