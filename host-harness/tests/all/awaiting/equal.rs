//! The same calls by a blocking instance and by one whose calls are futures leave the same.

use std::sync::atomic::Ordering::Relaxed;

use guest_build::Allocator;
use guest_host::{Guest, InstanceConfig, MemoryState, RestorePolicy, RestoreStrategy};

use super::Slow;
use crate::exttinygo;
use crate::guests::{both_contracts, config, load, state_of};

/// All that a call leaves, as text.
fn told<'a>(outcome: Result<guest_host::Outcome<'a>, guest_host::Failure>) -> String {
    match outcome {
        Ok(outcome) => {
            let log: Vec<_> = outcome.log().collect();
            let stats = outcome.stats();
            let trace = outcome.trace().iter().fold(0, |sum: u64, entry| {
                sum.wrapping_mul(31).wrapping_add(entry.digest).wrapping_add(entry.result.cast_unsigned())
            });
            format!(
                "{:?} {log:?} {trace} {} {:?} {:?}",
                outcome.intent_bytes(),
                stats.crossings,
                stats.allocations,
                stats.instructions,
            )
        }
        Err(failure) => format!("{failure} {:?}", failure.backtrace),
    }
}

async fn compare(guest: &Guest, config: &InstanceConfig, state: &MemoryState) -> u64 {
    let slow = Slow { state: state.clone(), ..Slow::default() };
    let mut blocking = guest.instantiate(config, state.clone()).expect("the guest is admitted");
    let mut awaiting = guest.instantiate_async(config, slow.clone()).await.expect("the guest is admitted");
    for round in 0..3 {
        for name in guest.functions() {
            let expected = told(blocking.invoke_by_name(name));
            let found = told(awaiting.invoke_by_name(name).await);
            assert_eq!(found, expected, "{} {name} in round {round}, {}", guest.name(), config.strategy);
            assert_eq!(awaiting.is_pristine(), blocking.is_pristine(), "{name}");
            assert_eq!(awaiting.last_stats().restored_bytes, blocking.last_stats().restored_bytes, "{name}");
            assert_eq!(awaiting.strategy(), blocking.strategy(), "{name}");
        }
    }
    slow.answers.load(Relaxed)
}

#[tokio::test]
async fn every_function_of_the_shop_on_both_contracts_by_every_strategy() {
    for guest in [load("shop", Allocator::BumpReset), both_contracts::exttinygo("shop", Allocator::BumpReset)] {
        for strategy in RestoreStrategy::ALL.into_iter().chain([RestoreStrategy::Auto]) {
            let mut config = config(strategy, guest_host::Residue::Scrub);
            (config.count, config.trace) = (true, true);
            for policy in [RestorePolicy::EveryCall, RestorePolicy::OnHeapAbove(1 << 12)] {
                config.policy = policy;
                let answers = compare(&guest, &config, &state_of("shop")).await;
                assert!(answers > 10, "it reads: {answers}");
            }
        }
    }
}

/// Functions that have the host call the guest back: `texts` for room for text, `rows` with each row, and `nested` with each
/// row of a read inside a read, which reads records as well.
fn calling_back() -> Guest {
    exttinygo::load(&exttinygo::guest(|source| {
        let rows = source.key("sys.View", "a.b/c.Rows");
        let customer = source.key("sys.Record", "shop.Customer");
        let id = source.text("Id");
        let (name, amount) = (source.text("Name"), source.text("Amount"));
        let (seen, sum) = (source.seen(), source.text("sum"));
        format!(
            r#"(global $sum (mut i64) (i64.const 0)) (global $inner (mut i32) (i32.const 0)) (global $rows (mut i64) (i64.const 0))
               (func $customer (result i64) (local $key i64) (local.set $key {customer})
                 (call $hostRowWriterPutInt64 (local.get $key) (i32.const 0) {id} (i64.const 7))
                 (call $hostGetValue (local.get $key)))
               (func (export "WasmOnReadValue") (param $key i64) (param $value i64)
                 (drop (call $hostKeyAsString (local.get $key) {name}))
                 (drop (call $customer))
                 (global.set $sum (i64.add (i64.mul (global.get $sum) (i64.const 3))
                   (call $hostValueAsInt64 (local.get $value) {amount})))
                 (if (i32.gt_s (global.get $inner) (i32.const 0)) (then
                   (global.set $inner (i32.sub (global.get $inner) (i32.const 1)))
                   (call $hostReadValues (global.get $rows)))))
               (func $report (call $hostRowWriterPutInt64 {seen} (i32.const 1) {sum} (global.get $sum)))
               (func (export "texts") (local $count i32) (local $value i64)
                 (local.set $value (call $customer)) (local.set $count (i32.const 11000))
                 (loop $again
                   (global.set $sum (i64.add (global.get $sum) (call $hostValueAsString (local.get $value) {name})))
                   (local.set $count (i32.sub (local.get $count) (i32.const 1))) (br_if $again (local.get $count)))
                 (call $report))
               (func (export "rows") (global.set $rows {rows}) (call $hostReadValues (global.get $rows)) (call $report))
               (func (export "nested") (global.set $rows {rows}) (global.set $inner (i32.const 5))
                 (call $hostReadValues (global.get $rows)) (call $report))"#
        )
    }))
}

#[tokio::test]
async fn host_functions_that_call_the_guest_back() {
    let guest = calling_back();
    for strategy in [RestoreStrategy::DirtyCards, RestoreStrategy::FullCopy, RestoreStrategy::Reinstantiate] {
        for policy in [RestorePolicy::EveryCall, RestorePolicy::OnError] {
            let config = config(strategy, guest_host::Residue::Scrub).with_policy(policy).with_trace(true);
            let answers = compare(&guest, &config, &exttinygo::state()).await;
            assert!(answers > 3 * (1 + 3 + 3 * 5), "{answers}");
        }
    }
}

#[tokio::test]
async fn what_a_blocking_instance_suspended_an_awaiting_one_resumes_and_back() {
    let guest = load("shop", Allocator::Freelist);
    let mut config = config(RestoreStrategy::DirtyCards, guest_host::Residue::Scrub);
    config.policy = RestorePolicy::OnError;
    let state = state_of("shop");
    let mut blocking = guest.instantiate(&config, state.clone()).expect("the guest is admitted");
    let slow = Slow { state, ..Slow::default() };
    let mut awaiting = guest.instantiate_async(&config, slow).await.expect("the guest is admitted");
    let pristine = awaiting.suspend().await.expect("it can be suspended");
    for name in guest.functions() {
        let _ = blocking.invoke_by_name(name);
        let delta = blocking.suspend().expect("it can be suspended");
        // It is restored before, as it was called.
        let _ = awaiting.invoke_by_name("count_up").await;
        awaiting.resume(&delta).await.expect("it is of the same module");
        assert_eq!(awaiting.suspend().await.expect("it can be suspended"), delta, "{name}");
        assert!(awaiting.is_pristine() && blocking.is_pristine());
        blocking.resume(&delta).expect("it is its own");
    }
    awaiting.resume(&pristine).await.expect("it is its own");
}
