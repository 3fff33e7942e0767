//! Every trap that a guest can run into has its cause, and leaves an instance that is ready and pristine, by each strategy
//! that restores in place and under each kind of policy.

use std::time::Duration;

use guest_host::{
    Cause, Guest, Instance, InstanceConfig, InvalidData, LoadError, MemoryState, RestorePolicy, RestoreStrategy,
    StartError, Status,
};
use guest_prepare::PrepareOptions;
use wasmtime::Trap;

use test_support::text_guests;

type IsRight = fn(&Cause) -> bool;

macro_rules! cases {
    ($($name:literal $code:literal => $cause:pat $(if $guard:expr)?),* $(,)?) => {
        &[$(($name, $code, |cause| matches!(cause, $cause $(if $guard)?))),*]
    };
}

/// A name, the code that traps, and whether a cause is the right one.
const CASES: &[(&str, &str, IsRight)] = cases! {
    "unreachable" "unreachable" => Cause::Unreachable,
    "divides" "(drop (i32.div_u (i32.const 1) (global.get $zero)))"
        => Cause::Trap { trap: Trap::IntegerDivisionByZero },
    "overflows" "(drop (i32.div_s (i32.const 0x80000000) (i32.sub (global.get $zero) (i32.const 1))))"
        => Cause::Trap { trap: Trap::IntegerOverflow },
    "converts" "(drop (i32.trunc_f32_s (f32.const nan)))" => Cause::Trap { trap: Trap::BadConversionToInteger },
    "calls_nothing" "(call_indirect (i32.const 1))" => Cause::Trap { trap: Trap::IndirectCallToNull },
    "calls_another_type" "(drop (call_indirect (result i32) (i32.const 0)))"
        => Cause::Trap { trap: Trap::BadSignature },
    "calls_null" "(call_ref $empty (ref.null $empty))" => Cause::Trap { trap: Trap::NullReference },
    "calls_beyond" "(call_indirect (i32.const 99))" => Cause::OutOfBounds { .. },
    "loads_beyond" "(drop (i32.load (i32.const -1)))" => Cause::OutOfBounds { .. },
    "stores_beyond" "(i64.store offset=0xfffffff0 (i32.const 0xffff) (i64.const 1))" => Cause::OutOfBounds { .. },
    "fills_beyond" "(memory.fill (i32.const 131072) (i32.const 1) (i32.const 0xfff0000))" => Cause::OutOfBounds { .. },
    "copies_beyond" "(memory.copy (i32.const 0) (i32.const 1) (i32.const -1))" => Cause::OutOfBounds { .. },
    "recurses" "(call $recurses)" => Cause::StackOverflow,
    "asks_too_much" "(if (i32.eq (memory.grow (i32.const 9000)) (i32.const -1)) (then unreachable))"
        => Cause::OutOfMemory { requested, .. } if *requested == 9_000 << 16,
    "never_ends" "(loop $again (br $again))" => Cause::DeadlineExceeded { .. },
};

/// Each function leaves something everywhere before it traps; `seen` logs as many bytes as it finds of that, one for each
/// place, a page grown counting as well.
fn guest() -> Guest {
    let touch = r#"(i32.store (i32.const 2000) (i32.const 1)) (i32.store8 (i32.const 131071) (i32.const 1))
                   (global.set $mark (i32.const 1)) (drop (memory.grow (i32.const 1)))"#;
    let function = |(name, code, _): &(&str, &str, IsRight)| {
        format!("(func (export \"{name}\") (result i64) {touch} {code} i64.const 0)")
    };
    let functions: String = CASES.iter().map(function).collect();
    let wasm = text_guests::guest(
        r#"(import "extension" "log" (func $log (param i32 i32 i32)))"#,
        &format!(
            r#"(type $empty (func)) (table 2 funcref) (elem (i32.const 0) $nothing) (func $nothing)
               (global $zero (mut i32) (i32.const 0)) (global $mark (mut i32) (i32.const 0))
               (func $recurses (call $recurses) (call $nothing))
               (func (export "seen") (result i64)
                 (call $log (i32.const 2) (i32.const 64)
                   (i32.add (i32.add (i32.load (i32.const 2000)) (i32.load8_u (i32.const 131071)))
                            (i32.add (global.get $mark) (i32.sub (memory.size) (i32.const 2))))) i64.const 0)
               {functions}"#
        ),
    );
    let engine = test_support::compiled::engine();
    Guest::load(&engine, "traps", &wasm, PrepareOptions::default()).expect("the guest keeps the contract")
}

fn seen(instance: &mut Instance) -> usize {
    let outcome = instance.invoke_by_name("seen").expect("it only looks");
    outcome.log().map(|(_, line)| line.len()).sum()
}

