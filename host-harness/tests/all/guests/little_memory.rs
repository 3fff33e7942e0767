//! Guests in 256 KiB: every allocator with every strategy serves a thousand calls, and survives the calls that need more.

use guest_build::Allocator;
use guest_host::{AllocationStats, Cause, Guest, InstanceConfig, Residue, RestorePolicy, RestoreStrategy};
use host_harness::budget::{Budget, PartKind};

use super::both_contracts::exttinygo;
use super::{RESIDUES, config, load, state_of, strategies};

/// Bytes of memory that a guest may have.
const LITTLE: u64 = 256 << 10;

const CALLS: usize = 1_000;

fn little(strategy: RestoreStrategy, residue: Residue) -> InstanceConfig {
    config(strategy, residue).with_memory_limit(LITTLE)
}

/// The figures of a call that the size of memory must not change.
fn figures(stats: &AllocationStats) -> [Option<u64>; 5] {
    let AllocationStats { allocations, deallocations, reallocations, allocated_bytes, freed_bytes, .. } = *stats;
    [Some(allocations), deallocations, reallocations, allocated_bytes, freed_bytes]
}

/// Makes the calls in turns, and compares what each allocates and leaves with a call in much memory.
fn serves(name: &str, guest: &Guest, strategy: RestoreStrategy, residue: Residue) {
    let functions = guest.functions().to_vec();
    let mut ample = guest.instantiate(&config(strategy, residue), state_of(name)).expect("the guest is admitted");
    let expected: Vec<_> = functions
        .iter()
        .map(|function| {
            let outcome = ample.invoke_by_name(function).unwrap_or_else(|failure| panic!("{failure}"));
            (figures(outcome.stats().allocations.as_ref().expect("they are counted")), outcome.intent_bytes().to_vec())
        })
        .collect();
    let told = format!("{}, {strategy}, {residue}", guest.name());
    let mut instance =
        guest.instantiate(&little(strategy, residue), state_of(name)).unwrap_or_else(|error| panic!("{told}: {error}"));
    for (function, (counts, intents)) in functions.iter().zip(&expected).cycle().take(CALLS) {
        let outcome = instance.invoke_by_name(function).unwrap_or_else(|failure| panic!("{told}: {failure}"));
        assert_eq!(figures(outcome.stats().allocations.as_ref().expect("as above")), *counts, "{told}: {function}");
        assert_eq!(outcome.intent_bytes(), intents, "{told}: {function}");
        assert!(outcome.stats().pages * 0x1_0000 <= LITTLE, "{told}: {function}");
    }
}

#[test]
fn every_allocator_serves_a_thousand_calls_with_every_strategy() {
    for allocator in Allocator::ALL {
        let guest = load("shop", allocator);
        for strategy in strategies(allocator) {
            for residue in RESIDUES {
                serves("shop", &guest, *strategy, residue);
            }
        }
    }
}

#[test]
fn guests_of_the_other_contract_do_too() {
    for allocator in Allocator::ALL {
        let guest = exttinygo("shop", allocator);
        for strategy in strategies(allocator) {
            serves("shop", &guest, *strategy, Residue::Scrub);
        }
    }
}

/// A call that needs 300,000 bytes at a time fails with its cause, and the next call does not notice.
#[test]
fn who_needs_more_is_told_and_the_next_call_is_served() {
    for allocator in Allocator::ALL {
        let guest = load("bench", allocator);
        for strategy in strategies(allocator) {
            for policy in [RestorePolicy::EveryCall, RestorePolicy::OnError] {
                let told = format!("{allocator}, {strategy}, {policy}");
                let config = little(*strategy, Residue::Scrub).with_policy(policy);
                let mut instance = guest.instantiate(&config, state_of("bench")).expect("the guest is admitted");
                for _ in 0..3 {
                    let failure = instance.invoke_by_name("strings_300mb").expect_err("there is less memory");
                    match failure.cause {
                        Cause::OutOfMemory { requested, in_use, limit } => {
                            assert_eq!(limit, LITTLE, "{told}");
                            assert!(requested >= 100_000 && in_use <= LITTLE, "{told}: {requested} beside {in_use}");
                        }
                        other => panic!("{told}: {other:?}"),
                    }
                    instance.invoke_by_name("one_get").unwrap_or_else(|failure| panic!("{told}: {failure}"));
                }
            }
        }
    }
}

/// What a call leaves in the heap must not add up where nothing puts it back.
#[test]
fn allocators_that_free_serve_without_restores() {
    for allocator in [Allocator::System, Allocator::Freelist, Allocator::Wee] {
        let guest = load("shop", allocator);
        let config = little(RestoreStrategy::FullCopy, Residue::Scrub).with_policy(RestorePolicy::Never);
        let mut instance = guest.instantiate(&config, state_of("shop")).expect("the guest is admitted");
        for function in guest.functions().iter().cycle().take(CALLS) {
            instance.invoke_by_name(function).unwrap_or_else(|failure| panic!("{allocator}: {failure}"));
        }
    }
}

/// The usual exchange region is halved where memory has no room for it, and a size that was asked for is not.
#[test]
fn the_usual_exchange_region_shrinks_where_there_is_no_room() {
    let guest = load("shop", Allocator::System);
    let size = |memory, exchange| {
        let config = little(RestoreStrategy::Reinstantiate, Residue::Scrub).with_memory_limit(memory);
        let instance = guest.instantiate(&config.with_exchange_size(exchange), state_of("shop")).ok()?;
        instance.memory().map(|(_, snapshot)| snapshot.regions().exchange().len())
    };
    assert_eq!(size(1 << 20, None), Some(65_536));
    // This allocator takes whole pages for each request, and leaves those of the statics alone.
    assert_eq!(size(LITTLE, None), Some(32_768));
    assert_eq!(size(LITTLE, Some(65_536)), None);
    assert_eq!(size(LITTLE, Some(16_384)), Some(16_384));
}

#[test]
fn a_budget_divides_the_memory_of_every_allocator() {
    for allocator in Allocator::ALL {
        let guest = load("shop", allocator);
        let budget = Budget::of(&guest, LITTLE, &InstanceConfig::default(), &state_of("shop"));
        let told = format!("{allocator}: {budget:?}");
        assert!(budget.fits && budget.missing == Some(0), "{told}");
        assert_eq!(budget.parts.iter().map(|part| part.bytes).sum::<u64>(), LITTLE, "{told}");
        assert_eq!(budget.bytes(PartKind::ShadowStack), 65_536, "{told}");
        assert!(budget.stack_used.is_some_and(|used| (100..8_192).contains(&used)), "{told}");
        assert_eq!(budget.calls.len(), guest.functions().len(), "{told}");
        let has_block = allocator != Allocator::System;
        assert_eq!(budget.bytes(PartKind::ControlBlock) > 0, has_block, "{told}");
        assert_eq!(budget.bytes(PartKind::FreeHeap) > 64 << 10, has_block, "{told}");
        assert!(budget.calls.iter().all(|call| call.heap.is_some() == has_block), "{told}");
    }
}
