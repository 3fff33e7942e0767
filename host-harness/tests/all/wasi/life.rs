//! The life of an instance: initialisation that exits, calls that exit, and restores.

use guest_host::wasi::{Clock, Randomness, panic_message};
use guest_host::{Cause, InstanceConfig, LoadError, MemoryState, RestorePolicy, RestoreStrategy, StartError};
use host_harness::verify::{VerifyOptions, verify};

use super::{errnos, guest, instance, load, traced};

const STRATEGIES: [RestoreStrategy; 3] =
    [RestoreStrategy::Reinstantiate, RestoreStrategy::FullCopy, RestoreStrategy::DirtyCards];

#[test]
fn what_was_closed_is_open_again_after_a_restore() {
    // Initialisation closes the input, which is part of the snapshot.
    let guest = guest(
        &["fd_close", "fd_fdstat_set_flags"],
        r#"(func (export "_initialize") (drop (call $fd_close (i32.const 0))))
           (func $close (export "close") (result i64)
             (drop (call $fd_close (i32.const 0)))
             (drop (call $fd_close (i32.const 1)))
             (drop (call $fd_close (i32.const 1))) i64.const 0)
           (func (export "close_and_abort") (result i64) (drop (call $close)) unreachable)"#,
    );
    for strategy in STRATEGIES {
        let mut config = traced();
        config.strategy = strategy;
        let mut instance = instance(&guest, &config);
        for _ in 0..3 {
            assert_eq!(errnos(&mut instance, "close"), [8, 0, 8], "{strategy}");
        }
        assert!(instance.invoke_by_name("close_and_abort").is_err());
        assert_eq!(errnos(&mut instance, "close"), [8, 0, 8], "{strategy}");
    }
    let mut config = traced();
    config.policy = RestorePolicy::OnError;
    let mut lazy = instance(&guest, &config);
    assert_eq!(errnos(&mut lazy, "close"), [8, 0, 8]);
    assert_eq!(errnos(&mut lazy, "close"), [8, 8, 8], "nothing restored it");
    lazy.restore().unwrap();
    assert_eq!(errnos(&mut lazy, "close"), [8, 0, 8]);
}

#[test]
fn to_exit_is_a_cause_and_the_instance_is_restored() {
    let guest = guest(
        &["proc_exit"],
        r#"(global $calls (mut i32) (i32.const 0))
           (func $count (result i32)
             (global.set $calls (i32.add (global.get $calls) (i32.const 1))) (global.get $calls))
           (func (export "zero") (result i64) (call $proc_exit (i32.sub (call $count) (i32.const 1))) i64.const 0)
           (func (export "minus") (result i64) (call $proc_exit (i32.sub (i32.const 0) (call $count))) i64.const 0)"#,
    );
    for strategy in STRATEGIES {
        for policy in [RestorePolicy::EveryCall, RestorePolicy::Never] {
            let mut config = InstanceConfig::default();
            (config.strategy, config.policy) = (strategy, policy);
            let mut instance = instance(&guest, &config);
            for (function, expected) in [("zero", 0), ("minus", -1), ("zero", 0)] {
                let failure = instance.invoke_by_name(function).unwrap_err();
                let Cause::Exit { code } = failure.cause else { panic!("{failure}") };
                assert_eq!((code, failure.cause.kind()), (expected, "exit"), "{strategy}");
                assert!(instance.is_pristine(), "{strategy}");
            }
        }
    }
}

/// A guest whose `_initialize` sets a global and exits with this code.
fn exiting(code: i32) -> guest_host::Guest {
    guest(
        &["proc_exit"],
        &format!(
            r#"(global $ready (mut i32) (i32.const 0))
               (func $leave (call $proc_exit (i32.const {code})))
               (func (export "_initialize") (global.set $ready (i32.const 1)) (call $leave) unreachable)
               (func (export "is_ready") (result i64)
                 (if (i32.eqz (global.get $ready)) (then unreachable)) i64.const 0)"#
        ),
    )
}

