//! Verification of guests with memory blocks, honest ones and such as break each rule; and the broken hosts that it must catch.

use std::collections::BTreeSet;
use std::time::Duration;

use guest_build::Allocator;
use guest_host::blocks::{BlockSpecimen, JoinError, RingGroup};
use guest_host::{Arguments, Guest, Instance, LoadError, MemoryState, PrepareOptions, Residue, RestoreStrategy};
use host_harness::verify::{
    AllowFailing, Difference, RingOptions, RingRole, Verdict, VerifyOptions, verify, verify_changed,
};

use super::on_demand;
use crate::guests::{config, engine, load};

/// Calls of each verification of honest guests.
const CALLS: u64 = 100;

/// Calls of each verification of the other guest: each stage is called twice in a row, and some more.
const MANY: u64 = 120;

/// A seed with which stages that can only do with the result of another stage get it within so few calls.
const SEED: u64 = 4;

/// Stages that do not end are left out: each takes a deadline, on both sides.
const NEVER_ENDS: &str = "spins_writing";

fn options(guest: &Guest, strategy: RestoreStrategy, residue: Residue) -> VerifyOptions {
    let stages = guest.stages().map(|(name, _)| name).filter(|name| *name != NEVER_ENDS);
    let stages = Some(stages.map(str::to_owned).collect());
    let mut config = config(strategy, residue);
    // The storage of a guest, and room for what it allocates.
    config.memory_limit = 8 << 20;
    VerifyOptions::default().with_config(config).with_functions(stages)
}

/// The strategies that can restore the guest, with the residues that make a difference.
fn ways(guest: &Guest) -> Vec<(RestoreStrategy, Residue)> {
    let mut ways = Vec::new();
    for strategy in RestoreStrategy::ALL.into_iter().chain([RestoreStrategy::Auto]) {
        let residues = match strategy {
            RestoreStrategy::BumpReset => &[Residue::Scrub, Residue::Keep][..],
            _ => &[Residue::Scrub],
        };
        for residue in residues {
            let options = options(guest, strategy, *residue);
            if guest.instantiate(&options.config, MemoryState::new()).is_ok() {
                ways.push((strategy, *residue));
            }
        }
    }
    ways
}

/// Verifies honest guests by each strategy, and returns the ways.
fn hand_each_other_blocks(allocators: &[Allocator]) -> BTreeSet<String> {
    let mut ways_in_all = BTreeSet::new();
    for allocator in allocators {
        let guest = load("exchange", *allocator);
        for (strategy, residue) in ways(&guest) {
            ways_in_all.insert(format!("{strategy}, {residue}"));
            let options = options(&guest, strategy, residue).with_calls(CALLS).with_seed(SEED);
            let verdict = verify(&guest, &options, &MemoryState::new(), &mut |_| ()).unwrap();
            let of = format!("{allocator} by {strategy}, {residue}");
            // Stages that can only do with the result of another one succeed, too.
            assert!(verdict.passed(), "{of}: {verdict:?}");
            assert_eq!((verdict.calls, verdict.skipped_calls()), (CALLS, 0), "{of}");
            assert!((CALLS / 10..CALLS / 2).contains(&verdict.failures), "{of}: {}", verdict.failures);
        }
    }
    ways_in_all
}

#[test]
fn guests_that_hand_each_other_blocks_pass_by_each_strategy() {
    let ways = hand_each_other_blocks(&[Allocator::BumpReset, Allocator::Leaking]);
    assert_eq!(ways.len(), 7, "{ways:?}");
}

#[test]
fn so_they_do_with_allocators_that_reuse_memory() {
    let ways = hand_each_other_blocks(&[Allocator::Freelist, Allocator::System, Allocator::Wee]);
    assert_eq!(ways.len(), 5, "{ways:?}");
}

