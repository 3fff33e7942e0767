//! A specimen that verification must catch: an instance whose restores forget what belongs to WASI.

use guest_host::snapshot::RegionKind;

use super::*;
use crate::report::{self, Content, Report, Settings, VerdictReport, VerifyReport};
use guest_host::{Engine, EngineConfig, InstanceAllocation, Residue, RestoreStrategy, SuspendError};
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

/// One difference of each kind, with every field set.
fn every_difference() -> Vec<Difference> {
    let residual = |region| Residual { region, address: u64::from(u32::MAX), expected: 0, found: 255, bytes: 1 << 32 };
    let of = |what| Difference {
        call: 4,
        function: "f \"quoted\"".to_owned(),
        previous: Some("g".to_owned()),
        again: 2,
        what,
        residue: vec![residual(RegionKind::Tail)],
    };
    let text = |text: &str| text.to_owned();
    let mut all = vec![
        What::Global { name: text("__stack_pointer"), expected: text("I32(1)"), found: text("I32(2)") },
        What::Table { name: text("table") },
        What::Creep { pages: 3, fresh: 2 },
        What::Ring { address: 0x11_000, expected: 7, found: 9, bytes: 1 },
        What::Replaced,
    ];
    let aspects = [
        Aspect::Result,
        Aspect::ReturnValues,
        Aspect::Intents,
        Aspect::Log,
        Aspect::Output,
        Aspect::Trace,
        Aspect::Allocations,
        Aspect::Blocks,
    ];
    for (index, aspect) in aspects.into_iter().enumerate() {
        let place = (index % 2 == 0).then(|| text("line 1 of 1"));
        all.push(What::Outcome { aspect, place, expected: text("0"), found: text("4096") });
    }
    for region in RegionKind::ALL {
        let Residual { region, address, expected, found, bytes } = residual(region);
        all.push(What::Memory { region, address, expected, found, bytes });
        all.push(What::NewMemory { region, address, expected, found, bytes });
    }
    all.into_iter().map(of).collect()
}

#[test]
fn differences_in_json_have_fields_and_are_read_back() {
    let mut verdict = verdict("time", false);
    verdict.differences = every_difference();
    verdict.skipped = vec![Skipped { function: "f".to_owned(), calls: 3, on_restored: 1, compared: 0 }];
    let settings = Settings::of(&InstanceConfig::default(), true);
    let of = VerdictReport::of("wasi", "unknown", Some(Residue::Keep), &verdict);
    let report = Report::new(Content::Verify(VerifyReport::new(settings, vec![of])));
    let json = serde_json::to_string(&report).unwrap();
    let Content::Verify(read) = report::read(&json).unwrap().content else { panic!("{json}") };
    assert_eq!(read.verdicts[0].differences, verdict.differences);
    assert_eq!(read.verdicts[0].inconclusive, verdict.skipped);
    assert_eq!(read.verdicts[0].regions, verdict.regions);
    assert!(!verdict.regions.is_empty());

    let of_kind = |kind: &str| {
        let found = verdict.differences.iter().map(|difference| serde_json::to_value(difference).unwrap());
        found.into_iter().find(|difference| difference["what"]["kind"] == kind).unwrap_or_else(|| panic!("no {kind}"))
    };
    let memory = of_kind("memory");
    assert_eq!(memory["what"]["region"], "shadow stack");
    assert_eq!(memory["what"]["address"], u32::MAX);
    assert_eq!((&memory["what"]["expected"], &memory["what"]["found"]), (&0.into(), &255.into()));
    assert_eq!((&memory["call"], &memory["previous"], &memory["again"]), (&4.into(), &"g".into(), &2.into()));
    assert_eq!(memory["residue"][0]["region"], "grown tail");
    assert_eq!(of_kind("outcome")["what"]["aspect"], "result");
    for kind in ["new-memory", "global", "table", "creep", "replaced"] {
        of_kind(kind);
    }
    let damaged = json.replacen("shadow stack", "shadow stock", 1);
    let refused = report::read(&damaged).unwrap_err().to_string();
    assert!(refused.contains("`shadow stock` is no region of memory"), "{refused}");
}

