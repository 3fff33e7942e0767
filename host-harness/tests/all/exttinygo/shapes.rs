//! Guests of odd shapes: commands and reactors, start functions, tables, globals that nobody exports.

use guest_abi::value::ValueRef;
use guest_host::{Guest, InstanceConfig, MemoryState, Pool, PoolConfig, RestorePolicy, RestoreStrategy};
use guest_prepare::PrepareOptions;
use host_harness::inspect::strategies;
use host_harness::verify::{VerifyOptions, verify};

use super::{guest, load, state};

const STRATEGIES: [RestoreStrategy; 3] =
    [RestoreStrategy::DirtyCards, RestoreStrategy::FullCopy, RestoreStrategy::Reinstantiate];

/// As TinyGo makes them: a command whose `_start` runs initialisers and `main`, a start function, statics that are filled
/// at run time, a table of functions that are called through it, and a stack below the statics. Every call leaves
/// something in all of these.
fn tinygo_like(initialiser: &str) -> Guest {
    load(&guest(|source| {
        format!(
            r#"(table 3 funcref) (elem (i32.const 0) $one $two $three)
               (type $number (func (result i32)))
               (func $one (result i32) (i32.const 1)) (func $two (result i32) (i32.const 2)) (func $three (result i32) (i32.const 3))
               (global $started (mut i32) (i32.const 0)) (global $state (mut i64) (i64.const 5)) (global $ratio (mut f64) (f64.const 0.5))
               (func $runtime.init (global.set $started (i32.add (global.get $started) (i32.const 10))))
               (start $runtime.init)
               (func (export "{initialiser}") (local $at i32)
                 (if (i32.load (i32.const 3000)) (then unreachable))
                 (loop $fill (i32.store (i32.add (i32.const 3000) (i32.shl (local.get $at) (i32.const 2)))
                     (i32.mul (local.get $at) (i32.const 7)))
                   (local.set $at (i32.add (local.get $at) (i32.const 1)))
                   (br_if $fill (i32.lt_u (local.get $at) (i32.const 100))))
                 (i32.store (i32.const 3000) (i32.const 1))
                 (global.set $started (i32.add (global.get $started) (i32.const 1))))
               (func (export "counts") (local $seen i64)
                 (global.set $stack_pointer (i32.sub (global.get $stack_pointer) (i32.const 16)))
                 (i32.store (global.get $stack_pointer) (i32.const 0x5a5a5a5a))
                 (i32.store (i32.const 3100) (i32.add (i32.load (i32.const 3100)) (i32.const 1)))
                 (global.set $state (i64.mul (global.get $state) (i64.const 3)))
                 (global.set $ratio (f64.mul (global.get $ratio) (f64.const 3)))
                 (drop (call $malloc (i32.const 100000)))
                 (local.set $seen {seen})
                 (call $hostRowWriterPutInt32 (local.get $seen) (i32.const 1) {statics} (i32.load (i32.const 3100)))
                 (call $hostRowWriterPutInt64 (local.get $seen) (i32.const 1) {global} (global.get $state))
                 (call $hostRowWriterPutFloat64 (local.get $seen) (i32.const 1) {float} (global.get $ratio))
                 (call $hostRowWriterPutInt32 (local.get $seen) (i32.const 1) {started} (global.get $started))
                 (call $hostRowWriterPutInt32 (local.get $seen) (i32.const 1) {pages} (memory.size))
                 (call $hostRowWriterPutInt32 (local.get $seen) (i32.const 1) {table}
                   (call_indirect (type $number) (i32.rem_u (i32.load (i32.const 3100)) (i32.const 3)))))"#,
            seen = source.seen(),
            statics = source.text("statics"),
            global = source.text("global"),
            float = source.text("float"),
            started = source.text("started"),
            pages = source.text("pages"),
            table = source.text("table"),
        )
    }))
}

#[test]
fn commands_and_reactors_are_initialised_once_and_restored_to_what_they_were_then() {
    for initialiser in ["_start", "_initialize"] {
        let guest = tinygo_like(initialiser);
        assert_eq!(guest.functions(), ["counts"]);
        for strategy in STRATEGIES {
            let mut config = InstanceConfig::default();
            config.strategy = strategy;
            let mut instance = guest.instantiate(&config, MemoryState::new()).unwrap();
            for _ in 0..4 {
                let outcome = instance.invoke_by_name("counts").unwrap();
                let intent = outcome.intents().next().unwrap().unwrap();
                let field = |name: &str| intent.value.field(name).unwrap().map(ValueRef::as_f64).unwrap().unwrap();
                let fields = ["statics", "global", "float", "started", "pages", "table"].map(field);
                // 25 * 7 and one: what the initialiser filled is in the snapshot. The host's buffer took one page more, the
                // call's own allocation two.
                assert_eq!(fields, [176.0, 15.0, 1.5, 11.0, 5.0, 3.0], "{strategy}");
            }
        }
    }
}

