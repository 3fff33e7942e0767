//! Verification of calls that end by their deadline on one side only.
//!
//! How long the guest's functions take depends on bytes that the restore of these tests keeps, so that what a busy
//! machine does by chance is done for certain.

use std::time::Duration;

use guest_host::restore::{Promise, Restore, RestoreError, Restored, Target};
use guest_host::snapshot::RegionKind;
use guest_host::{Guest, MemoryState, Residue, RestoreStrategy, Retention};
use guest_prepare::PrepareOptions;
use host_harness::verify::{Verdict, VerifyOptions, What, verify, verify_with};

use test_support::text_guests;

/// Puts back all but memory, and promises of memory what it is told to.
#[derive(Debug)]
struct KeepsMemory(Promise);

impl Restore for KeepsMemory {
    fn name(&self) -> &str {
        "keeps-memory"
    }

    fn promise(&self, _region: RegionKind, _residue: Residue) -> Promise {
        self.0
    }

    fn restore(&mut self, target: &mut Target<'_>) -> Result<Restored, RestoreError> {
        target.memory();
        Ok(Restored::default())
    }
}

/// Functions that count in memory how often they were called, and never end in some of those calls.
fn guest() -> Guest {
    let wasm = text_guests::guest(
        "",
        r#"
        (func $count (param $at i32) (result i32)
          (i32.store (local.get $at) (i32.add (i32.load (local.get $at)) (i32.const 1)))
          (i32.load (local.get $at)))
        (func $never_ends (loop $again (br $again)))
        (func (export "do_nothing") (result i64) i64.const 0)
        (func (export "slow_once") (result i64)
          (if (i32.eq (call $count (i32.const 1024)) (i32.const 2)) (then (call $never_ends))) i64.const 0)
        (func (export "slow_but_once") (result i64)
          (if (i32.ne (call $count (i32.const 1028)) (i32.const 1)) (then (call $never_ends))) i64.const 0)
        (func (export "slow_when_others_were") (result i64)
          (if (i32.load (i32.const 1028)) (then (call $never_ends))) i64.const 0)
        (func (export "slow_when_fresh") (result i64)
          (if (i32.eq (call $count (i32.const 1032)) (i32.const 1)) (then (call $never_ends))) i64.const 0)
        (func (export "grow_when_slow") (result i64)
          (if (i32.eq (call $count (i32.const 1036)) (i32.const 2))
            (then (drop (memory.grow (i32.const 5))) (call $never_ends))) i64.const 0)
        (func (export "grow_more") (result i64)
          (drop (memory.grow (call $count (i32.const 1040)))) i64.const 0)"#,
    );
    let engine = test_support::compiled::engine();
    Guest::load(&engine, "slow", &wasm, PrepareOptions::default()).expect("the guest is admitted")
}

/// Verifies calls of these functions, each in turn and then twice in a row.
fn verdict(functions: &[&str], promise: Promise) -> Verdict {
    let mut options = VerifyOptions::default();
    options.config.deadline = Some(Duration::from_millis(50));
    options.functions = Some(functions.iter().map(|name| (*name).to_owned()).collect());
    options.calls = 3 * functions.len() as u64;
    verify_with(&guest(), Box::new(KeepsMemory(promise)), &options, &MemoryState::new()).expect("the guest is admitted")
}

#[test]
fn a_call_that_was_late_once_is_made_again() {
    let verdict = verdict(&["slow_once"], Promise::Residue);
    assert_eq!(verdict.differences, []);
    assert_eq!((verdict.calls, verdict.failures, verdict.skipped_calls()), (3, 0, 0), "{verdict:?}");
    assert!(verdict.passed());
}

