//! Restores that are made to fail midway: the instance is replaced, what the call before left is kept, and nobody else
//! is affected.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

use guest_abi::key::Key;
use guest_abi::value::ValueRef;
use guest_host::restore::{Promise, Restore, RestoreError, Restored, Target};
use guest_host::snapshot::RegionKind;
use guest_host::{
    Cause, Guest, Instance, InstanceConfig, MemoryState, Metrics, Pool, PoolConfig, Replaced, Residue, RestorePolicy,
    State, StateError, Status,
};
use guest_prepare::PrepareOptions;

use test_support::exposition::value;
use test_support::text_guests;

/// How far a restore comes before it fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
enum Fails {
    Never,
    BeforeAnything,
    AfterPartOfMemory,
    AfterAllOfMemory,
}

const POINTS: [Fails; 3] = [Fails::BeforeAnything, Fails::AfterPartOfMemory, Fails::AfterAllOfMemory];

/// A full copy that fails once where it is told to.
#[derive(Debug)]
struct Failing(Arc<AtomicU32>);

impl Restore for Failing {
    fn name(&self) -> &str {
        "failing"
    }

    fn promise(&self, _region: RegionKind, _residue: Residue) -> Promise {
        Promise::Exact
    }

    fn restore(&mut self, target: &mut Target<'_>) -> Result<Restored, RestoreError> {
        let point = self.0.swap(Fails::Never as u32, Relaxed);
        let fail_at = |at: Fails| match at as u32 == point {
            true => Err(RestoreError::GaveUp { reason: format!("{at:?}") }),
            false => Ok(()),
        };
        fail_at(Fails::BeforeAnything)?;
        let (memory, snapshot) = target.memory();
        let saved = snapshot.memory();
        let (half, bytes) = (saved.len() / 2, saved.len() as u64);
        memory[..half].copy_from_slice(&saved[..half]);
        if let Err(error) = fail_at(Fails::AfterPartOfMemory) {
            // Something that no call could have worked on.
            memory[half..].fill(0xEE);
            return Err(error);
        }
        memory[half..saved.len()].copy_from_slice(&saved[half..]);
        memory[saved.len()..].fill(0);
        fail_at(Fails::AfterAllOfMemory)?;
        Ok(Restored { bytes })
    }
}

/// A state whose records cannot be read as long as it is told so, which is what the guest's initialisation does.
#[derive(Debug)]
struct Reading(MemoryState, Arc<AtomicBool>);

impl State for Reading {
    fn get(&mut self, key: &Key<'_>) -> Result<Option<&[u8]>, StateError> {
        if self.1.load(Relaxed) {
            return Err(StateError::new("the state's server is down"));
        }
        State::get(&mut self.0, key)
    }

    fn read(&mut self, key: &Key<'_>, after: Option<ValueRef<'_>>, out: &mut [u8]) -> Result<usize, StateError> {
        State::read(&mut self.0, key, after, out)
    }

    fn apply(&mut self, intents: &[u8]) -> Result<usize, StateError> {
        State::apply(&mut self.0, intents)
    }
}

