//! How an instance is restored, and what that takes.

use std::sync::Arc;

use super::choice::{Choice, Trial};
use crate::guest::Compiled;
use crate::restore::Restore;

/// How an instance is restored, and what that takes.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) choice: Choice,
    pub(super) mechanism: Mechanism,
    /// The guest's module as it is prepared for the mechanism.
    pub(super) compiled: Arc<Compiled>,
    /// Whether another strategy would serve better, while that is still being found out.
    pub(super) trial: Option<Box<Trial>>,
    /// Whether the strategy is the embedder's own.
    pub(super) is_custom: bool,
}

/// How the instance returns to its snapshot.
#[derive(Debug)]
pub(super) enum Mechanism {
    Replace,
    InPlace {
        restore: Box<dyn Restore>,
        /// Whether calls go through the entrances that put globals back.
        entrances: bool,
    },
}

impl Plan {
    /// Without a trial.
    pub(super) fn new(choice: Choice, mechanism: Mechanism, compiled: Arc<Compiled>) -> Self {
        Self { choice, mechanism, compiled, trial: None, is_custom: false }
    }

    pub(super) fn is_in_place(&self) -> bool {
        matches!(self.mechanism, Mechanism::InPlace { .. })
    }

    /// Whether calls go through entrances that put the guest's own globals back.
    #[inline]
    pub(super) fn uses_entrances(&self) -> bool {
        matches!(self.mechanism, Mechanism::InPlace { entrances: true, .. })
    }
}
