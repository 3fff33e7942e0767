//! Memory does not creep: after 100,000 calls that grow it, each with a restore, it has as many pages as after ten.
//!
//! The guest takes 100,000 bytes with each call, two pages more than a fresh instance has, and keeps them.

use guest_build::Allocator;
use guest_host::{Instance, MemoryState, Residue, RestoreStrategy};
use guest_prepare::PrepareOptions;

use super::{best, config, load_with, strategies};

/// Calls with a strategy that restores in place.
const CALLS: u32 = 100_000;

/// Calls with a new instance for each, which has nothing that could creep; they take a hundred times as long.
const NEW_INSTANCES: u32 = 1_000;

/// Makes the calls and returns the physical pages after the tenth and after the last.
fn pages(mut instance: Instance, calls: u32) -> (u64, u64) {
    let function = instance.guest().function("grow_and_keep").unwrap();
    let mut early = 0;
    for call in 1..=calls {
        instance.invoke(function).unwrap_or_else(|failure| panic!("call {call}: {failure}"));
        if call == 10 {
            early = instance.physical_pages();
        }
    }
    (early, instance.physical_pages())
}

fn instance(
    guest: &str,
    allocator: Allocator,
    strategy: RestoreStrategy,
    residue: Residue,
    virtual_growth: bool,
) -> Instance {
    let options = PrepareOptions::default().with_virtual_growth(virtual_growth);
    let mut config = config(strategy, residue);
    // Little to copy, so that so many calls are quick.
    config.exchange_size = Some(4096);
    let guest = load_with(guest, allocator, options);
    guest.instantiate(&config, MemoryState::new()).expect("the guest serves the strategy")
}

/// With every strategy that the allocator admits.
fn memory_stays_flat(allocator: Allocator) {
    for strategy in strategies(allocator) {
        let calls = if *strategy == RestoreStrategy::Reinstantiate { NEW_INSTANCES } else { CALLS };
        // Scrubbing writes more and grows no more: a tenth of the calls will do.
        for (residue, calls) in [(Residue::Keep, calls), (Residue::Scrub, calls / 10)] {
            let instance = instance("growth", allocator, *strategy, residue, true);
            let fresh = instance.physical_pages();
            let (early, late) = pages(instance, calls);
            let case = format!("{allocator}, {strategy}, {residue}");
            assert_eq!(early, late, "{case}: pages after 10 and after {calls} calls");
            if *strategy != RestoreStrategy::Reinstantiate {
                assert!(early > fresh, "{case}: the guest must grow memory");
            }
        }
    }
}

#[test]
fn memory_stays_flat_with_the_default_allocator() {
    memory_stays_flat(Allocator::System);
}

#[test]
fn memory_stays_flat_with_leaking() {
    memory_stays_flat(Allocator::Leaking);
}

#[test]
fn memory_stays_flat_with_bump_reset() {
    memory_stays_flat(Allocator::BumpReset);
}

#[test]
fn memory_stays_flat_with_freelist() {
    memory_stays_flat(Allocator::Freelist);
}

#[test]
fn memory_stays_flat_with_wee() {
    memory_stays_flat(Allocator::Wee);
}

/// The guests of others keep their pages too when growth is virtual.
#[test]
fn memory_stays_flat_with_allocators_of_others() {
    for guest in ["growth-talc", "growth-lol-alloc"] {
        let (early, late) =
            pages(instance(guest, Allocator::System, RestoreStrategy::FullCopy, Residue::Keep, true), CALLS);
        assert_eq!(early, late, "{guest}");
    }
}

/// Each call grows what is there already: the pages of earlier calls are lost.
#[test]
fn allocators_that_do_not_look_for_pages_creep_without_virtual_growth() {
    for guest in ["growth", "growth-talc", "growth-lol-alloc"] {
        let (early, late) =
            pages(instance(guest, Allocator::System, RestoreStrategy::FullCopy, Residue::Keep, false), 20);
        assert!(late >= early + 10, "{guest}: {early} pages after 10 calls and {late} after 20");
    }
}

/// Ours take up pages that are there before they grow memory.
#[test]
fn ours_stay_flat_without_virtual_growth() {
    for allocator in [Allocator::Leaking, Allocator::BumpReset, Allocator::Freelist, Allocator::Wee] {
        for strategy in [best(allocator), RestoreStrategy::FullCopy] {
            let instance = instance("growth", allocator, strategy, Residue::Keep, false);
            let (early, late) = pages(instance, CALLS / 10);
            assert_eq!(early, late, "{allocator}, {strategy}");
        }
    }
}
