//! Suspended instances of the built guests: every allocator, every strategy that restores in place, and another process.

use std::path::Path;
use std::process::Command;

use guest_build::Allocator;
use guest_host::guest_image::{Delta, Durability, ImageFile};
use guest_host::{Instance, Residue, RestorePolicy, RestoreStrategy, SuspendError};
use host_harness::verify::{AllowFailing, VerifyOptions, verify_suspension};

use super::{config, config_with_policy, instance, load, state_of, strategies};

/// Names the image that a process of [`a_process_that_resumes`] goes on from.
const RESUMES_FROM: &str = "HOST_HARNESS_RESUMES_FROM";

/// Numbers that look like random ones, the same each time.
fn numbers(seed: u64) -> impl Iterator<Item = usize> {
    let next = |last: &u64| Some(last.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407));
    std::iter::successors(Some(seed), next).map(|number| usize::try_from(number >> 40).expect("24 bits"))
}

/// What can be seen of a call: its intents or the kind of its failure, and its log.
fn call(instance: &mut Instance, function: &str) -> (Result<Vec<u8>, &'static str>, Vec<String>) {
    let called = instance.invoke_by_name(function);
    let seen = called.map(|outcome| outcome.intent_bytes().to_vec()).map_err(|failure| failure.cause.kind());
    (seen, instance.last_log().map(|(level, line)| format!("{level:?} {line}")).collect())
}

fn program(guest: &str, allocator: Allocator, strategy: RestoreStrategy) -> Instance {
    let mut made = instance(guest, allocator, &config_with_policy(strategy, RestorePolicy::OnError));
    let pristine = made.delta().expect("it can be suspended");
    made.resume(&pristine).expect("it is its own");
    made
}

fn in_place(allocator: Allocator) -> impl Iterator<Item = RestoreStrategy> {
    strategies(allocator).iter().copied().filter(|strategy| *strategy != RestoreStrategy::Reinstantiate)
}

/// An instance that is suspended between calls, and goes on on another one, against one that never sleeps.
fn compare(guest: &str, functions: &[&str], calls: usize) {
    for allocator in Allocator::ALL {
        for strategy in in_place(allocator) {
            let told = format!("{guest}-{allocator}, {strategy}");
            let mut awake = program(guest, allocator, strategy);
            let mut sleeping = [program(guest, allocator, strategy), program(guest, allocator, strategy)];
            let (mut on, mut slept, mut numbers) = (0, 0, numbers(calls as u64));
            for number in 0..calls {
                if numbers.next().is_some_and(|number| number % 2 == 0) {
                    let delta = sleeping[on].suspend().unwrap();
                    assert!(sleeping[on].is_pristine(), "{told}");
                    assert_eq!(awake.delta().unwrap(), delta, "{told}, before call {number}");
                    on = 1 - on;
                    sleeping[on].resume(&delta).unwrap();
                    slept += delta.cards.len();
                }
                let function = functions[numbers.next().unwrap_or_default() % functions.len()];
                let expected = call(&mut awake, function);
                assert_eq!(call(&mut sleeping[on], function), expected, "{told}, call {number} of `{function}`");
            }
            assert!(slept > 0, "{told}");
        }
    }
}

#[test]
fn an_instance_that_sleeps_gives_the_outcomes_of_one_that_does_not() {
    let shop = load("shop", Allocator::Freelist);
    let functions: Vec<&str> = shop.functions().iter().map(String::as_str).collect();
    compare("shop", &functions, 40);
}

#[test]
fn what_every_allocator_keeps_is_in_the_image() {
    let probe = load("allocator-probe", Allocator::Freelist);
    let functions: Vec<&str> = probe.functions().iter().map(String::as_str).collect();
    compare("allocator-probe", &functions, 40);
}