/// `count` counts its calls in both halves of memory, in two globals and in pages. It logs a line, and leaves an intent with
/// the sum as its `Amount`: 5 in a pristine instance. `count_and_abort` does the same and aborts.
fn guest() -> Guest {
    let wasm = text_guests::guest(
        r#"(import "extension" "get" (func $get (param i32 i32 i32 i32) (result i32)))
           (import "extension" "log" (func $log (param i32 i32 i32)))"#,
        r#"
        (global $first (mut i32) (i32.const 0)) (global $second (mut i64) (i64.const 0))
        (data (i32.const 16) "\69sys.Event\60\a0")
        (data (i32.const 48) "\85\00\68sys.View\61e\a1\62Id\01\a1\66Amount\19\00\00")
        (data (i32.const 112) "hello")
        (func (export "__guest_init") (result i32)
          (drop (call $get (i32.const 16) (i32.const 12) (i32.const 512) (i32.const 64))) i32.const 0)
        (func $add (param $at i32)
          (i32.store (local.get $at) (i32.add (i32.load (local.get $at)) (i32.const 1))))
        (func $count (export "count") (result i64)
          (call $add (i32.const 1024)) (call $add (i32.const 131000))
          (global.set $first (i32.add (global.get $first) (i32.const 1)))
          (global.set $second (i64.add (global.get $second) (i64.const 1)))
          (call $log (i32.const 2) (i32.const 112) (i32.const 5))
          (i32.store8 (i32.const 76)
            (i32.add (i32.add (i32.add (i32.load (i32.const 1024)) (i32.load (i32.const 131000)))
                              (i32.add (global.get $first) (i32.wrap_i64 (global.get $second))))
                     (i32.sub (memory.grow (i32.const 1)) (i32.const 1))))
          (i64.or (i64.shl (i64.const 48) (i64.const 32)) (i64.const 29)))
        (func (export "count_and_abort") (result i64) (drop (call $count)) unreachable)"#,
    );
    let engine = test_support::compiled::engine();
    Guest::load(&engine, "counter", &wasm, PrepareOptions::default()).expect("the guest keeps the contract")
}

/// The switches that make restores and reads fail.
#[derive(Debug, Clone, Default)]
struct Switches {
    restore: Arc<AtomicU32>,
    read: Arc<AtomicBool>,
    metrics: Metrics,
}

impl Switches {
    fn instance(&self, guest: &Guest, policy: RestorePolicy) -> Instance {
        let mut config = InstanceConfig::default();
        config.policy = policy;
        config.metrics = Some(self.metrics.clone());
        let state = Reading(MemoryState::new(), Arc::clone(&self.read));
        guest.instantiate_with(Box::new(Failing(Arc::clone(&self.restore))), &config, state).expect("it is admitted")
    }

    fn fail(&self, at: Fails) {
        self.restore.store(at as u32, Relaxed);
    }
}

/// The sum that a call has left, in its only intent.
fn amount(instance: &mut Instance) -> i64 {
    let outcome = instance.invoke_by_name("count").expect("it counts");
    let intents: Vec<_> = outcome.intents().collect();
    let [Ok(intent)] = intents.as_slice() else { panic!("{intents:?}") };
    let amount = intent.value.field("Amount").expect("the harness has checked it").expect("it has one").as_i64();
    assert_eq!(outcome.log().map(|(_, line)| line).collect::<Vec<_>>(), ["hello"]);
    amount.expect("it is a number")
}

#[test]
fn wherever_a_restore_fails_the_outcome_is_kept_and_the_instance_replaced() {
    let guest = guest();
    for point in POINTS {
        let switches = Switches::default();
        let mut instance = switches.instance(&guest, RestorePolicy::EveryCall);
        assert_eq!((amount(&mut instance), instance.last_restore_error()), (5, None));
        switches.fail(point);
        assert_eq!(amount(&mut instance), 5, "{point:?}: what the call left is kept");
        let told = RestoreError::GaveUp { reason: format!("{point:?}") };
        assert_eq!(instance.last_restore_error(), Some(&told));
        assert_eq!(instance.last_stats().restored_bytes, None, "{point:?}: it was replaced");
        assert_eq!(instance.last_stats().replaced, Some(Replaced::NotRestorable), "{point:?}");
        assert!(instance.is_pristine(), "{point:?}");
        assert_eq!(instance.physical_pages(), 2, "{point:?}: it is a new one");
        assert_eq!((amount(&mut instance), instance.last_restore_error()), (5, None), "{point:?}");
        assert!(instance.last_stats().restored_bytes.is_some(), "{point:?}");
    }
}

