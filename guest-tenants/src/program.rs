//! A program: a guest that keeps its memory between calls.

use std::fmt;
use std::sync::Arc;

use guest_host::{Guest, Instance, InstanceConfig, LoadError, MemoryState, RestorePolicy, RestoreStrategy};

/// A guest that keeps its memory between calls, with the configuration of its instances. Cheap to clone; clones are the same
/// program, whose tenants share instances.
#[derive(Clone)]
pub struct Program {
    inner: Arc<Inner>,
}

struct Inner {
    guest: Guest,
    config: InstanceConfig,
}

impl Program {
    /// The program of a guest. Its instances are restored after calls that failed, whatever the policy in `config`. In the place of
    /// [`RestoreStrategy::Auto`] they have the strategy `dirty-cards`, as that knows which cards to look at when a tenant falls asleep.
    #[must_use]
    pub fn new(guest: &Guest, config: &InstanceConfig) -> Self {
        let mut config = config.clone().with_policy(RestorePolicy::OnError);
        if config.strategy == RestoreStrategy::Auto {
            config.strategy = RestoreStrategy::DirtyCards;
        }
        Self { inner: Arc::new(Inner { guest: guest.clone(), config }) }
    }

    /// The guest.
    #[must_use]
    pub fn guest(&self) -> &Guest {
        &self.inner.guest
    }

    /// How its instances are made.
    #[must_use]
    pub fn config(&self) -> &InstanceConfig {
        &self.inner.config
    }

    /// Whether another one is the same program.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }

    /// An instance that reads an empty state, so that all begin alike.
    pub(crate) fn instantiate(&self) -> Result<Instance, LoadError> {
        self.inner.guest.instantiate(&self.inner.config, MemoryState::new())
    }
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Program").field(&self.inner.guest.name()).finish()
    }
}