#[test]
fn calls_that_are_always_late_on_one_side_are_skipped_and_named() {
    let verdict = verdict(&["slow_but_once", "do_nothing"], Promise::Residue);
    assert_eq!(verdict.differences, []);
    assert_eq!((verdict.calls, verdict.skipped_calls()), (4, 2), "{verdict:?}");
    let [skipped] = verdict.skipped.as_slice() else { panic!("{verdict:?}") };
    assert_eq!(
        (skipped.function.as_str(), skipped.calls, skipped.on_restored, skipped.compared),
        ("slow_but_once", 2, 2, 1)
    );
    let told = skipped.to_string();
    assert!(told.contains("inconclusive: 2 call(s) of `slow_but_once`"), "{told}");
    assert!(told.contains("2 time(s) on the restored instance, 0 on the fresh one; 1 call(s)"), "{told}");
    assert!(verdict.passed(), "one call of it was compared");
}

#[test]
fn it_is_told_when_the_fresh_instance_was_the_late_one() {
    let verdict = verdict(&["slow_when_fresh"], Promise::Residue);
    assert_eq!(verdict.differences, []);
    let [skipped] = verdict.skipped.as_slice() else { panic!("{verdict:?}") };
    // In the first call both are late, which is a failure on both sides; from then on one is.
    assert_eq!((verdict.calls, verdict.failures, skipped.calls, skipped.on_restored), (1, 1, 2, 0), "{verdict:?}");
}

#[test]
fn a_function_of_which_nothing_was_compared_is_not_passed() {
    let verdict = verdict(&["do_nothing", "slow_but_once", "slow_when_others_were"], Promise::Residue);
    assert_eq!(verdict.differences, []);
    let of =
        |name: &str| verdict.skipped.iter().find(|skipped| skipped.function == name).map(|skipped| skipped.compared);
    assert_eq!((of("slow_but_once"), of("slow_when_others_were")), (Some(1), Some(0)), "{verdict:?}");
    assert!(!verdict.passed());
}

#[test]
fn the_instance_that_was_late_is_still_compared_region_by_region() {
    let verdict = verdict(&["slow_but_once"], Promise::Exact);
    let [difference] = verdict.differences.as_slice() else { panic!("{:?}", verdict.differences) };
    assert!(matches!(difference.what, What::Memory { address: 1028, .. }), "{difference}");
    // The first call, and three tries of each of the other two, which are one finding.
    assert_eq!((difference.call, difference.again, verdict.skipped_calls()), (1, 6, 2), "{difference}");
    assert!(difference.to_string().contains("and 6 later call(s) of it"), "{difference}");
}

#[test]
fn pages_that_a_late_call_took_are_not_creep() {
    let verdict = verdict(&["grow_when_slow", "do_nothing"], Promise::Residue);
    assert_eq!(verdict.differences, []);
    assert_eq!((verdict.calls, verdict.skipped_calls()), (6, 0), "{verdict:?}");
}

#[test]
fn pages_that_grow_from_call_to_call_are_creep_and_told_once() {
    let verdict = verdict(&["grow_more", "do_nothing"], Promise::Residue);
    let [difference] = verdict.differences.as_slice() else { panic!("{:?}", verdict.differences) };
    assert!(matches!(difference.what, What::Creep { pages: 4, fresh: 3 }), "{difference}");
    assert_eq!((difference.function.as_str(), difference.call, difference.again), ("grow_more", 3, 1), "{difference}");
}

#[test]
fn an_instance_that_gives_memory_back_is_none_that_cannot_be_restored() {
    let engine = test_support::compiled::engine();
    let guest = Guest::load(&engine, "grows", &text_guests::plain(), PrepareOptions::default());
    let guest = guest.expect("the guest is admitted");
    let mut options = VerifyOptions::default();
    let functions = vec!["grow".to_owned(), "do_nothing".to_owned()];
    (options.calls, options.functions) = (50, Some(functions));
    let mut retention = Retention::default();
    (retention.bytes, retention.restores) = (0, 1);
    (options.config.strategy, options.config.retention) = (RestoreStrategy::FullCopy, Some(retention));
    let verdict = verify(&guest, &options, &MemoryState::new(), &mut |_| {}).expect("it can be instantiated");
    assert!(verdict.passed(), "{:?}", verdict.differences);
}
