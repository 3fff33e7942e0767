//! The allocators inside wasm: random programs whose content and counters are checked, memory that is used again, and
//! pages that are there after a restore.

use guest_build::Allocator;
use guest_host::{AllocationSource, Cause, MemoryState, Residue, RestorePolicy, RestoreStrategy};
use guest_prepare::PrepareOptions;
use host_harness::parse_state;

use super::{best, config, config_with_policy, field, instance, load, load_with, strategies};

const OWN: [Allocator; 4] = [Allocator::Leaking, Allocator::BumpReset, Allocator::Freelist, Allocator::Wee];

/// Steps of each program.
const STEPS: u32 = 400;

/// The record that tells `program` its seed and its length.
fn programs(seed: u32) -> MemoryState {
    let text = format!(
        r#"[{{"storage": "sys.View", "entity": "allocator-probe.Program", "value": {{"Seed": {seed}, "Steps": {STEPS}}}}}]"#
    );
    parse_state(&text, "programs".as_ref()).expect("the state is right")
}

/// Runs `count` programs with the seeds from `seed` on, without restores in between where `lazy`.
fn run_programs(allocator: Allocator, strategy: RestoreStrategy, residue: Residue, seed: u32, count: u32, lazy: bool) {
    let mut config = config(strategy, residue);
    // Nothing is ever given back by those that do not free: a program takes up to 2 MB.
    config.memory_limit = 128 << 20;
    if lazy {
        config.policy = RestorePolicy::Never;
    }
    let guest = load("allocator-probe", allocator);
    let mut instance = guest.instantiate(&config, programs(seed)).expect("the guest is admitted");
    for expected_seed in seed..seed + count {
        let told = format!("{allocator}, {strategy}, {residue}, seed {expected_seed}");
        let outcome = instance.invoke_by_name("program").unwrap_or_else(|failure| panic!("{told}: {failure}"));
        assert_eq!(field(&outcome, "Seed"), i64::from(expected_seed) + 1, "{told}");
        let stats = outcome.stats().allocations.unwrap_or_else(|| panic!("{told}: nothing was counted"));
        if allocator == Allocator::System {
            assert_eq!(stats.source, AllocationSource::CountedCalls, "{told}");
        } else {
            assert_eq!(stats.source, AllocationSource::ControlBlock, "{told}");
            let counted = [
                ("Allocations", Some(stats.allocations)),
                ("Deallocations", stats.deallocations),
                ("Reallocations", stats.reallocations),
                ("AllocatedBytes", stats.allocated_bytes),
                ("FreedBytes", stats.freed_bytes),
            ];
            for (name, counted) in counted {
                assert_eq!(counted.map(u64::cast_signed), Some(field(&outcome, name)), "{told}: {name}");
            }
            assert_eq!(Some(stats.allocations), stats.deallocations, "{told}");
        }
        let intents = outcome.intent_bytes().to_vec();
        instance.state_mut().expect("it is alive").apply(&intents).expect("the record is there");
    }
}

#[test]
fn random_programs_get_what_they_ask_for_and_counters_are_exact() {
    for allocator in Allocator::ALL {
        for strategy in strategies(allocator) {
            for residue in super::RESIDUES {
                run_programs(allocator, *strategy, residue, 0, 25, false);
            }
        }
    }
}

#[test]
fn they_do_without_restores_in_between_too() {
    for allocator in Allocator::ALL {
        run_programs(allocator, best(allocator), Residue::Keep, 1000, 25, true);
    }
}

#[test]
fn large_blocks_that_were_freed_are_used_again() {
    for allocator in [Allocator::System, Allocator::Freelist, Allocator::Wee] {
        let mut instance = instance("allocator-probe", allocator, &config(RestoreStrategy::FullCopy, Residue::Scrub));
        let outcome = instance.invoke_by_name("large_blocks_again").unwrap_or_else(|failure| panic!("{failure}"));
        assert_eq!(field(&outcome, "PagesAfterFirst"), field(&outcome, "PagesAfterLast"), "{allocator}");
    }
    // Of two blocks the first is freed first; a bump allocator gets back at most the newest.
    for allocator in [Allocator::Leaking, Allocator::BumpReset] {
        let mut instance = instance("allocator-probe", allocator, &config(RestoreStrategy::FullCopy, Residue::Scrub));
        let failure = instance.invoke_by_name("large_blocks_again").expect_err("15 MB are more than there are");
        assert!(matches!(failure.cause, Cause::OutOfMemory { requested: 300_000, .. }), "{allocator}: {failure}");
    }
}

