//! Guests that print a panic, exit, or use up their memory: the cause, and that they go on working.

use guest_abi::value::ValueRef;
use guest_host::{Cause, Instance, InstanceConfig, Metrics, RestorePolicy, RestoreStrategy};

use super::{Source, guest, load, state};
use crate::guests::heap::live_bytes;

/// Writes a text to output 1 or 2, as wasi-libc and TinyGo do.
fn print(source: &Source, descriptor: u32, text: &str) -> String {
    let text = source.text(text);
    format!("(call $print (i32.const {descriptor}) {text})",)
}

/// Each function gives up in its own way; `appends` adds to a list in a global until there is no memory, and then prints
/// what TinyGo prints.
fn guest_that_gives_up() -> Vec<u8> {
    guest(|source| {
        format!(
            r#"(func $print (param $descriptor i32) (param $at i32) (param $length i32)
                 (i32.store (i32.const 512) (local.get $at)) (i32.store (i32.const 516) (local.get $length))
                 (drop (call $fd_write (local.get $descriptor) (i32.const 512) (i32.const 1) (i32.const 520))))
               (global $list (mut i32) (i32.const 0))
               (func (export "panics") {begin} {panics} unreachable)
               (func (export "aborts") {begin} unreachable)
               (func (export "says_that_memory_is_out") {memory} unreachable)
               (func (export "says_something_like_it") {alike} unreachable)
               (func (export "exits") {begin} (call $proc_exit (i32.const 3)))
               (func (export "appends") (local $node i32) (local $count i32)
                 (local.set $count (i32.const 200))
                 (loop $again
                   (local.set $node (call $malloc (i32.const 4096)))
                   (if (i32.eqz (local.get $node)) (then {memory} unreachable))
                   (i32.store (local.get $node) (global.get $list))
                   (global.set $list (local.get $node))
                   (local.set $count (i32.sub (local.get $count) (i32.const 1)))
                   (br_if $again (local.get $count)))
                 (drop (call $hostQueryValue {key}))
                 (call $hostRowWriterPutInt32 {seen} (i32.const 1) {done} (i32.const 1)))"#,
            begin = print(source, 1, "begins\n"),
            panics = print(source, 2, "panic: index out of range\n"),
            memory = print(source, 1, "panic: runtime error: out of memory\n"),
            alike = print(source, 1, "panic: out of memory of the past\n"),
            key = source.key("sys.View", "a.B"),
            seen = source.seen(),
            done = source.text("done"),
        )
    })
}

fn instance(strategy: RestoreStrategy, policy: RestorePolicy, metrics: Option<Metrics>) -> Instance {
    let mut config = InstanceConfig::default();
    (config.strategy, config.policy, config.memory_limit, config.metrics) = (strategy, policy, 2 << 20, metrics);
    load(&guest_that_gives_up()).instantiate(&config, state()).unwrap()
}

#[test]
fn a_panic_that_is_printed_is_a_panic() {
    for strategy in [RestoreStrategy::DirtyCards, RestoreStrategy::Reinstantiate] {
        let mut instance = instance(strategy, RestorePolicy::EveryCall, None);
        let mut cause = |function: &str| {
            let cause = instance.invoke_by_name(function).unwrap_err().cause;
            assert!(instance.is_pristine());
            (cause, instance.last_output().to_vec())
        };
        let (panic, output) = cause("panics");
        assert!(
            matches!(&panic, Cause::Panic { message, location: None } if message == "index out of range"),
            "{panic}"
        );
        assert_eq!(output, b"begins\npanic: index out of range\n");
        let (abort, output) = cause("aborts");
        assert!(matches!(abort, Cause::Unreachable), "the panic of the call before is not this one's: {abort}");
        assert_eq!(output, b"begins\n");
        let (memory, _) = cause("says_that_memory_is_out");
        assert!(matches!(memory, Cause::OutOfMemory { requested: 0, limit: 0x20_0000, .. }), "{memory}");
        assert!(memory.to_string().contains("requested more memory"), "{memory}");
        let (alike, _) = cause("says_something_like_it");
        assert!(matches!(alike, Cause::Panic { .. }), "{alike}");
        let (exit, _) = cause("exits");
        assert!(matches!(exit, Cause::Exit { code: 3 }), "{exit}");
    }
}

#[test]
fn a_list_that_grows_for_ever_works_for_ever() {
    for strategy in [RestoreStrategy::DirtyCards, RestoreStrategy::FullCopy, RestoreStrategy::Reinstantiate] {
        let metrics = Metrics::default();
        let mut instance = instance(strategy, RestorePolicy::OnError, Some(metrics.clone()));
        let (mut recoveries, mut calls, mut pages, mut heap) = (0, 0, None, None);
        while recoveries < 1000 {
            let outcome = instance.invoke_by_name("appends").unwrap_or_else(|failure| panic!("{failure}"));
            let intents: Vec<_> = outcome.intents().map(Result::unwrap).collect();
            assert_eq!(intents[0].value.field("done").unwrap().map(ValueRef::as_i32), Some(Ok(1)));
            assert_eq!(intents.len(), 1);
            recoveries += u32::from(outcome.stats().retried);
            calls += 1;
            if outcome.stats().retried {
                let now = instance.physical_pages();
                assert_eq!(*pages.get_or_insert(now), now, "{strategy}: after {recoveries} recoveries");
                // A few recoveries make room for all that a call leaves, handles among it.
                if recoveries >= 3 {
                    let now = live_bytes();
                    assert_eq!(*heap.get_or_insert(now), now, "{strategy}: after {recoveries} recoveries");
                }
            }
        }
        // 2 MiB hold two calls' lists.
        assert!((1000..=3000).contains(&calls), "{calls}");
        let text = metrics.text();
        let recovered =
            text.lines().find(|line| line.starts_with("guest_retries_total{") && line.contains("recovered")).unwrap();
        assert!(recovered.ends_with(" 1000"), "{recovered}");
    }
}

/// The message says it, whichever way it comes. What else is said by `hostPanic` is a panic.
#[test]
fn memory_that_runs_out_may_be_said_by_a_host_function() {
    let wasm = guest(|source| {
        format!(
            r#"(func (export "memory_is_out") (call $hostPanic {}))
               (func (export "alike") (call $hostPanic {}))"#,
            source.text("runtime error: out of memory"),
            source.text("out of memory of the past"),
        )
    });
    let mut config = InstanceConfig::default();
    config.policy = RestorePolicy::OnError;
    let mut instance = load(&wasm).instantiate(&config, state()).unwrap();
    let failure = instance.invoke_by_name("memory_is_out").unwrap_err();
    assert!(matches!(failure.cause, Cause::OutOfMemory { requested: 0, .. }), "{:?}", failure.cause);
    assert!(failure.retried);
    let failure = instance.invoke_by_name("alike").unwrap_err();
    assert!(matches!(failure.cause, Cause::Panic { .. }), "{:?}", failure.cause);
}
