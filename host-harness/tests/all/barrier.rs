//! Guests that are restored by the write barrier, wherever their stack pointer goes and whatever they declare.

use guest_host::{Guest, InstanceConfig, MemoryState, RestoreStrategy};
use guest_prepare::PrepareOptions;
use host_harness::verify::{Verdict, VerifyOptions, verify};

/// Verifies `dirty-cards` on a guest with this content and these functions.
fn verdict(stack_pointer: i32, functions: &str) -> Verdict {
    let text = format!(
        r#"(module (@custom "guest-abi" "\01\00\00\00") (memory (export "memory") 2)
            (global $sp (export "__stack_pointer") (mut i32) (i32.const {stack_pointer}))
            (global (export "__heap_base") i32 (i32.const 4096)) (global (export "__data_end") i32 (i32.const 4096))
            (func (export "__guest_exchange") (param i32) (result i32) (i32.const 65536)) {functions})"#
    );
    let engine = test_support::compiled::engine();
    let guest = Guest::load(&engine, "guest", &wat::parse_str(text).unwrap(), PrepareOptions::default()).unwrap();
    let mut options = VerifyOptions::default();
    options.config.strategy = RestoreStrategy::DirtyCards;
    options.config.exchange_size = Some(4096);
    options.calls = 20;
    verify(&guest, &options, &MemoryState::new(), &mut |_| ()).unwrap()
}

#[test]
fn frames_are_restored_wherever_the_stack_pointer_goes() {
    let frame =
        "(local $p i32) (local.set $p (i32.sub (global.get $sp) (i32.const 16))) (global.set $sp (local.get $p))
        (i64.store (local.get $p) (i64.const -1)) (i64.store offset=8 (local.get $p) (i64.const -1)) i64.const 0";
    let function = |before: &str| {
        format!(
            r#"(func (export "f") (result i64) {})"#,
            frame.replacen("(local.set", &format!("{before} (local.set"), 1)
        )
    };
    let init = |to: i32| {
        format!(r#"(func (export "__guest_init") (result i32) (global.set $sp (i32.const {to})) i32.const 0)"#)
    };
    for (what, first, functions) in [
        ("as it is", 1024, function("")),
        ("above its first value in the snapshot", 1024, init(1040) + &function("")),
        ("far above it", 1024, init(4000) + &function("")),
        ("below it", 1024, init(16) + &function("")),
        ("set by the function", 1024, function("(global.set $sp (i32.const 3000))")),
        ("below a frame, so that it wraps", 1024, function("(global.set $sp (i32.const 8))")),
        ("first at the end of the address space", -1, function("(global.set $sp (i32.const 24))")),
        ("first near the end, and low in the snapshot", -16, init(2048) + &function("")),
    ] {
        let verdict = verdict(first, &functions);
        let told: Vec<_> = verdict.differences.iter().map(ToString::to_string).collect();
        assert!(verdict.differences.is_empty() && verdict.skipped.is_empty(), "{what}: {told:?}");
        // A frame that wraps lies behind the end of memory, so that the function traps.
        assert_eq!(verdict.passed(), !what.contains("wraps"), "{what}: {:?}", verdict.never_succeeded);
    }
}

#[test]
fn code_that_is_not_reached_takes_no_operands_from_around_it() {
    let functions = r#"(func (export "f") (result i64)
        (i32.load (i32.const 0)) block br 0 i32.const 0x10000 i32.add drop end i32.const 42 i32.store offset=8192
        i64.const 0)"#;
    assert!(verdict(1024, functions).passed());
}

#[test]
fn a_function_with_all_the_locals_that_there_can_be_is_restored_without_marks() {
    let text = format!(
        r#"(module (@custom "guest-abi" "\01\00\00\00") (memory (export "memory") 2)
            (func (export "__guest_exchange") (param i32) (result i32) (i32.const 65536))
            (func (export "f") (result i64) (local {}) i64.const 0))"#,
        "i32 ".repeat(50_000)
    );
    let engine = test_support::compiled::engine();
    let guest = Guest::load(&engine, "guest", &wat::parse_str(text).unwrap(), PrepareOptions::default()).unwrap();
    let mut config = InstanceConfig::default();
    config.exchange_size = Some(4096);
    let instance = guest.instantiate(&config, MemoryState::new()).unwrap();
    assert_eq!(instance.strategy().strategy, RestoreStrategy::FullCopy);
    config.strategy = RestoreStrategy::DirtyCards;
    let refused = guest.instantiate(&config, MemoryState::new()).unwrap_err().to_string();
    assert!(refused.contains("50000 locals") && refused.contains("use strategy `full-copy`"), "{refused}");
}