/// A guest whose functions keep what they do: in a global, in memory, and in the size of memory.
const KEEPS: &str = r#"(module
    (memory (export "memory") 1 4)
    (global $count (mut i32) (i32.const 0))
    (func (export "count") (result i32)
      (global.set $count (i32.add (global.get $count) (i32.const 1))) (global.get $count))
    (func (export "write") (result i32)
      (i32.store (i32.const 2048) (i32.add (i32.load (i32.const 2048)) (i32.const 1)))
      (i32.store (i32.const 40960) (i32.const 7)) (i32.load (i32.const 2048)))
    (func (export "grow") (result i32)
      (if (i32.lt_u (memory.size) (i32.const 3)) (then (drop (memory.grow (i32.const 1))))) (memory.size))
    (func (export "fail") (result i32) (i32.store (i32.const 2048) (i32.const 99)) unreachable))"#;

/// Keeps the number of a block, which names nothing any more in later calls. A stage uses it nonetheless, and another one leaves a block attached.
const KEEPS_NUMBERS: &str = r#"(module
    (import "test:shm/exchange" "[static]memory-block.add-storage" (func $add_storage (param i32 i32 i32)))
    (import "test:shm/exchange" "[method]memory-block.attach" (func $attach (param i32 i32 i32)))
    (import "test:shm/exchange" "[method]memory-block.detach" (func $detach (param i32 i32)))
    (import "test:shm/exchange" "[method]memory-block.clone" (func $clone (param i32) (result i32)))
    (memory (export "memory") 33)
    (func (export "_initialize") (call $add_storage (i32.const 65536) (i32.const 2097152) (i32.const 0)))
    (func (export "keep") (param $block i32) (result i32)
        (if (local.get $block) (then (i32.store (i32.const 2048) (call $clone (local.get $block)))))
        (local.get $block))
    (func (export "fail") (param $block i32) (result i32)
        (call $attach (i32.load (i32.const 2048)) (i32.const 1) (i32.const 0))
        (call $detach (i32.load (i32.const 2048)) (i32.const 0))
        (local.get $block))
    (func (export "leave") (param $block i32) (result i32)
        (if (local.get $block) (then (call $attach (local.get $block) (i32.const 1) (i32.const 0))))
        (i32.const 0)))"#;

/// Verifies the suspension of [`KEEPS`], with a fault in each state that is resumed.
fn verdict_of_sleep(strategy: RestoreStrategy, broken: suspend::Break) -> Verdict {
    verdict_of_sleeping(KEEPS, strategy, broken)
}

/// Verifies the suspension of a guest whose function `fail` fails, with a fault in each state that is resumed.
fn verdict_of_sleeping(guest: &str, strategy: RestoreStrategy, broken: suspend::Break) -> Verdict {
    let engine = Engine::new(&EngineConfig::default()).unwrap();
    let guest = Guest::load(&engine, "keeps", &wat::parse_str(guest).unwrap(), PrepareOptions::default()).unwrap();
    let mut options = VerifyOptions::default().with_calls(200).with_max_differences(100);
    options.config.strategy = strategy;
    options.allow_failing = AllowFailing::Functions(vec!["fail".to_owned()]);
    suspend::run(&guest, &options, &MemoryState::new(), &mut |_| (), broken).unwrap()
}

