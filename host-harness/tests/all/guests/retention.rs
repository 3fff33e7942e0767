//! Memory that one call made grow is given back when calls have not needed it for some time.

use guest_abi::storage;
use guest_build::Allocator;
use guest_host::{Instance, InstanceConfig, MemoryState, Replaced, Residue, RestorePolicy, RestoreStrategy, Retention};

use super::{config, load, strategies};

/// Bytes that may stay.
const KEPT: u64 = 1 << 20;

/// Calls in a row that need no more than that.
const RESTORES: u32 = 3;

fn retaining(strategy: RestoreStrategy) -> InstanceConfig {
    let mut config = config(strategy, Residue::Keep);
    let mut retention = Retention::default();
    (retention.bytes, retention.restores) = (KEPT, RESTORES);
    (config.retention, config.memory_limit) = (Some(retention), 32 << 20);
    config
}

fn state(bytes: i64) -> MemoryState {
    let mut state = MemoryState::new();
    let value = |value: &mut guest_abi::value::ObjectEncoder<'_, Vec<u8>>| {
        value.put_i64("Bytes", bytes);
    };
    state.put(storage::EVENT, "", |_| {}, value).unwrap();
    state
}

/// A call that fills so many bytes of heap; says why the instance was replaced after it.
fn fill(instance: &mut Instance, bytes: i64) -> Option<Replaced> {
    instance.set_state(state(bytes));
    instance.invoke_by_name("fill_heap").unwrap();
    instance.last_stats().replaced
}

#[test]
fn an_instance_that_grew_is_replaced_once_its_memory_has_been_idle_for_long_enough() {
    for allocator in Allocator::ALL {
        for strategy in strategies(allocator).iter().filter(|one| **one != RestoreStrategy::Reinstantiate) {
            let case = format!("{allocator}, {strategy}");
            let mut instance = load("bench", allocator).instantiate(&retaining(*strategy), MemoryState::new()).unwrap();
            let fresh = instance.physical_pages();
            assert_eq!(fill(&mut instance, 8 << 20), None, "{case}: the call needs it");
            let grown = instance.physical_pages();
            assert!(grown >= 128 + fresh / 2, "{case}: {grown} pages");
            assert_eq!(fill(&mut instance, 1000), None, "{case}");
            assert_eq!(fill(&mut instance, 1000), None, "{case}");
            assert_eq!(fill(&mut instance, 8 << 20), None, "{case}: needed again, so it counts anew");
            assert_eq!(instance.physical_pages(), grown, "{case}: what is there is used first");
            for _ in 1..RESTORES {
                assert_eq!(fill(&mut instance, 1000), None, "{case}");
                assert_eq!(instance.physical_pages(), grown, "{case}");
            }
            assert_eq!(fill(&mut instance, 1000), Some(Replaced::Shrunk), "{case}");
            assert_eq!(instance.physical_pages(), fresh, "{case}");
            assert!(instance.is_pristine(), "{case}");
            assert_eq!(fill(&mut instance, 1000), None, "{case}: restored in place again");
        }
    }
}

#[test]
fn what_a_call_left_is_there_although_the_instance_was_replaced_after_it() {
    let guest = load("bench", Allocator::System);
    let mut instance = guest.instantiate(&retaining(RestoreStrategy::DirtyCards), MemoryState::new()).unwrap();
    fill(&mut instance, 8 << 20);
    instance.set_state(super::state_of("bench"));
    let function = guest.function("one_get_one_intent").unwrap();
    let mut replaced = Vec::new();
    for _ in 0..=RESTORES {
        let outcome = instance.invoke(function).unwrap();
        assert_eq!(outcome.intents().count(), 1);
        replaced.push(outcome.stats().replaced);
    }
    assert_eq!(replaced, [None, None, Some(Replaced::Shrunk), None]);
}

#[test]
fn memory_stays_where_nothing_says_otherwise() {
    let mut config = retaining(RestoreStrategy::DirtyCards);
    config.retention = None;
    let mut instance = load("bench", Allocator::System).instantiate(&config, MemoryState::new()).unwrap();
    fill(&mut instance, 8 << 20);
    let grown = instance.physical_pages();
    for _ in 0..100 {
        assert_eq!(fill(&mut instance, 1000), None);
    }
    assert_eq!(instance.physical_pages(), grown);
}

#[test]
fn a_call_that_fails_counts_as_one_that_needed_what_it_had() {
    let mut config = retaining(RestoreStrategy::FullCopy);
    (config.policy, config.memory_limit) = (RestorePolicy::EveryCall, 4 << 20);
    let mut instance = load("bench", Allocator::System).instantiate(&config, MemoryState::new()).unwrap();
    assert_eq!(fill(&mut instance, 3 << 20), None);
    let grown = instance.physical_pages();
    for _ in 0..2 * RESTORES {
        instance.set_state(state(8 << 20));
        instance.invoke_by_name("fill_heap").unwrap_err();
        assert_eq!(fill(&mut instance, 3 << 20), None);
    }
    assert_eq!(instance.physical_pages(), grown);
}

#[test]
fn restores_that_somebody_asks_for_count_where_calls_came_before_them() {
    let mut config = retaining(RestoreStrategy::FullCopy);
    config.policy = RestorePolicy::Never;
    let mut instance = load("bench", Allocator::System).instantiate(&config, MemoryState::new()).unwrap();
    let fresh = instance.physical_pages();
    fill(&mut instance, 8 << 20);
    assert!(instance.restore().unwrap().is_some(), "the call needed it");
    for _ in 0..2 * RESTORES {
        assert!(instance.restore().unwrap().is_some(), "nothing was called");
    }
    for _ in 1..RESTORES {
        fill(&mut instance, 1000);
        assert!(instance.restore().unwrap().is_some());
    }
    fill(&mut instance, 1000);
    assert_eq!(instance.restore().unwrap(), None);
    assert_eq!(instance.last_stats().replaced, Some(Replaced::Shrunk));
    assert_eq!(instance.physical_pages(), fresh);
    assert!(instance.is_pristine());
}
