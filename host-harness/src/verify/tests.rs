//! A specimen that verification must catch: an instance whose restores forget what belongs to WASI.

use super::*;
use guest_host::{Engine, EngineConfig};
use guest_prepare::PrepareOptions;

const GUEST: &str = r#"(module
    (import "wasi_snapshot_preview1" "clock_time_get" (func $time (param i32 i64 i32) (result i32)))
    (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (@custom "guest-abi" "\01\00\00\00") (memory (export "memory") 1)
    (func (export "__guest_exchange") (param i32) (result i32) i32.const 4096)
    (data (i32.const 64) "\60\00\00\00\05\00\00\00") (data (i32.const 96) "hello")
    (func (export "time") (result i64)
      (drop (call $time (i32.const 1) (i64.const 0) (i32.const 128))) i64.const 0)
    (func (export "random") (result i64) (drop (call $random (i32.const 128) (i32.const 8))) i64.const 0)
    (func (export "write_and_close") (result i64)
      (drop (call $write (i32.const 1) (i32.const 64) (i32.const 1) (i32.const 80)))
      (drop (call $close (i32.const 1))) i64.const 0))"#;

fn verdict(function: &str, forgetful: bool) -> Verdict {
    let engine = Engine::new(&EngineConfig::default()).unwrap();
    let guest = Guest::load(&engine, "wasi", &wat::parse_str(GUEST).unwrap(), PrepareOptions::default()).unwrap();
    let functions = Some(vec![function.to_owned()]);
    let mut options = VerifyOptions { calls: 3, functions, ..VerifyOptions::default() };
    options.config.strategy = RestoreStrategy::DirtyCards;
    options.config.memory_limit = 1 << 20;
    options.config.exchange_size = Some(4096);
    let mut subject = guest.instantiate(&subject_config(&options), MemoryState::new()).unwrap();
    if forgetful {
        subject.forget_wasi();
    }
    run(&guest, subject, &options, &MemoryState::new(), &mut |_| ()).unwrap()
}

#[test]
fn restores_that_forget_what_belongs_to_wasi_are_caught() {
    for (function, aspects) in [
        ("time", &[Aspect::Trace][..]),
        ("random", &[Aspect::Trace]),
        ("write_and_close", &[Aspect::Output, Aspect::Trace]),
    ] {
        let honest = verdict(function, false);
        assert!(honest.passed() && honest.calls == 3, "{function}: {:?}", honest.differences);
        let forgetful = verdict(function, true);
        let found = forgetful.differences.iter().map(|difference| match &difference.what {
            What::Outcome { aspect, .. } => *aspect,
            other => panic!("{other}"),
        });
        assert_eq!(found.collect::<Vec<_>>(), aspects, "{function}");
        assert!(forgetful.differences.iter().all(|difference| (difference.call, difference.again) == (2, 1)));
    }
    let told = verdict("write_and_close", true).differences.remove(0).what.to_string();
    assert!(
        told.contains(r#"the output differs from that of a fresh instance in line 1 of 1: "hello" expected, "" found"#),
        "{told}"
    );
}

/// A guest that copies its environment into its memory while it is initialised.
const COPIES: &str = r#"(module
    (import "wasi_snapshot_preview1" "environ_get" (func $environment (param i32 i32) (result i32)))
    (@custom "guest-abi" "\01\00\00\00") (memory (export "memory") 2)
    (global (export "__heap_base") i32 (i32.const 4096))
    (func (export "__guest_exchange") (param i32) (result i32) i32.const 4096)
    (func (export "_initialize") (drop (call $environment (i32.const 64) (i32.const 70000))))
    (func (export "nothing") (result i64) i64.const 0))"#;

/// Verifies a subject with this environment, while the reference has none: the subject's memory holds bytes that the
/// reference's does not, as if the pool had handed out memory with an earlier instance's bytes.
fn verdict_of_dirty(strategy: RestoreStrategy, environment: &[(&str, &str)]) -> Verdict {
    // Whatever verification measures by takes nothing from the pool.
    let config = EngineConfig::default().with_allocation(InstanceAllocation::pooling(1));
    let engine = Engine::new(&config).unwrap();
    let guest = Guest::load(&engine, "copies", &wat::parse_str(COPIES).unwrap(), PrepareOptions::default()).unwrap();
    let functions = Some(vec!["nothing".to_owned()]);
    let mut options = VerifyOptions { calls: 5, functions, ..VerifyOptions::default() };
    (options.config.strategy, options.config.exchange_size) = (strategy, Some(4096));
    let mut dirty = subject_config(&options);
    dirty.wasi.environment = environment.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    let subject = guest.instantiate(&dirty, MemoryState::new()).unwrap();
    run(&guest, subject, &options, &MemoryState::new(), &mut |_| ()).unwrap()
}

#[test]
fn a_new_instance_with_bytes_of_another_is_caught() {
    use RestoreStrategy::{DirtyCards, FullCopy, Reinstantiate};
    // One that is restored in place is new before its first call; one that is replaced also after each.
    for (strategy, again) in [(FullCopy, 0), (DirtyCards, 0), (Reinstantiate, 5)] {
        let honest = verdict_of_dirty(strategy, &[]);
        assert!(honest.passed() && honest.calls == 5, "{strategy}: {:?}", honest.differences);
        let dirty = verdict_of_dirty(strategy, &[("A", "secret")]);
        assert_eq!(dirty.calls, 5);
        let found: Vec<_> = dirty.differences.iter().map(|found| (found.what.to_string(), found.again)).collect();
        let statics = "a new instance differs from a fresh one in 3 byte(s) of the statics, first at address 0x40: 0x00 \
                       expected, 0x70 found";
        let heap = "a new instance differs from a fresh one in 8 byte(s) of the heap, first at address 0x11170: 0x00 \
                    expected, 0x41 found";
        assert_eq!(found, [statics, heap].map(|text| (text.to_owned(), again)), "{strategy}");
    }
}