/// The adversary writes where nothing should be, and leaves what nobody should find.
#[test]
fn an_adversary_that_sleeps_leaves_nothing_on_the_instance() {
    for allocator in Allocator::ALL {
        for strategy in [RestoreStrategy::FullCopy, RestoreStrategy::DirtyCards] {
            let mut instance = program("adversary", allocator, strategy);
            let pristine = instance.suspend().unwrap();
            for function in ["leave_static", "canary_plant", "leave_static"] {
                if instance.guest().function(function).is_ok() {
                    let _ = call(&mut instance, function);
                }
            }
            let asleep = instance.suspend().unwrap();
            assert_ne!(asleep, pristine, "{allocator}, {strategy}");
            let (memory, snapshot) = instance.memory().unwrap();
            let (saved, grown) = memory.split_at(snapshot.memory().len());
            assert!(saved == snapshot.memory() && grown.iter().all(|byte| *byte == 0), "{allocator}, {strategy}");
        }
    }
}

#[test]
fn verification_finds_no_difference_by_any_allocator_and_strategy() {
    for allocator in Allocator::ALL {
        for strategy in in_place(allocator) {
            let mut options = VerifyOptions::default().with_calls(120).with_config(config(strategy, Residue::Scrub));
            options.allow_failing = AllowFailing::All;
            let verdict = verify_suspension(&load(GUEST, allocator), &options, &state_of(GUEST), &mut |_| ()).unwrap();
            assert!(verdict.passed() && verdict.calls == 120, "{allocator}, {strategy}: {verdict:?}");
            assert!(verdict.suspensions > Some(50), "{allocator}, {strategy}: {verdict:?}");
        }
    }
}

#[test]
fn a_pristine_image_is_a_header() {
    for allocator in Allocator::ALL {
        let pristine = program("shop", allocator, RestoreStrategy::DirtyCards).suspend().unwrap();
        assert_eq!(pristine.encoded_bytes(), guest_host::guest_image::HEADER as u64, "{allocator}");
    }
}

#[test]
fn a_strategy_that_keeps_residue_does_not_let_it_into_an_image() {
    let mut config = config_with_policy(RestoreStrategy::BumpReset, RestorePolicy::OnError);
    config.residue = Residue::Keep;
    let refused = instance("shop", Allocator::BumpReset, &config).suspend().unwrap_err();
    assert!(matches!(&refused, SuspendError::KeepsResidue { strategy } if strategy == "bump-reset"), "{refused}");
}

const GUEST: &str = "shop";
const ALLOCATOR: Allocator = Allocator::Freelist;

/// Not a test of its own: [`another_process_goes_on`] runs it in a process of its own. It resumes an image, calls, and writes the next.
#[test]
fn a_process_that_resumes() {
    let Some(path) = std::env::var_os(RESUMES_FROM) else { return };
    let (mut file, stored) = ImageFile::open(Path::new(&path), Durability::Unsynced).expect("there is an image");
    let stored = stored.expect("it has a state");
    let mut instance = program(GUEST, ALLOCATOR, RestoreStrategy::DirtyCards);
    instance.resume(&stored.delta).expect("the module is the same");
    let _ = call(&mut instance, "count_up");
    file.write(stored.number + 1, &instance.suspend().expect("it can be suspended")).expect("the file can be written");
}

#[test]
fn another_process_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image");
    let mut awake = program(GUEST, ALLOCATOR, RestoreStrategy::DirtyCards);
    let _ = call(&mut awake, "count_up");
    let (mut file, _) = ImageFile::open(&path, Durability::Unsynced).unwrap();
    file.write(1, &awake.delta().unwrap()).unwrap();
    drop(file);
    for number in 2..5 {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["guests::suspensions::a_process_that_resumes", "--exact"])
            .env(RESUMES_FROM, &path)
            .output()
            .unwrap();
        assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stdout));
        let _ = call(&mut awake, "count_up");
        let (_, stored) = ImageFile::open(&path, Durability::Unsynced).unwrap();
        let stored = stored.unwrap();
        assert_eq!(stored.number, number);
        let expected: Delta = awake.delta().unwrap();
        assert_eq!(*stored.delta, expected, "after {number} calls");
    }
}