#[test]
fn the_cause_of_a_call_that_failed_is_kept_as_well() {
    let guest = guest();
    for point in POINTS {
        let switches = Switches::default();
        let mut instance = switches.instance(&guest, RestorePolicy::EveryCall);
        switches.fail(point);
        let failure = instance.invoke_by_name("count_and_abort").expect_err("it aborts");
        assert!(matches!(failure.cause, Cause::Unreachable), "{point:?}: {failure}");
        assert_eq!(instance.last_log().map(|(_, line)| line).collect::<Vec<_>>(), ["hello"], "{point:?}");
        assert!(instance.last_restore_error().is_some() && instance.is_pristine(), "{point:?}");
        assert_eq!(amount(&mut instance), 5, "{point:?}");
    }
}

#[test]
fn a_restore_that_was_asked_for_and_fails_leads_to_a_new_instance() {
    let guest = guest();
    for point in POINTS {
        let switches = Switches::default();
        let mut instance = switches.instance(&guest, RestorePolicy::Never);
        assert_eq!((amount(&mut instance), amount(&mut instance)), (5, 10));
        switches.fail(point);
        assert_eq!(instance.restore().expect("it can be replaced"), None, "{point:?}");
        assert!(instance.is_pristine() && instance.last_restore_error().is_some(), "{point:?}");
        assert_eq!(amount(&mut instance), 5, "{point:?}");
    }
}

#[test]
fn an_instance_that_cannot_be_replaced_either_keeps_the_outcome_and_is_made_again_later() {
    let guest = guest();
    for point in POINTS {
        let switches = Switches::default();
        let mut instance = switches.instance(&guest, RestorePolicy::EveryCall);
        switches.fail(point);
        switches.read.store(true, Relaxed);
        assert_eq!(amount(&mut instance), 5, "{point:?}: the call itself went well");
        assert_eq!(instance.status(), Status::Poisoned, "{point:?}");
        assert_eq!(instance.last_stats().replaced, None, "{point:?}: nor was it replaced");
        let failure = instance.invoke_by_name("count").expect_err("there is no instance");
        let Cause::NotRestorable { reasons } = &failure.cause else { panic!("{point:?}: {failure}") };
        let [restore, replace] = reasons.as_slice() else { panic!("{point:?}: {reasons:?}") };
        assert!(restore.contains(&format!("gave up: {point:?}")) && replace.contains("server is down"), "{reasons:?}");
        assert_eq!(instance.last_log().count(), 0, "{point:?}: the lines are those of the call before");
        switches.read.store(false, Relaxed);
        assert_eq!(amount(&mut instance), 5, "{point:?}");
        assert_eq!(instance.status(), Status::Ready, "{point:?}");
        let text = switches.metrics.text();
        for (counter, label, count) in [
            ("invocations", "", 3.0),
            ("errors", r#",cause="not-restorable""#, 1.0),
            ("replacements", r#",reason="not-restorable""#, 1.0),
        ] {
            let series = format!(r#"guest_{counter}_total{{guest="counter",function="count"{label}}}"#);
            assert_eq!(value(&text, &series), Some(count), "{point:?}: {text}");
        }
    }
}

#[test]
fn no_other_instance_of_a_pool_is_affected() {
    let guest = guest();
    for point in POINTS {
        let switches = Switches::default();
        let (told, guest) = (switches.clone(), guest.clone());
        let mut sizes = PoolConfig::default();
        (sizes.warm, sizes.max) = (2, 2);
        let pool = Pool::with(&sizes, move || Ok(told.instance(&guest, RestorePolicy::Never)));
        let pool = pool.expect("the guest is admitted");
        let (mut one, mut other) = (pool.take().expect("it is there"), pool.take().expect("it is there"));
        assert_eq!((amount(&mut one), amount(&mut other)), (5, 5));
        switches.fail(point);
        drop(one);
        assert_eq!(amount(&mut other), 10, "{point:?}: under a lazy policy it goes on where it was");
        let mut again = pool.take().expect("it was replaced");
        assert_eq!((amount(&mut again), amount(&mut other)), (5, 15), "{point:?}");
        drop((again, other));
        assert_eq!(pool.status().idle, 2, "{point:?}");
    }
}