#[test]
fn states_that_lack_something_when_they_are_resumed_are_caught() {
    use guest_host::guest_image::Cards;

    /// All cards but the last.
    fn without_a_card(delta: &mut guest_host::guest_image::Delta) {
        let mut kept = Cards::new();
        let count = delta.cards.len();
        let cards = delta.cards.iter().flat_map(|(at, bytes)| {
            let size = guest_host::guest_image::CARD;
            bytes.chunks(size).enumerate().map(move |(number, card)| (at / size + number, card))
        });
        for (number, card) in cards.take(count.saturating_sub(1)) {
            kept.push(u32::try_from(number).unwrap(), card);
        }
        delta.cards = kept;
    }

    type Found = fn(&What) -> bool;
    let faults: [(&str, suspend::Break, Found); 4] = [
        (
            "a global",
            |delta| delta.globals.truncate(delta.globals.len().saturating_sub(1)),
            |what| matches!(what, What::ResumedGlobal { .. }),
        ),
        ("a card", without_a_card, |what| matches!(what, What::ResumedMemory { found: 0, .. })),
        // The size is a global of the preparation.
        ("a page", |delta| delta.memory_size = 1 << 16, |what| matches!(what, What::ResumedGlobal { .. })),
        (
            "its module",
            |delta| delta.identity = std::sync::Arc::new(guest_host::guest_image::Identity::of([1; 32], b"", b"", &[])),
            |what| matches!(what, What::Sleep { .. }),
        ),
    ];
    for strategy in [RestoreStrategy::FullCopy, RestoreStrategy::DirtyCards] {
        let honest = verdict_of_sleep(strategy, |_| {});
        assert!(honest.passed() && honest.calls == 200, "{strategy}: {:?}", honest.differences);
        assert!(honest.suspensions > Some(50) && honest.failures > 20, "{honest:?}");
        for (lacks, broken, is_found) in faults {
            let verdict = verdict_of_sleep(strategy, broken);
            let found = verdict.differences.iter().any(|difference| is_found(&difference.what));
            assert!(found && !verdict.passed(), "{strategy} without {lacks}: {:?}", verdict.differences);
        }
    }
}

#[test]
fn numbers_of_blocks_name_nothing_after_a_suspension() {
    for strategy in [RestoreStrategy::FullCopy, RestoreStrategy::DirtyCards] {
        let honest = verdict_of_sleeping(KEEPS_NUMBERS, strategy, |_| {});
        assert!(honest.passed() && honest.calls == 200, "{strategy}: {:?}", honest.differences);
        assert!(honest.suspensions > Some(50) && honest.failures > 20, "{honest:?}");
        let verdict = verdict_of_sleeping(KEEPS_NUMBERS, strategy, |delta| delta.block_uses.clear());
        let is_found = |what: &What| matches!(what, What::ResumedOutcome { .. } | What::ResumedMemory { .. });
        assert!(verdict.differences.iter().any(|found| is_found(&found.what)), "{strategy}: {:?}", verdict.differences);
    }
}

#[test]
fn a_guest_that_always_leaves_a_block_attached_is_told_why_it_never_sleeps() {
    let engine = Engine::new(&EngineConfig::default()).unwrap();
    let wasm = wat::parse_str(KEEPS_NUMBERS).unwrap();
    let guest = Guest::load(&engine, "keeps", &wasm, PrepareOptions::default()).unwrap();
    let mut options = VerifyOptions::default().with_functions(Some(vec!["leave".to_owned()])).with_calls(1);
    options.config.strategy = RestoreStrategy::FullCopy;
    let refused = verify_suspension(&guest, &options, &MemoryState::new(), &mut |_| ());
    assert!(matches!(refused, Err(NotSuspended::Suspend(SuspendError::LeftAttached))), "{refused:?}");
    // Some calls get no block to leave.
    options.calls = 100;
    let verdict = verify_suspension(&guest, &options, &MemoryState::new(), &mut |_| ()).unwrap();
    let told = verdict.unsuspended.as_ref().map(ToString::to_string).unwrap_or_default();
    assert!(told.starts_with("after 9") && told.contains("left a memory block attached"), "{told}");
    assert!(verdict.suspensions < Some(10), "{verdict:?}");
}

#[test]
fn a_strategy_whose_instances_cannot_be_suspended_is_refused() {
    let engine = Engine::new(&EngineConfig::default()).unwrap();
    let guest = Guest::load(&engine, "keeps", &wat::parse_str(KEEPS).unwrap(), PrepareOptions::default()).unwrap();
    let mut options = VerifyOptions::default();
    options.config.strategy = RestoreStrategy::Reinstantiate;
    let refused = verify_suspension(&guest, &options, &MemoryState::new(), &mut |_| ());
    assert!(matches!(refused, Err(NotSuspended::Suspend(_))), "{refused:?}");
    options.config.strategy = RestoreStrategy::FullCopy;
    options.calls = 1;
    let verdict = verify_suspension(&guest, &options, &MemoryState::new(), &mut |_| ()).unwrap();
    assert!(!verdict.passed() && verdict.suspensions == Some(0), "one call proves nothing");
}