#[test]
fn every_trap_has_its_cause_and_leaves_nothing() {
    let guest = guest();
    for strategy in [RestoreStrategy::FullCopy, RestoreStrategy::DirtyCards, RestoreStrategy::Reinstantiate] {
        for policy in [RestorePolicy::EveryCall, RestorePolicy::OnError, RestorePolicy::Never] {
            let mut config = InstanceConfig::default();
            (config.strategy, config.policy) = (strategy, policy);
            config.deadline = Some(Duration::from_millis(30));
            let mut instance = guest.instantiate(&config, MemoryState::new()).expect("the guest is admitted");
            for (name, _, is_right) in CASES {
                let failure = instance.invoke_by_name(name).expect_err(name);
                let told = format!("{name}, {strategy}, {policy}: {failure}");
                assert!(is_right(&failure.cause), "{told}");
                assert_eq!(failure.retried, *name == "asks_too_much" && policy.is_lazy(), "{told}");
                assert_eq!(failure.backtrace.last().map(String::as_str), Some(*name), "{told}");
                assert!(instance.status() == Status::Ready && instance.is_pristine(), "{told}");
                assert_eq!(seen(&mut instance), 0, "{told}");
            }
        }
    }
}

#[test]
fn what_fails_before_the_snapshot_has_its_cause_too() {
    let engine = test_support::compiled::engine();
    let refused = |body: &str| {
        let import = r#"(import "extension" "log" (func $log (param i32 i32 i32)))"#;
        let wasm = text_guests::guest(import, body);
        let guest = Guest::load(&engine, "early", &wasm, PrepareOptions::default()).expect("it keeps the contract");
        let mut config = InstanceConfig::default();
        config.init_deadline = Duration::from_millis(30);
        match guest.instantiate(&config, MemoryState::new()) {
            Err(LoadError::Start(StartError::Initialise(failure))) => (failure.function, failure.cause),
            other => panic!("{body}: {other:?}"),
        }
    };
    let start = |code: &str| refused(&format!("(func $begin {code}) (start $begin)"));
    let init = |code: &str| refused(&format!("(func (export \"__guest_init\") (result i32) {code} i32.const 0)"));
    let cases: [(&str, IsRight); 4] = [
        ("unreachable", |cause| matches!(cause, Cause::Unreachable)),
        (
            "(loop $again (br $again))",
            |cause| matches!(cause, Cause::DeadlineExceeded { deadline } if *deadline == Duration::from_millis(30)),
        ),
        ("(drop (i32.load (i32.const -1)))", |cause| matches!(cause, Cause::OutOfBounds { .. })),
        ("(drop (i32.trunc_f32_s (f32.const nan)))", |cause| {
            matches!(cause, Cause::Trap { trap: Trap::BadConversionToInteger })
        }),
    ];
    for (code, is_right) in cases {
        for (name, (function, cause)) in [("begin", start(code)), ("__guest_init", init(code))] {
            assert_eq!(function, name, "{code}");
            assert!(is_right(&cause), "{name}, {code}: {cause}");
        }
    }
    // The rules of calls hold here as well.
    let refusing = "(func $malloc (export \"malloc\") (param i32) (result i32) (i32.const 0))";
    let misses = "(func (export \"__guest_init\") (result i32) (drop (call $malloc (i32.const 24))) unreachable)";
    let (_, cause) = refused(&format!("{refusing} {misses}"));
    assert!(matches!(cause, Cause::OutOfMemory { requested: 24, .. }), "{cause}");
    let (_, cause) = refused(
        r#"(global $stack (export "__stack_pointer") (mut i32) (i32.const 1024))
           (func (export "__guest_init") (result i32)
             (global.set $stack (i32.sub (global.get $stack) (i32.const 2048)))
             (i32.store (global.get $stack) (i32.const 1)) i32.const 0)"#,
    );
    assert!(matches!(cause, Cause::StackOverflow), "{cause}");
    let (function, cause) = start("(call $log (i32.const 2) (i32.const 0) (i32.const 1))");
    assert!(matches!(cause, Cause::InvalidGuestData(InvalidData::TooEarly)), "{cause}");
    assert_eq!(function, "begin");
}

#[test]
fn a_segment_that_does_not_fit_is_no_failure_of_a_function() {
    let engine = test_support::compiled::engine();
    let wasm = text_guests::guest("", r#"(data (i32.const 131072) "x") (func $begin) (start $begin)"#);
    let guest = Guest::load(&engine, "early", &wasm, PrepareOptions::default()).expect("it keeps the contract");
    let refused = guest.instantiate(&InstanceConfig::default(), MemoryState::new()).expect_err("it does not fit");
    assert!(matches!(refused, LoadError::Start(StartError::Instantiate(_))), "{refused}");
}