#[test]
fn an_initialisation_that_exits_with_0_is_one() {
    let guest = exiting(0);
    for strategy in STRATEGIES {
        let mut config = InstanceConfig::default();
        config.strategy = strategy;
        let mut instance = instance(&guest, &config);
        for _ in 0..2 {
            assert!(instance.invoke_by_name("is_ready").is_ok(), "{strategy}");
        }
    }
    let Err(LoadError::Start(StartError::Initialise(failure))) =
        exiting(3).instantiate(&InstanceConfig::default(), MemoryState::new())
    else {
        panic!("it exits with 3");
    };
    assert!(matches!(failure.cause, Cause::Exit { code: 3 }), "{failure}");
    assert_eq!((failure.function.as_str(), failure.backtrace[0].as_str()), ("_initialize", "leave"));
}

/// As TinyGo makes them: `_start` says that it runs, closes its input and exits; `calc` says what it panics about.
const COMMAND: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 3)
    (data (i32.const 64) "\80\00\00\00\1d\00\00\00")
    (data (i32.const 128) "calc\npanic: there is no order\n")
    (func $say (drop (call $write (i32.const 2) (i32.const 64) (i32.const 1) (i32.const 80))))
    (func (export "_start") (drop (call $close (i32.const 0))) (call $say) (call $exit (i32.const CODE)) unreachable)
    (func (export "malloc") (param i32) (result i32) i32.const 1024)
    (func (export "WasmAbiVersion_0_0_1"))
    (func (export "calc") (call $say) unreachable)
    (func (export "close") (drop (call $close (i32.const 0))) (drop (call $close (i32.const 1)))))"#;

#[test]
fn a_command_of_the_exttinygo_contract_may_exit_with_0_when_it_is_started() {
    let command = |code: &str| load(&wat::parse_str(COMMAND.replace("CODE", code)).unwrap()).unwrap();
    for strategy in STRATEGIES {
        let mut config = traced();
        config.strategy = strategy;
        let mut instance = instance(&command("0"), &config);
        for _ in 0..2 {
            assert!(instance.invoke_by_name("calc").is_err());
            let message = panic_message(instance.last_output());
            assert_eq!(message.as_deref(), Some("there is no order"), "{strategy}");
            assert_eq!(errnos(&mut instance, "close"), [8, 0], "{strategy}");
            assert_eq!(instance.last_output(), b"", "{strategy}");
        }
    }
    let error = command("1").instantiate(&InstanceConfig::default(), MemoryState::new()).unwrap_err();
    assert!(error.to_string().contains("`_start` failed: the guest exited with code 1"), "{error}");
}

#[test]
fn guests_that_read_clocks_and_random_bytes_pass_verification() {
    let guest = guest(
        &["clock_time_get", "random_get", "fd_write", "fd_close"],
        r#"(data (i32.const 64) "\80\00\00\00\20\00\00\00")
           (func (export "tell") (result i64)
             (drop (call $clock_time_get (i32.const 0) (i64.const 0) (i32.const 128)))
             (drop (call $random_get (i32.const 136) (i32.const 24)))
             (drop (call $fd_write (i32.const 2) (i32.const 64) (i32.const 1) (i32.const 32))) i64.const 0)
           (func (export "close") (result i64) (drop (call $fd_close (i32.const 2))) i64.const 0)"#,
    );
    for strategy in STRATEGIES {
        for randomness in [Randomness::System, Randomness::Seeded(9)] {
            let mut options = VerifyOptions::default();
            (options.calls, options.config.strategy) = (50, strategy);
            (options.config.wasi.clock, options.config.wasi.randomness) = (Clock::System, randomness);
            let verdict = verify(&guest, &options, &MemoryState::new(), &mut |_| ()).unwrap();
            assert!(verdict.passed() && verdict.calls == 50, "{strategy}: {:?}", verdict.differences);
        }
    }
}
