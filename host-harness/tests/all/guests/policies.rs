//! When an instance is restored, and what happens at the end of memory where that is seldom.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use guest_abi::key::Key;
use guest_abi::value::ValueRef;
use guest_build::Allocator;
use guest_host::{Cause, Instance, MemoryState, RestorePolicy, State, StateError, Status};

use super::{best, config_with_policy, field, instance, load};

/// Strategies are those that the allocators are made for.
fn adversary(allocator: Allocator, policy: RestorePolicy) -> Instance {
    instance("adversary", allocator, &config_with_policy(best(allocator), policy))
}

fn calls_before(instance: &mut Instance) -> i64 {
    field(&instance.invoke_by_name("leave_static").expect("it counts"), "CallsBefore")
}

#[test]
fn after_every_call_nothing_is_left() {
    for allocator in Allocator::ALL {
        let mut instance = adversary(allocator, RestorePolicy::EveryCall);
        for _ in 0..3 {
            assert_eq!(calls_before(&mut instance), 0, "{allocator}");
            assert!(instance.last_stats().restored_bytes.is_some(), "{allocator}");
        }
    }
}

#[test]
fn lazy_policies_keep_what_calls_left_until_one_fails() {
    for policy in [RestorePolicy::OnError, RestorePolicy::Never] {
        for allocator in Allocator::ALL {
            let mut instance = adversary(allocator, policy);
            for expected in 0..3 {
                assert_eq!(calls_before(&mut instance), expected, "{allocator} {policy}");
                assert_eq!(instance.last_stats().restored_bytes, None);
            }
            for failing in ["fail_error", "fail_panic", "leave_stack_pointer"] {
                let failure = instance.invoke_by_name(failing).expect_err("it fails");
                assert!(!failure.retried, "only a memory overflow is worth another try");
                assert!(instance.last_stats().restored_bytes.is_some(), "{allocator} {policy} {failing}");
                assert_eq!(calls_before(&mut instance), 0, "{allocator} {policy} after {failing}");
                assert_eq!(calls_before(&mut instance), 1, "{allocator} {policy} after {failing}");
            }
            instance.restore().expect("it can be restored");
            assert_eq!(calls_before(&mut instance), 0, "{allocator} {policy}");
        }
    }
}

#[test]
fn a_heap_above_the_bound_is_restored_and_one_below_is_not() {
    // A call of append_10000 leaves at least 10,000 boxes of 8 bytes.
    const BOUND: u64 = 500_000;
    for allocator in Allocator::ALL {
        let policy = RestorePolicy::OnHeapAbove(BOUND);
        let mut instance = instance("bench", allocator, &config_with_policy(best(allocator), policy));
        let mut expected = 10_000;
        let mut restores = 0;
        for call in 0..12 {
            let length = field(&instance.invoke_by_name("append_10000").expect("there is room"), "Length");
            assert_eq!(length, expected, "{allocator}, call {call}");
            let restored = instance.last_stats().restored_bytes.is_some();
            if restored {
                restores += 1;
                // 24 bytes for each box with what an allocator adds, and the vector as often as it was doubled.
                assert!(length * 100 > BOUND.cast_signed(), "{allocator}: restored after {length} boxes");
            } else {
                assert!(length * 8 <= BOUND.cast_signed(), "{allocator}: {length} boxes were not restored");
            }
            expected = if restored { 10_000 } else { length + 10_000 };
        }
        assert!((1..12).contains(&restores), "{allocator}: {restores} restores");
    }
}

#[test]
fn a_lazy_policy_tries_a_call_that_ran_out_of_memory_once_more_on_the_restored_instance() {
    for allocator in Allocator::ALL {
        let config = config_with_policy(best(allocator), RestorePolicy::Never);
        let mut instance = instance("bench", allocator, &config);
        let mut expected = 10_000;
        let mut retries = 0;
        for call in 0..60 {
            let outcome = instance.invoke_by_name("append_10000");
            let outcome = outcome.unwrap_or_else(|failure| panic!("{allocator}, call {call}: {failure}"));
            let (length, retried) = (field(&outcome, "Length"), outcome.stats().retried);
            assert_eq!(outcome.intents().count(), 1, "the intents are those of the second try alone");
            if retried {
                retries += 1;
                expected = 10_000;
            }
            assert_eq!(length, expected, "{allocator}, call {call}");
            expected += 10_000;
        }
        assert!((1..30).contains(&retries), "{allocator}: {retries}");
    }
}

/// Counts how often it is read.
#[derive(Debug)]
struct Counting(Arc<AtomicU32>);

impl State for Counting {
    fn get(&mut self, _key: &Key<'_>) -> Result<Option<&[u8]>, StateError> {
        self.0.fetch_add(1, Relaxed);
        Ok(None)
    }

    fn read(&mut self, _key: &Key<'_>, _after: Option<ValueRef<'_>>, _out: &mut [u8]) -> Result<usize, StateError> {
        Ok(0)
    }

    fn apply(&mut self, _intents: &[u8]) -> Result<usize, StateError> {
        Ok(0)
    }
}

#[test]
fn it_is_tried_again_exactly_once_and_only_under_a_lazy_policy() {
    for allocator in Allocator::ALL {
        for (policy, tries) in [
            (RestorePolicy::EveryCall, 1),
            (RestorePolicy::OnError, 2),
            (RestorePolicy::OnHeapAbove(1 << 30), 2),
            (RestorePolicy::Never, 2),
        ] {
            let reads = Arc::new(AtomicU32::new(0));
            let config = config_with_policy(best(allocator), policy);
            let guest = load("allocator-probe", allocator);
            let mut instance = guest.instantiate(&config, Counting(Arc::clone(&reads))).expect("it is admitted");
            let failure = instance.invoke_by_name("get_and_exhaust").expect_err("memory ends");
            assert!(matches!(failure.cause, Cause::OutOfMemory { .. }), "{allocator}: {failure}");
            assert_eq!(reads.load(Relaxed), tries, "{allocator} {policy}");
            assert_eq!(failure.retried, tries == 2, "{allocator} {policy}");
            assert_eq!(failure.to_string().contains("also when retried"), tries == 2, "{failure}");
            assert_eq!(instance.status(), Status::Ready);
        }
    }
}

#[test]
fn the_heap_counts_from_where_the_statics_end_where_there_is_no_control_block() {
    let policy = RestorePolicy::OnHeapAbove(0);
    let guest = load("bench", Allocator::System);
    let config = config_with_policy(best(Allocator::System), policy);
    let mut instance = guest.instantiate(&config, MemoryState::new()).expect("it is admitted");
    instance.invoke_by_name("do_nothing").expect("it does nothing");
    assert!(instance.last_stats().restored_bytes.is_some(), "the exchange region alone is more than nothing");
}