#[test]
fn guests_that_break_the_rules_do_so_alike_on_both_sides() {
    for allocator in [Allocator::BumpReset, Allocator::Leaking, Allocator::System] {
        let guest = load("exchange-adversary", allocator);
        for (strategy, residue) in ways(&guest) {
            let options = options(&guest, strategy, residue).with_calls(MANY).with_allow_failing(AllowFailing::All);
            let verdict = verify(&guest, &options, &MemoryState::new(), &mut |_| ()).unwrap();
            let of = format!("{allocator} by {strategy}, {residue}");
            assert!(verdict.passed(), "{of}: {verdict:?}");
            assert_eq!(verdict.calls, MANY, "{of}");
            // Without the marks of a write barrier nobody sees this breach, on either side.
            let found = verdict.never_succeeded.iter().any(|failing| failing.function == "writes_published");
            assert_eq!(found, verdict.strategy == "dirty-cards", "{of}: {:?}", verdict.never_succeeded);
        }
    }
}

#[test]
fn a_call_that_a_limit_ends_gives_its_block_back() {
    let guest = load("exchange-adversary", Allocator::BumpReset);
    let verdict = |change: fn(&mut Instance)| {
        let mut options = options(&guest, RestoreStrategy::FullCopy, Residue::Scrub)
            .with_functions(Some(vec![NEVER_ENDS.to_owned()]))
            .with_calls(3)
            .with_allow_failing(AllowFailing::All);
        options.config.deadline = Some(Duration::from_millis(50));
        verify_changed(&guest, &options, &MemoryState::new(), change).unwrap()
    };
    let honest = verdict(|_| ());
    assert!(honest.passed() && honest.failures == 3, "{honest:?}");
    let broken = verdict(|subject| subject.break_blocks(BlockSpecimen::SurvivesRestore));
    found(
        &broken,
        NEVER_ENDS,
        "the state of the memory blocks differs from that of a fresh instance in the input block: free expected, not free",
    );
}

#[test]
fn guests_whose_blocks_are_mapped_pass_too() {
    let mapped = |guest: &str, calls: u64, allow: AllowFailing| {
        let guest = on_demand(&load(guest, Allocator::BumpReset));
        let mut options =
            options(&guest, RestoreStrategy::DirtyCards, Residue::Scrub).with_calls(calls).with_seed(SEED);
        options.config.limits.blocks_mapped_from = 1;
        verify(&guest, &options.with_allow_failing(allow), &MemoryState::new(), &mut |_| ()).unwrap()
    };
    let honest = mapped("exchange", CALLS, AllowFailing::None);
    assert!(honest.passed() && honest.calls == CALLS, "{honest:?}");
    let adversary = mapped("exchange-adversary", MANY, AllowFailing::All);
    assert!(adversary.passed() && adversary.calls == MANY, "{adversary:?}");
}

/// The roles of a guest in a ring.
const ROLES: [RingRole; 2] = [RingRole::Writer, RingRole::Reader];

/// A ring that fits into the storage of the guests.
fn ring(role: RingRole) -> RingOptions {
    RingOptions { slots: 2, slot_size: 65_536, role }
}

/// Verifies a guest in a ring, which `change` breaks first.
fn in_ring(guest: &str, role: RingRole, calls: u64, change: impl FnOnce(&mut Instance)) -> Verdict {
    let guest = on_demand(&load(guest, Allocator::BumpReset));
    let options = options(&guest, RestoreStrategy::DirtyCards, Residue::Scrub).with_calls(calls).with_seed(SEED);
    let options = options.with_ring(Some(ring(role))).with_allow_failing(AllowFailing::All);
    verify_changed(&guest, &options, &MemoryState::new(), change).unwrap()
}

/// Whether the system has rings.
fn has_rings() -> bool {
    RingGroup::new(1, 1).is_ok()
}

#[test]
fn guests_whose_blocks_are_in_a_ring_pass_too() {
    for role in ROLES.into_iter().filter(|_| has_rings()) {
        let honest = in_ring("exchange", role, CALLS, |_| ());
        assert!(honest.passed() && honest.calls == CALLS, "{role:?}: {honest:?}");
        assert!(honest.failures < CALLS / 2, "{role:?}: {}", honest.failures);
        let adversary = in_ring("exchange-adversary", role, MANY, |_| ());
        assert!(adversary.passed() && adversary.calls == MANY, "{role:?}: {adversary:?}");
    }
}