#[test]
fn guests_of_every_kind_are_verified() {
    for guest in [tinygo_like("_start"), tinygo_like("_initialize")] {
        for strategy in STRATEGIES {
            let mut options = VerifyOptions::default();
            (options.config.strategy, options.calls) = (strategy, 20);
            let verdict = verify(&guest, &options, &MemoryState::new(), &mut |_| {}).unwrap();
            assert!(verdict.passed(), "{strategy}: {verdict:?}");
            assert_eq!(verdict.failures, 0);
        }
    }
}

/// A guest that says of its heap what a global has: `takes` adds a thousand bytes.
fn guest_that_says_its_heap(says: &str) -> Guest {
    load(&guest(|source| {
        format!(
            r#"(global $in_use (mut i64) (i64.const 0))
               (func (export "WasmGetHeapInuse") (result i64) {says})
               (func (export "takes") (global.set $in_use (i64.add (global.get $in_use) (i64.const 1000)))
                 (call $hostRowWriterPutInt64 {} (i32.const 1) {} (global.get $in_use)))"#,
            source.seen(),
            source.text("in use")
        )
    }))
}

#[test]
fn a_policy_goes_by_the_heap_that_the_guest_says_to_be_in_use() {
    let in_use = |says: &str| {
        let mut config = InstanceConfig::default();
        config.policy = RestorePolicy::OnHeapAbove(2500);
        let mut instance = guest_that_says_its_heap(says).instantiate(&config, MemoryState::new()).unwrap();
        let mut take = || {
            let outcome = instance.invoke_by_name("takes").unwrap();
            let intent = outcome.intents().next().unwrap().unwrap();
            intent.value.field("in use").unwrap().unwrap().as_i64().unwrap()
        };
        [take(), take(), take(), take()]
    };
    assert_eq!(in_use("(global.get $in_use)"), [1000, 2000, 3000, 1000]);
    assert_eq!(in_use("unreachable"), [1000; 4], "what it says by a trap is too much");
}

#[test]
fn a_pool_has_such_instances_and_an_artefact_such_guests() {
    let guest = tinygo_like("_start");
    let artefact = guest.to_artefact().unwrap();
    let from_artefact = Guest::from_artefact(guest.engine(), "again", &artefact, PrepareOptions::default()).unwrap();
    assert_eq!(from_artefact.functions(), guest.functions());
    let pool = Pool::new(&from_artefact, &InstanceConfig::default(), &PoolConfig::default(), || Ok(MemoryState::new()));
    let pool = pool.unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..50 {
                    let mut instance = pool.take().unwrap();
                    let outcome = instance.invoke_by_name("counts").unwrap();
                    let intent = outcome.intents().next().unwrap().unwrap();
                    assert_eq!(intent.value.field("statics").unwrap().map(ValueRef::as_i32), Some(Ok(176)));
                }
            });
        }
    });
}

#[test]
fn what_is_initialised_from_the_state_is_in_the_snapshot() {
    let guest = load(&guest(|source| {
        format!(
            r#"(global $age (mut i32) (i32.const 0))
               (func (export "_start") (local $key i64) (local.set $key {})
                 (call $hostRowWriterPutInt32 (local.get $key) (i32.const 0) {} (i32.const 7))
                 (global.set $age (call $hostValueAsInt32 (call $hostGetValue (local.get $key)) {})))
               (func (export "tells") (call $hostRowWriterPutInt32 {} (i32.const 1) {} (global.get $age))
                 (global.set $age (i32.const 0)))"#,
            source.key("sys.Record", "shop.Customer"),
            source.text("Id"),
            source.text("Age"),
            source.seen(),
            source.text("age"),
        )
    }));
    let (config, state) = (InstanceConfig::default(), state());
    let judged = strategies(&guest, &config, &state).unwrap();
    let admitted: Vec<_> = judged.iter().filter(|one| one.refusals.is_empty()).map(|one| one.strategy).collect();
    assert_eq!(admitted, [RestoreStrategy::Reinstantiate, RestoreStrategy::FullCopy, RestoreStrategy::DirtyCards]);
    assert!(strategies(&guest, &config, &MemoryState::new()).is_err(), "it wants the record");
    for strategy in STRATEGIES {
        let mut options = VerifyOptions::default();
        (options.config.strategy, options.calls) = (strategy, 10);
        let verdict = verify(&guest, &options, &state, &mut |_| {}).unwrap();
        assert!(verdict.passed() && verdict.failures == 0, "{strategy}: {verdict:?}");
        let mut instance = guest.instantiate(&InstanceConfig::default(), state.clone()).unwrap();
        for _ in 0..3 {
            let outcome = instance.invoke_by_name("tells").unwrap();
            let intent = outcome.intents().next().unwrap().unwrap();
            assert_eq!(intent.value.field("age").unwrap().map(ValueRef::as_i32), Some(Ok(41)));
        }
    }
}
