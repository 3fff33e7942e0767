//! Allocations of guests of the contract: by their own functions if they have them, otherwise by counted calls.

use guest_host::{AllocationSource, Cause, Instance, InstanceConfig, RestorePolicy, RestoreStrategy};

use super::{FRAME, guest, guest_in, load, state};

const STRATEGIES: [RestoreStrategy; 3] =
    [RestoreStrategy::DirtyCards, RestoreStrategy::FullCopy, RestoreStrategy::Reinstantiate];

fn instance(wasm: &[u8], strategy: RestoreStrategy, policy: RestorePolicy) -> Instance {
    let mut config = InstanceConfig::default();
    (config.strategy, config.policy, config.count) = (strategy, policy, true);
    config.exchange_size = Some(16);
    config.memory_limit = 4 << 16;
    load(wasm).instantiate(&config, state()).unwrap()
}

#[test]
fn what_the_host_asks_of_malloc_during_a_call_is_counted_with_it() {
    let wasm = guest(|source| {
        format!(
            r#"(func (export "allocates") (drop (call $malloc (i32.const 24))) (drop (call $malloc (i32.const 8))))
            (func (export "reads") (drop (call $hostValueAsBytes (call $hostGetValue (call $customer)) {logo}))
              (drop (call $hostValueAsString (call $hostGetValue (call $customer)) {name}))
              (drop (call $hostValueAsString (call $hostGetValue (call $customer)) {name}))
              (drop (call $hostValueAsString (call $hostGetValue (call $customer)) {name})))
            (func $customer (result i64) (local i64) (local.set 0 {key})
              (call $hostRowWriterPutInt64 (local.get 0) (i32.const 0) {id} (i64.const 7)) (local.get 0))"#,
            key = source.key("sys.Record", "shop.Customer"),
            id = source.text("Id"),
            logo = source.text("Logo"),
            name = source.text("Name"),
        )
    });
    for strategy in STRATEGIES {
        let mut instance = instance(&wasm, strategy, RestorePolicy::EveryCall);
        for _ in 0..2 {
            let mut counts = |function| {
                let stats = instance.invoke_by_name(function).unwrap().stats().allocations.unwrap();
                assert_eq!(stats.source, AllocationSource::CountedCalls);
                (stats.allocations, stats.allocated_bytes, stats.deallocations)
            };
            assert_eq!(counts("allocates"), (2, Some(32), Some(0)), "{strategy}");
            // Three bytes, and three times six: the buffer of 16 bytes has no room for all of it.
            assert_eq!(counts("reads"), (1, Some(1000), Some(0)), "{strategy}: after a restore it is asked again");
        }
    }
}

#[test]
fn a_trap_inside_malloc_is_an_overflow_whoever_called_it_and_leaves_nothing_under_way() {
    // As TinyGo's, it aborts where memory ends.
    let frame = FRAME.replace("(return (i32.const 0))", "unreachable");
    let wasm = guest_in(&frame, |source| {
        format!(
            r#"(func (export "once") (drop (call $malloc (i32.const 1))))
            (func (export "exhausts") (loop $again (drop (call $malloc (i32.const 50000))) (br $again)))
            (func (export "leaves_the_host_too_little") (local i64)
              ;; Behind the buffer of 16 bytes: less than 1,000 bytes are left, which is the least that the host asks for.
              (drop (call $malloc (i32.const 120000))) (drop (call $malloc (i32.const 71500)))
              (local.set 0 {key})
              (call $hostRowWriterPutInt64 (local.get 0) (i32.const 0) {id} (i64.const 7))
              (local.set 0 (call $hostGetValue (local.get 0)))
              (loop $again (drop (call $hostValueAsString (local.get 0) {name})) (br $again)))"#,
            key = source.key("sys.Record", "shop.Customer"),
            id = source.text("Id"),
            name = source.text("Name"),
        )
    });
    for strategy in STRATEGIES {
        for policy in [RestorePolicy::EveryCall, RestorePolicy::OnError] {
            let mut instance = instance(&wasm, strategy, policy);
            for (function, bytes) in [("exhausts", 50_000), ("leaves_the_host_too_little", 1000), ("exhausts", 50_000)]
            {
                match instance.invoke_by_name(function).unwrap_err().cause {
                    Cause::OutOfMemory { requested, .. } => assert_eq!(requested, bytes, "{function}"),
                    other => panic!("{strategy} {policy}: {function} failed by {other}"),
                }
                let stats = instance.invoke_by_name("once").unwrap().stats().allocations.unwrap();
                assert_eq!((stats.allocations, stats.allocated_bytes), (1, Some(1)), "{strategy} {policy}");
            }
        }
    }
}

#[test]
fn functions_of_the_guests_own_are_asked_and_malloc_is_left_alone() {
    let body = r#"(global $mallocs (mut i64) (i64.const 0))
        (func (export "WasmGetMallocs") (result i64)
          (i32.store (i32.const 512) (i32.const 1024)) (i32.store (i32.const 516) (i32.const 1))
          (drop (call $fd_write (i32.const 1) (i32.const 512) (i32.const 1) (i32.const 520)))
          (global.get $mallocs))
        (func (export "WasmGetFrees") (result i64) i64.const 0)
        (func (export "WasmGetHeapInuse") (result i64) (i64.extend_i32_u (global.get $heap)))
        (func (export "WasmGetHeapSys") (result i64) (i64.extend_i32_u (i32.shl (memory.size) (i32.const 16))))
        (func (export "allocates") (drop (call $malloc (i32.const 16)))
          (global.set $mallocs (i64.add (global.get $mallocs) (i64.const 1))))"#;
    let wasm = guest(|source| {
        source.text("x");
        body.to_owned()
    });
    assert!(load(&wasm).prepared().counted.is_empty());
    for strategy in STRATEGIES {
        let mut instance = instance(&wasm, strategy, RestorePolicy::OnError);
        for call in 1..4 {
            let stats = instance.invoke_by_name("allocates").unwrap().stats().allocations.unwrap();
            assert_eq!((stats.source, stats.allocations), (AllocationSource::GuestFunctions, 1), "{strategy}");
            assert_eq!((stats.deallocations, stats.allocated_bytes), (Some(0), None));
            // Behind the buffer of the host.
            assert_eq!((stats.heap_in_use, stats.heap_size), (Some(70_016 + call * 16), Some(2 << 16)));
            assert_eq!(instance.last_output(), b"", "what they print is nobody's");
        }
    }
}