#[test]
fn pages_of_a_ring_that_do_not_show_the_ring_are_caught() {
    if !has_rings() {
        return;
    }
    let broken = |role| in_ring("exchange-adversary", role, MANY, |it| it.break_blocks(BlockSpecimen::KeepsRingPages));
    let verdict = broken(RingRole::Reader);
    found(&verdict, "writes_read", "the ring's pages differ from the ring in 1 byte(s)");
    // A writer changes the ring itself, so its pages still show the ring. But the frames that it spoiled can be read.
    found(&broken(RingRole::Writer), "writes_published", "in the input block");
}

#[test]
fn a_ring_needs_storage_and_a_write_barrier() {
    if !has_rings() {
        return;
    }
    let refused = |strategy, guest: &Guest, ring: RingOptions| {
        let options = options(guest, strategy, Residue::Scrub).with_ring(Some(ring));
        match verify(guest, &options, &MemoryState::new(), &mut |_| ()).unwrap_err() {
            LoadError::Ring(refused) => refused,
            other => panic!("{other:?}"),
        }
    };
    let pooled = load("exchange", Allocator::BumpReset);
    let guest = on_demand(&pooled);
    let large = RingOptions { slots: 100, ..ring(RingRole::Writer) };
    assert!(matches!(refused(RestoreStrategy::DirtyCards, &guest, large), JoinError::NoStorage { .. }));
    for (strategy, guest) in [(RestoreStrategy::FullCopy, &guest), (RestoreStrategy::DirtyCards, &pooled)] {
        assert!(matches!(refused(strategy, guest, ring(RingRole::Writer)), JoinError::NotMappable), "{strategy}");
    }
}

/// Verifies a guest on an instance whose blocks are broken.
fn broken(guest: &str, strategy: RestoreStrategy, specimen: BlockSpecimen) -> Verdict {
    let guest = load(guest, Allocator::BumpReset);
    let options = options(&guest, strategy, Residue::Scrub).with_calls(60).with_allow_failing(AllowFailing::All);
    verify_changed(&guest, &options, &MemoryState::new(), |subject| subject.break_blocks(specimen)).unwrap()
}

/// Checks that the verdict reports a difference in this function, with these words.
#[track_caller]
fn found(verdict: &Verdict, function: &str, words: &str) {
    let told = |difference: &Difference| difference.function == function && difference.to_string().contains(words);
    assert!(verdict.differences.iter().any(told) && !verdict.passed(), "{:#?}", verdict.differences);
}

/// The strategies by marks and by comparing.
const BOTH: [RestoreStrategy; 2] = [RestoreStrategy::DirtyCards, RestoreStrategy::FullCopy];

#[test]
fn blocks_that_survive_a_restore_are_caught() {
    for strategy in BOTH {
        let verdict = broken("exchange", strategy, BlockSpecimen::SurvivesRestore);
        // The number of a new block is not that in a fresh instance.
        found(&verdict, "create", "Block(\"[constructor]memory-block\") that returned 2");
        let verdict = broken("exchange-adversary", strategy, BlockSpecimen::SurvivesRestore);
        found(&verdict, "detached_by_other", "in the input block: free expected, not free");
    }
}

#[test]
fn bytes_of_attachments_that_survive_a_restore_are_caught() {
    for guest in ["exchange", "exchange-adversary"] {
        let verdict = broken(guest, RestoreStrategy::DirtyCards, BlockSpecimen::KeepsBytes);
        found(&verdict, "increment", "after the restore the snapshotted heap differs from the snapshot");
        // The fault is that marks are lost. A full copy asks no marks, and puts everything back.
        let verdict = broken(guest, RestoreStrategy::FullCopy, BlockSpecimen::KeepsBytes);
        assert!(verdict.passed(), "{:?}", verdict.differences);
    }
}

#[test]
fn attachments_without_the_bytes_of_the_block_are_caught() {
    for strategy in BOTH {
        for guest in ["exchange", "exchange-adversary"] {
            let verdict = broken(guest, strategy, BlockSpecimen::StaleView);
            found(&verdict, "increment", "in byte 0 of the result block");
        }
        let verdict = broken("exchange", strategy, BlockSpecimen::StaleView);
        let words = match strategy {
            RestoreStrategy::DirtyCards => "the first byte is 0 and not 42",
            // The bytes differ from those that the guest was to find.
            _ => "the guest wrote into a block that it has attached for reading",
        };
        found(&verdict, "check", words);
    }
}

