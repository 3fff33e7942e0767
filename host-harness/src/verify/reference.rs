//! The fresh instances that a restored one is compared with.

use guest_host::restore::Restore;
use guest_host::{
    Engine, EngineConfig, Guest, Instance, InstanceAllocation, InstanceConfig, LoadError, MemoryState, RestoreStrategy,
};

use super::RingOptions;
use super::tested::{Tested, in_ring_or_alone};

/// An instance that is made anew for every call, and joins a ring anew if the subject is in one.
///
/// Some breaches of the rules of memory blocks are found only by the marks of a write barrier. So where a guest may have blocks, it has
/// a write barrier exactly if the restored instance has one.
pub(super) struct Reference {
    guest: Guest,
    config: InstanceConfig,
    /// The ring that it joins.
    ring: Option<RingOptions>,
    has_marks: bool,
    pub(super) instance: Box<dyn Tested>,
}

impl Reference {
    /// One for this subject, which has this configuration and has joined such a ring.
    pub(super) fn new(
        guest: &Guest,
        subject: &Instance,
        config: InstanceConfig,
        ring: Option<RingOptions>,
        state: &MemoryState,
    ) -> Result<Self, LoadError> {
        let guest = outside_of_pools(guest)?;
        let config = config.with_strategy(RestoreStrategy::Reinstantiate);
        let has_marks = needs_marks(subject);
        let instance = in_ring_or_alone(make(&guest, &config, has_marks, state.clone())?, ring)?;
        Ok(Self { guest, config, ring, has_marks, instance })
    }

    /// Takes a write barrier, or gives it up, if the strategy of the subject was replaced by another.
    pub(super) fn follow(&mut self, subject: &Instance) -> Result<(), LoadError> {
        let needs_marks = needs_marks(subject);
        if self.has_marks != needs_marks {
            let state = self.instance.state_mut().and_then(|state| state.downcast_mut::<MemoryState>());
            let state = state.cloned().unwrap_or_default();
            self.instance = in_ring_or_alone(make(&self.guest, &self.config, needs_marks, state)?, self.ring)?;
            self.has_marks = needs_marks;
        }
        Ok(())
    }
}

fn needs_marks(subject: &Instance) -> bool {
    subject.guest().info().imports_blocks() && subject.in_place().is_some_and(Restore::wants_marks)
}

fn make(guest: &Guest, config: &InstanceConfig, has_marks: bool, state: MemoryState) -> Result<Instance, LoadError> {
    if has_marks { guest.instantiate_anew_with_marks(config, state) } else { guest.instantiate(config, state) }
}

/// The guest with instances in memory that the system has mapped for each of them.
fn outside_of_pools(guest: &Guest) -> Result<Guest, LoadError> {
    match guest.engine().config() {
        EngineConfig { allocation: InstanceAllocation::OnDemand, .. } => Ok(guest.clone()),
        pooled => {
            let config = pooled.clone().with_allocation(InstanceAllocation::OnDemand);
            guest.for_engine(&Engine::new(&config)?)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use guest_host::PrepareOptions;
    use guest_state::state_file::parse_state;

    use super::*;

    #[test]
    fn it_has_a_write_barrier_exactly_if_the_subject_has_one() {
        let engine = Engine::new(&EngineConfig::default()).unwrap();
        let load = |text: &str| Guest::load(&engine, "test", &wat::parse_str(text).unwrap(), PrepareOptions::default());
        let guest = load(include_str!("../../../guest-host/examples/increment.wat")).unwrap();
        let by = |guest: &Guest, strategy| {
            let config = InstanceConfig::default().with_strategy(strategy);
            guest.instantiate(&config, MemoryState::new()).unwrap()
        };
        let subjects = [RestoreStrategy::DirtyCards, RestoreStrategy::FullCopy, RestoreStrategy::Reinstantiate];
        let [marking, comparing, new] = subjects.map(|strategy| by(&guest, strategy));
        let state = parse_state(r#"[{"storage": "s", "value": {}}]"#, Path::new("state.json")).unwrap();
        let mut reference = Reference::new(&guest, &marking, InstanceConfig::default(), None, &state).unwrap();
        for (subject, has_marks) in [(&marking, true), (&comparing, false), (&marking, true), (&new, false)] {
            reference.follow(subject).unwrap();
            assert_eq!(reference.has_marks, has_marks);
            // It is still made anew for each call, and reads the same state.
            assert!(reference.instance.instance().in_place().is_none());
            assert_eq!(reference.instance.state_mut().unwrap().downcast_mut::<MemoryState>().unwrap().len(), 1);
        }
        let without_blocks = load(r#"(module (memory (export "memory") 1) (func (export "f")))"#).unwrap();
        assert!(!needs_marks(&by(&without_blocks, RestoreStrategy::DirtyCards)), "nothing is found by the marks");
    }
}