#[test]
fn strings_that_are_dropped_need_little_memory_where_memory_is_freed() {
    for allocator in [Allocator::System, Allocator::Freelist, Allocator::Wee] {
        let mut instance = instance("bench", allocator, &config(RestoreStrategy::FullCopy, Residue::Scrub));
        instance.invoke_by_name("strings_300mb").unwrap_or_else(|failure| panic!("{allocator}: {failure}"));
        let pages = instance.last_stats().pages;
        assert!(pages <= 16, "{allocator}: {pages} pages for 300 KB at a time");
    }
    let mut instance = instance("bench", Allocator::Leaking, &config(RestoreStrategy::FullCopy, Residue::Scrub));
    let failure = instance.invoke_by_name("strings_300mb").expect_err("300 MB are more than there are");
    assert!(matches!(failure.cause, Cause::OutOfMemory { .. }), "{failure}");
}

/// The oldest string of a round is dropped first, so only the newest comes back: 200,000 bytes are lost with each round.
#[test]
fn strings_fail_under_bump_reset_with_exact_figures_and_the_next_call_works() {
    const LIMIT: u64 = 16 << 20;
    for strategy in strategies(Allocator::BumpReset) {
        let mut config = config(*strategy, Residue::Scrub);
        config.memory_limit = LIMIT;
        let mut instance = instance("bench", Allocator::BumpReset, &config);
        for _ in 0..2 {
            let failure = instance.invoke_by_name("strings_300mb").expect_err("200 MB are more than there are");
            let expected = Cause::OutOfMemory { requested: 100_000, in_use: LIMIT, limit: LIMIT };
            assert_eq!(format!("{:?}", failure.cause), format!("{expected:?}"), "{strategy}");
            instance.invoke_by_name("one_get").unwrap_or_else(|failure| panic!("{strategy}: {failure}"));
        }
    }
}

#[test]
fn what_is_refused_is_refused_and_the_heap_goes_on() {
    for allocator in Allocator::ALL {
        let config = config_with_policy(best(allocator), RestorePolicy::Never);
        let mut instance = instance("allocator-probe", allocator, &config);
        for _ in 0..3 {
            instance.invoke_by_name("refused_and_served").unwrap_or_else(|failure| panic!("{allocator}: {failure}"));
        }
    }
}

/// Physical pages after 10 and after 500 calls that need 1 MiB each, in a guest that sees physical pages.
fn pages_without_virtual_growth(allocator: Allocator, strategy: RestoreStrategy, residue: Residue) -> (u64, u64) {
    let guest = load_with("allocator-probe", allocator, PrepareOptions::default().with_virtual_growth(false));
    let mut config = config(strategy, residue);
    config.memory_limit = 256 << 20;
    let mut instance = guest.instantiate(&config, MemoryState::new()).expect("the guest is admitted");
    let mut call = |times| {
        let addresses: Vec<i64> =
            (0..times).map(|_| field(&instance.invoke_by_name("grow").expect("there is room"), "Address")).collect();
        assert!(addresses.iter().all(|address| *address == addresses[0]), "{allocator}, {strategy}, {residue}");
        instance.physical_pages()
    };
    (call(10), call(490))
}

#[test]
fn pages_that_a_restore_leaves_are_adopted_again() {
    for allocator in OWN {
        let in_place = strategies(allocator).iter().filter(|strategy| **strategy != RestoreStrategy::Reinstantiate);
        for strategy in in_place {
            for residue in super::RESIDUES {
                let (early, late) = pages_without_virtual_growth(allocator, *strategy, residue);
                assert_eq!(early, late, "{allocator}, {strategy}, {residue}");
            }
        }
    }
}

/// Rust's default allocator grows anew after each restore, which is what virtual growth is for.
#[test]
fn virtual_growth_keeps_the_default_allocator_from_creeping() {
    let mut config = config(RestoreStrategy::FullCopy, Residue::Scrub);
    config.memory_limit = 64 << 20;
    let run = |virtual_growth| {
        let guest = load_with(
            "allocator-probe",
            Allocator::System,
            PrepareOptions::default().with_virtual_growth(virtual_growth),
        );
        let mut instance = guest.instantiate(&config, MemoryState::new()).expect("the guest is admitted");
        let mut call = || instance.invoke_by_name("grow").map(drop).map(|()| 0).err();
        let failed = (0..500).find_map(|_| call());
        (instance.physical_pages(), failed)
    };
    let (pages, failed) = run(true);
    assert!(failed.is_none() && pages < 40, "{pages} pages");
    let (_, failed) = run(false);
    assert!(matches!(failed.expect("memory creeps up to the limit").cause, Cause::OutOfMemory { .. }));
}