#[test]
fn a_block_that_is_published_before_its_writer_detaches_is_caught() {
    for strategy in BOTH {
        let verdict = broken("exchange-adversary", strategy, BlockSpecimen::PublishesEarly);
        found(&verdict, "traps_writing", "in the input block: 0 bytes to read expected");
        // Honest guests detach all blocks themselves.
        let verdict = broken("exchange", strategy, BlockSpecimen::PublishesEarly);
        assert!(verdict.differences.is_empty(), "{:?}", verdict.differences);
    }
}

#[test]
fn bytes_of_a_writer_that_are_lost_are_caught() {
    for strategy in BOTH {
        let verdict = broken("exchange", strategy, BlockSpecimen::LosesCopy);
        found(&verdict, "create", "in byte 0 of the result block: 41 expected, 0 found");
        let verdict = broken("exchange-adversary", strategy, BlockSpecimen::LosesCopy);
        found(&verdict, "increment", "in byte 0 of the result block");
    }
}

/// A bare module with a stage, and a function of one number.
const BARE: &str = r#"(module
    (import "test:shm/exchange" "[resource-drop]memory-block" (func $drop (param i32)))
    (memory (export "memory") 1)
    (func (export "take") (param i32) (result i32)
      (if (local.get 0) (then (call $drop (local.get 0)))) (i32.const 0))
    (func (export "double") (param i64) (result i64) (i64.add (local.get 0) (local.get 0))))"#;

#[test]
fn functions_that_break_rules_in_some_calls_are_named() {
    // It drops its block twice, if it has one.
    let wasm = wat::parse_str(BARE.replacen(
        "(call $drop (local.get 0))",
        "(call $drop (local.get 0)) (call $drop (local.get 0))",
        1,
    ));
    let guest = Guest::load(engine(), "bare", &wasm.unwrap(), PrepareOptions::default()).unwrap();
    let options = VerifyOptions::default().with_functions(Some(vec!["take".to_owned()])).with_calls(60);
    let verdict = verify(&guest, &options, &MemoryState::new(), &mut |_| ()).unwrap();
    let [broken] = &verdict.broken_rules[..] else { panic!("{verdict:?}") };
    assert!(verdict.passed() && verdict.never_succeeded.is_empty());
    assert_eq!((broken.calls, broken.broken), (60, verdict.failures));
    assert!((30..60).contains(&broken.broken) && broken.message.contains("is no block of this guest"), "{broken}");
    assert!(broken.to_string().starts_with("note: `take` failed in "));
}

#[test]
fn stages_of_a_bare_module_are_called_as_stages() {
    let wasm = wat::parse_str(BARE).unwrap();
    let guest = Guest::load(engine(), "bare", &wasm, PrepareOptions::default()).unwrap();
    let verdict = |names: Option<&str>, arguments: Arguments| {
        let functions = names.map(|names| names.split(' ').map(str::to_owned).collect());
        let mut options = VerifyOptions::default().with_functions(functions).with_calls(20);
        options.config.arguments = arguments;
        verify(&guest, &options, &MemoryState::new(), &mut |_| ())
    };
    for names in [None, Some("take")] {
        let verdict = verdict(names, Arguments::default()).unwrap();
        assert!(verdict.passed() && verdict.failures == 0, "{verdict:?}");
    }
    // With arguments it is a function of numbers, and 7 is no block.
    let called = verdict(None, Arguments::default().of("take", ["7"])).unwrap();
    assert_eq!((called.calls, called.failures), (20, 20), "{called:?}");
    let missing = verdict(Some("double"), Arguments::default()).unwrap_err().to_string();
    assert!(missing.contains("no arguments were given"), "{missing}");
    let unknown = verdict(Some("takes"), Arguments::default()).unwrap_err().to_string();
    assert!(unknown.contains("did you mean `take`?"), "{unknown}");
    let both = verdict(None, Arguments::default().of("double", ["7"])).unwrap();
    assert!(both.passed(), "{both:?}");
}
