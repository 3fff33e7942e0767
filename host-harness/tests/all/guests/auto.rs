//! The trial of `auto`, in an instance's first calls.

use guest_build::Allocator;
use guest_host::{Instance, Replaced, Residue, RestorePolicy, RestoreStrategy};

use super::{RESIDUES, config, load, state_of};

/// Calls with one strategy before it is judged.
const CALLS: usize = 8;

fn auto(allocator: Allocator, residue: Residue, policy: RestorePolicy) -> Instance {
    let mut config = config(RestoreStrategy::Auto, residue);
    config.policy = policy;
    // Which `watermark` copies whole, whatever a call used of it.
    config.exchange_size = Some(4096);
    load("bench", allocator).instantiate(&config, state_of("bench")).unwrap()
}

/// After which of so many calls the instance was replaced, from 1.
fn replaced(instance: &mut Instance, function: &str, calls: usize) -> Vec<usize> {
    let mut replaced = Vec::new();
    for call in 1..=calls {
        instance.invoke_by_name(function).unwrap();
        match instance.last_stats().replaced {
            None => {}
            Some(Replaced::AnotherStrategy) => replaced.push(call),
            Some(other) => panic!("call {call}: {other:?}"),
        }
    }
    replaced
}

#[test]
fn a_guest_that_writes_what_it_allocates_goes_on_without_marks() {
    for allocator in [Allocator::Leaking, Allocator::Freelist, Allocator::Wee] {
        let mut instance = auto(allocator, Residue::Keep, RestorePolicy::EveryCall);
        assert_eq!(instance.strategy().strategy, RestoreStrategy::DirtyCards, "{allocator}");
        assert_eq!(replaced(&mut instance, "append_10000", 5 * CALLS), [CALLS], "{allocator}");
        assert_eq!(instance.strategy().strategy, RestoreStrategy::Watermark, "{allocator}");
        assert_eq!(instance.strategy_name(), "watermark", "{allocator}");
        assert!(instance.strategy().reason.contains("first calls"), "{allocator}");
    }
}

#[test]
fn a_guest_that_writes_little_keeps_its_marks() {
    for allocator in [Allocator::Leaking, Allocator::BumpReset, Allocator::Freelist, Allocator::Wee] {
        let mut instance = auto(allocator, Residue::Scrub, RestorePolicy::EveryCall);
        assert_eq!(replaced(&mut instance, "do_nothing", 5 * CALLS), [0; 0], "{allocator}");
        assert_eq!(instance.strategy().strategy, RestoreStrategy::DirtyCards, "{allocator}");
    }
}

#[test]
fn a_guest_whose_allocator_tells_nothing_keeps_its_marks() {
    let mut instance = auto(Allocator::System, Residue::Keep, RestorePolicy::EveryCall);
    assert_eq!(replaced(&mut instance, "append_10000", 5 * CALLS), [0; 0]);
    assert_eq!(instance.strategy().strategy, RestoreStrategy::DirtyCards);
}

#[test]
fn outcomes_are_those_of_a_fresh_instance_while_strategies_change() {
    for allocator in Allocator::ALL {
        for residue in RESIDUES {
            let mut instance = auto(allocator, residue, RestorePolicy::EveryCall);
            let mut left = || instance.invoke_by_name("append_10000").unwrap().intent_bytes().to_vec();
            let first = left();
            for call in 1..3 * CALLS {
                assert_eq!(left(), first, "{allocator}, {residue}, call {call}: the vector is empty again");
            }
            assert!(instance.is_pristine());
        }
    }
}

#[test]
fn calls_that_are_seldom_followed_by_a_restore_run_without_marks() {
    for policy in [RestorePolicy::OnError, RestorePolicy::Never, RestorePolicy::OnHeapAbove(1 << 20)] {
        for allocator in Allocator::ALL {
            for residue in RESIDUES {
                let expected = match (allocator, residue) {
                    (Allocator::System, _) => RestoreStrategy::FullCopy,
                    (Allocator::BumpReset, Residue::Keep) => RestoreStrategy::BumpReset,
                    _ => RestoreStrategy::Watermark,
                };
                let instance = auto(allocator, residue, policy);
                assert_eq!(instance.strategy().strategy, expected, "{allocator}, {residue}, {policy}");
            }
        }
    }
}
