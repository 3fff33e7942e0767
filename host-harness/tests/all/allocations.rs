//! What guests without a control block allocate is counted, nothing else about them changes, and a memory overflow of theirs
//! is told from other failures.

use guest_host::{
    AllocationSource, AllocationStats, Cause, Engine, EngineConfig, Guest, Instance, InstanceConfig, MemoryState,
    RestorePolicy, RestoreStrategy,
};
use guest_prepare::{CountedAs, FoundBy, PrepareOptions};

use test_support::counted_guests::{TINYGO, WORK, tells, tinygo};
use test_support::text_guests::guest;

/// The counts of `work`: a request for 0 bytes counts, and freeing no block does not.
const WORKED: AllocationCounts = AllocationCounts { allocations: 5, frees: 2, reallocations: 1, bytes: 392 };

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct AllocationCounts {
    allocations: u64,
    frees: u64,
    reallocations: u64,
    bytes: u64,
}

impl AllocationCounts {
    fn of(stats: &AllocationStats) -> Self {
        assert_eq!(stats.source, AllocationSource::CountedCalls);
        // What calls do not tell is absent.
        assert_eq!(
            (stats.freed_bytes, stats.peak_live_bytes, stats.grows, stats.heap_in_use),
            (None, None, None, None)
        );
        Self {
            allocations: stats.allocations,
            frees: stats.deallocations.unwrap(),
            reallocations: stats.reallocations.unwrap(),
            bytes: stats.allocated_bytes.unwrap(),
        }
    }
}

fn engine() -> Engine {
    test_support::compiled::engine()
}

pub(crate) fn load(wasm: &[u8]) -> Guest {
    Guest::load(&engine(), "guest", wasm, PrepareOptions::default()).unwrap()
}

pub(crate) fn config(strategy: RestoreStrategy, policy: RestorePolicy) -> InstanceConfig {
    let mut config = InstanceConfig::default();
    (config.strategy, config.policy, config.count) = (strategy, policy, true);
    config.exchange_size = Some(1024);
    config.memory_limit = 4 * 65_536;
    config
}

fn instance(wasm: &[u8], strategy: RestoreStrategy, policy: RestorePolicy) -> Instance {
    load(wasm).instantiate(&config(strategy, policy), MemoryState::new()).unwrap()
}

pub(crate) const STRATEGIES: [RestoreStrategy; 3] =
    [RestoreStrategy::Reinstantiate, RestoreStrategy::FullCopy, RestoreStrategy::DirtyCards];
const POLICIES: [RestorePolicy; 3] = [RestorePolicy::EveryCall, RestorePolicy::OnError, RestorePolicy::Never];

fn counts(instance: &mut Instance, function: &str) -> AllocationCounts {
    let outcome = instance.invoke_by_name(function).unwrap();
    AllocationCounts::of(outcome.stats().allocations.as_ref().unwrap())
}

#[test]
fn calls_are_counted_once_however_often_an_allocator_calls_itself() {
    let wasm = tinygo();
    for strategy in STRATEGIES {
        for policy in POLICIES {
            let mut instance = instance(&wasm, strategy, policy);
            for _ in 0..3 {
                assert_eq!(counts(&mut instance, "work"), WORKED, "{strategy} {policy}");
                let nothing = AllocationCounts { allocations: 0, frees: 0, reallocations: 0, bytes: 0 };
                assert_eq!(counts(&mut instance, "nothing"), nothing, "{strategy} {policy}");
            }
        }
    }
}

#[test]
fn functions_are_found_by_export_and_by_name() {
    let found = |text: &str| {
        let counted = load(&guest("", text)).prepared().counted.clone();
        counted.into_iter().map(|found| (found.name, found.found_by, found.counted_as)).collect::<Vec<_>>()
    };
    let named = |name: &str, by, counted_as| (name.to_owned(), by, counted_as);
    use CountedAs::{Allocation, Free, Reallocation};
    use FoundBy::{Export, NameSection};
    let of_tinygo = [
        named("runtime.alloc", NameSection, Allocation),
        named("malloc", Export, Allocation),
        named("free", Export, Free),
        named("calloc", Export, Allocation),
        named("realloc", Export, Reallocation),
    ];
    assert_eq!(found(&format!("{TINYGO} {WORK}")), of_tinygo);

    let named_only = r#"(func $malloc (param i32) (result i32) i32.const 8) (func $free (param i32))
        (func (export "f") (result i64) i64.const 0)"#;
    assert_eq!(found(named_only), [named("malloc", NameSection, Allocation), named("free", NameSection, Free)]);
    // What has the name only, or another type, or two names.
    let other_type = r#"(func $malloc (export "malloc") (param i64) (result i32) i32.const 8)
        (func (export "f") (result i64) i64.const 0)"#;
    assert_eq!(found(other_type), []);
    let two_names = r#"(func $dlmalloc (export "malloc") (export "alloc") (param i32) (result i32) i32.const 8)
        (func (export "f") (result i64) i64.const 0)"#;
    assert_eq!(found(two_names), [named("malloc", Export, Allocation)]);
    assert_eq!(found("(func $free (param i32)) (func (export \"f\") (result i64) i64.const 0)"), [], "none allocates");
}

#[test]
fn who_counts_by_itself_is_left_alone() {
    let own = r#"(func (export "WasmGetMallocs") (result i64) i64.const 0)"#;
    assert_eq!(load(&guest("", &format!("{TINYGO} {WORK} {own}"))).prepared().counted, []);
    let block = r#"(global (export "__allocator_control_block") i32 (i32.const 1024))"#;
    assert_eq!(load(&guest("", &format!("{TINYGO} {WORK} {block}"))).prepared().counted, []);
    let options = PrepareOptions::default().with_count_allocations(false);
    let wasm = tinygo();
    let off = Guest::load(&engine(), "guest", &wasm, options).unwrap();
    assert_eq!(off.prepared().counted, []);
    let mut instance = off.instantiate(&InstanceConfig::default(), MemoryState::new()).unwrap();
    assert_eq!(instance.invoke_by_name("work").unwrap().stats().allocations, None);
}

#[test]
fn calls_through_a_table_and_from_the_start_function_are_counted() {
    let wasm = guest(
        "",
        r#"(type $one (func (param i32) (result i32)))
        (table (export "table") 1 funcref) (elem (i32.const 0) $malloc)
        (global $heap (mut i32) (i32.const 8192))
        (func $malloc (param i32) (result i32)
          (global.set $heap (i32.add (global.get $heap) (local.get 0))) global.get $heap)
        (func $begin (drop (call $malloc (i32.const 1000))))
        (start $begin)
        (func (export "indirect") (result i64)
          (drop (call_indirect (type $one) (i32.const 24) (i32.const 0))) (i64.extend_i32_u (i32.const 0)))"#,
    );
    let mut instance = instance(&wasm, RestoreStrategy::FullCopy, RestorePolicy::EveryCall);
    let stats = instance.invoke_by_name("indirect").unwrap().stats().allocations.unwrap();
    assert_eq!((stats.allocations, stats.allocated_bytes), (1, Some(24)), "that of the start function was before");
    assert_eq!((stats.deallocations, stats.reallocations), (None, None), "there is nothing that frees");
    assert_eq!(instance.changed_tables(), [""; 0]);
}

/// An allocator of its own kind in each text, with functions that exhaust it, and what it then asks for.
///
/// - `dlmalloc` answers 0, and its caller aborts: a refused growth or an arena that is full.
/// - One looks at nothing: it writes where there is no memory.
/// - TinyGo's aborts by itself.
pub(crate) fn exhausted() -> [(&'static str, Vec<u8>, u64); 4] {
    let arena = r#"
        (global $left (mut i32) (i32.const 3000))
        (func $dlmalloc (param i32) (result i32)
          (if (i32.lt_u (global.get $left) (local.get 0)) (then (return (i32.const 0))))
          (global.set $left (i32.sub (global.get $left) (local.get 0)))
          (i32.add (i32.const 8192) (global.get $left)))
        (func $malloc (param i32) (result i32) (call $dlmalloc (local.get 0)))"#;
    let grows = r#"
        (func $malloc (param i32) (result i32) (local i32)
          (local.set 1 (memory.grow (i32.const 1)))
          (select (i32.const 0) (i32.shl (local.get 1) (i32.const 16)) (i32.eq (local.get 1) (i32.const -1))))"#;
    let careless = r#"
        (global $heap (mut i32) (i32.const 8192))
        (func $malloc (param i32) (result i32)
          (global.set $heap (i32.add (global.get $heap) (local.get 0)))
          (i32.store (i32.sub (global.get $heap) (i32.const 4)) (i32.const 1))
          (i32.sub (global.get $heap) (local.get 0)))"#;
    let functions = |size: u32| {
        format!(
            r#"(global $static (mut i32) (i32.const 0))
            (func (export "exhaust") (result i64) (loop $again (drop (call $append)) (br $again)) unreachable)
            (func $append (export "append") (result i64) (local i32)
              (local.set 0 (call $malloc (i32.const {size})))
              (if (i32.eqz (local.get 0)) (then unreachable))
              (i32.store (local.get 0) (global.get $static))
              (global.set $static (local.get 0)) i64.const 0)
            (func (export "abort") (result i64) unreachable)
            (func (export "allocate_and_abort") (result i64) (drop (call $malloc (i32.const 1))) unreachable)
            (func (export "survive") (result i64) (drop (call $malloc (i32.const 0x7fff0000))) i64.const 0)"#
        )
    };
    let of = |name, allocator: &str, size| (name, guest("", &format!("{allocator} {}", functions(size))), size.into());
    let tinygo = |name, size| of(name, TINYGO, size);
    [of("arena", arena, 1000), of("grows", grows, 60_000), of("careless", careless, 50_000), tinygo("tinygo", 40_000)]
}

fn out_of_memory(instance: &mut Instance, name: &str, expected: u64) {
    match instance.invoke_by_name("exhaust").unwrap_err().cause {
        Cause::OutOfMemory { requested, in_use, limit } => {
            assert_eq!((requested, limit), (expected, 4 * 65_536), "{name}");
            assert!(in_use <= limit, "{name}: {in_use} of {limit}");
        }
        other => panic!("{name} failed by {other}"),
    }
}

#[test]
fn an_overflow_is_told_by_the_allocators_request_and_tried_again_under_a_lazy_policy() {
    for (name, wasm, size) in exhausted() {
        for strategy in STRATEGIES {
            let mut eager = instance(&wasm, strategy, RestorePolicy::EveryCall);
            for _ in 0..3 {
                eager.invoke_by_name("append").unwrap();
                out_of_memory(&mut eager, name, size);
            }
            let mut instance = instance(&wasm, strategy, RestorePolicy::OnError);
            let calls_until_retry = |instance: &mut Instance| {
                (1..).find(|_| instance.invoke_by_name("append").unwrap().stats().retried).unwrap()
            };
            let first: u32 = calls_until_retry(&mut instance);
            assert!((2..10).contains(&first), "{name} {strategy}: {first}");
            let again: u32 = calls_until_retry(&mut instance);
            assert_eq!(again, first - 1, "{name} {strategy}: the call that was tried again is one of them");
            let stats = instance.last_stats().allocations.unwrap();
            assert_eq!((stats.allocations, stats.allocated_bytes), (1, Some(size)), "{name}: those of the second try");
        }
    }
}

#[test]
fn a_trap_inside_a_free_is_no_overflow_and_leaves_nothing_behind() {
    let wasm = guest(
        "",
        r#"(func $malloc (param i32) (result i32) i32.const 8192)
        (func $free (param i32) (if (i32.eq (local.get 0) (i32.const 1)) (then unreachable)))
        (func (export "free_badly") (result i64) (call $free (i32.const 1)) i64.const 0)
        (func (export "free_well") (result i64) (call $free (i32.const 2)) i64.const 0)"#,
    );
    for strategy in STRATEGIES {
        let mut instance = instance(&wasm, strategy, RestorePolicy::OnError);
        for _ in 0..3 {
            let failure = instance.invoke_by_name("free_badly").unwrap_err();
            assert!(matches!(failure.cause, Cause::Unreachable), "{}", failure.cause);
            assert_eq!(failure.backtrace, ["free", "free_badly"]);
            let stats = instance.invoke_by_name("free_well").unwrap().stats().allocations.unwrap();
            assert_eq!(stats.deallocations, Some(1), "{strategy}: the next call counts as ever");
        }
    }
}

#[test]
fn other_failures_stay_what_they_are() {
    for (name, wasm, _) in exhausted() {
        for policy in POLICIES {
            let mut instance = instance(&wasm, RestoreStrategy::FullCopy, policy);
            let abort = |instance: &mut Instance, function: &str| {
                let failure = instance.invoke_by_name(function).unwrap_err();
                assert!(matches!(failure.cause, Cause::Unreachable), "{name} {policy}: {}", failure.cause);
                assert!(!failure.retried, "{name} {policy}");
            };
            abort(&mut instance, "abort");
            abort(&mut instance, "allocate_and_abort");
            // Where it answers 0 the guest goes on, and nothing of it is left for later calls.
            if matches!(name, "arena" | "grows") {
                for _ in 0..2 {
                    instance.invoke_by_name("survive").unwrap();
                    abort(&mut instance, "abort");
                    abort(&mut instance, "allocate_and_abort");
                }
            }
        }
    }
}

#[test]
fn a_growth_beyond_the_modules_own_maximum_is_an_overflow_too() {
    // Nothing here has a name that is known, so the growth alone tells; and it does not reach the host's limit.
    let wasm = wat::parse_str(
        r#"(module (memory (export "memory") 2 3) (@custom "guest-abi" "\01\00\00\00")
            (func (export "__guest_exchange") (param i32) (result i32) i32.const 4096)
            (func (export "grow") (result i64)
              (if (i32.eq (memory.grow (i32.const 1)) (i32.const -1)) (then unreachable)) i64.const 0)
            (func (export "abort") (result i64) unreachable))"#,
    )
    .unwrap();
    for virtual_growth in [true, false] {
        let options = PrepareOptions::default().with_virtual_growth(virtual_growth);
        let guest = Guest::load(&engine(), "guest", &wasm, options).unwrap();
        let config = config(RestoreStrategy::Reinstantiate, RestorePolicy::OnError);
        let mut instance = guest.instantiate(&config, MemoryState::new()).unwrap();
        let retried: Vec<bool> = (0..5).map(|_| instance.invoke_by_name("grow").unwrap().stats().retried).collect();
        assert_eq!(retried, [false, true, true, true, true], "virtual: {virtual_growth}");
        assert!(matches!(instance.invoke_by_name("abort").unwrap_err().cause, Cause::Unreachable));
    }
}

#[test]
fn functions_of_the_guests_own_are_asked_where_there_are_any() {
    let wasm = tells("");
    for strategy in STRATEGIES {
        for policy in POLICIES {
            let mut instance = instance(&wasm, strategy, policy);
            let snapshot: Vec<String> = instance.globals().iter().map(|(_, now, _)| format!("{now:?}")).collect();
            for call in 1..4 {
                let outcome = instance.invoke_by_name("allocate").unwrap();
                assert_eq!(outcome.log().count(), 0, "what they log is not the call's");
                assert_eq!(outcome.stats().crossings, 0);
                let stats = outcome.stats().allocations.unwrap();
                assert_eq!(stats.source, AllocationSource::GuestFunctions);
                assert_eq!((stats.allocations, stats.deallocations), (2, Some(1)), "{strategy} {policy}");
                assert_eq!((stats.reallocations, stats.allocated_bytes), (None, None), "they do not say");
                let kept = if policy == RestorePolicy::EveryCall { 1 } else { call };
                assert_eq!((stats.heap_in_use, stats.heap_size), (Some((4 + kept) * 64), Some(65_536)));
            }
            if policy == RestorePolicy::EveryCall {
                let now: Vec<String> = instance.globals().iter().map(|(_, now, _)| format!("{now:?}")).collect();
                assert_eq!(now, snapshot, "{strategy}: what they leave is not left");
            }
            instance.invoke_by_name("abort").unwrap_err();
            assert_eq!(instance.last_stats().allocations, None, "after a failure nobody asks");
            let stats = instance.invoke_by_name("allocate").unwrap().stats().allocations.unwrap();
            assert_eq!(
                (stats.allocations, stats.heap_in_use),
                (2, Some(5 * 64)),
                "{strategy} {policy}: it was restored"
            );
        }
    }
}

#[test]
fn a_function_that_traps_tells_nothing_and_fails_no_call() {
    let at_start_forever = tells("(loop $l (br $l))");
    let at_once = tells("(global.set $stack_pointer (i32.const 64)) unreachable");
    let later = tells(
        "(if (global.get $calls) (then (global.set $stack_pointer (i32.const 64)) (i32.store (i32.const -1) (i32.const 0))))",
    );
    let forever = tells("(if (global.get $calls) (then (global.set $stack_pointer (i32.const 64)) (loop $l (br $l))))");
    for (wasm, rounds) in [(at_start_forever, 1), (at_once, 3), (later, 3), (forever, 1)] {
        for strategy in STRATEGIES {
            for policy in POLICIES {
                let mut config = config(strategy, policy);
                config.deadline = Some(std::time::Duration::from_millis(50));
                let mut instance = load(&wasm).instantiate(&config, MemoryState::new()).unwrap();
                for _ in 0..rounds {
                    // `allocate` aborts where the stack pointer is not what it was.
                    let outcome = instance.invoke_by_name("allocate").unwrap();
                    assert_eq!(outcome.stats().allocations, None, "{strategy} {policy}");
                }
            }
        }
    }
}

/// Instructions of one call of each function, by the engine's fuel.
fn instructions(wasm: &[u8], count_allocations: bool, function: &str) -> u64 {
    let mut config = EngineConfig::default();
    config.fuel = true;
    let options = PrepareOptions::default().with_count_allocations(count_allocations);
    let guest = Guest::load(&Engine::new(&config).unwrap(), "guest", wasm, options).unwrap();
    let mut instance = guest.instantiate(&InstanceConfig::default(), MemoryState::new()).unwrap();
    instance.invoke_by_name(function).unwrap().stats().instructions.unwrap()
}

#[test]
fn what_a_count_costs_in_instructions() {
    let wasm = guest(
        "",
        r#"(func $malloc (param i32) (result i32) i32.const 8192)
        (func $calloc (param i32 i32) (result i32) (call $malloc (i32.mul (local.get 0) (local.get 1))))
        (func $realloc (param i32 i32) (result i32) i32.const 8192)
        (func $free (param i32))
        (func (export "malloc_once") (result i64) (drop (call $malloc (i32.const 8))) i64.const 0)
        (func (export "calloc_once") (result i64) (drop (call $calloc (i32.const 8) (i32.const 8))) i64.const 0)
        (func (export "realloc_once") (result i64) (drop (call $realloc (i32.const 8) (i32.const 8))) i64.const 0)
        (func (export "free_once") (result i64) (call $free (i32.const 8)) i64.const 0)"#,
    );
    let added = |function| instructions(&wasm, true, function) - instructions(&wasm, false, function);
    // A call of `calloc` has a call of `malloc` inside, which is looked at and not counted.
    let found = ["malloc_once", "calloc_once", "realloc_once", "free_once"].map(added);
    assert_eq!(found, [26, 30 + 6, 32, 17]);
}

#[test]
fn an_allocator_that_says_what_is_wrong_is_believed() {
    let saying = |words: &str| {
        guest(
            r#"(import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))"#,
            &format!(
                r#"(data (i32.const 64) "{words}\0a")
                (data (i32.const 32) "\40\00\00\00\{length:02x}\00\00\00")
                (func $malloc (param i32) (result i32)
                  (drop (call $fd_write (i32.const 2) (i32.const 32) (i32.const 1) (i32.const 48))) unreachable)
                (func (export "allocate") (result i64) (drop (call $malloc (i32.const 77))) i64.const 0)"#,
                length = words.len() + 1
            ),
        )
    };
    let cause = |words: &str| {
        let mut instance = instance(&saying(words), RestoreStrategy::FullCopy, RestorePolicy::EveryCall);
        instance.invoke_by_name("allocate").unwrap_err().cause
    };
    let corrupt = cause("panic: heap is corrupt");
    assert!(matches!(&corrupt, Cause::Panic { message, .. } if message == "heap is corrupt"), "{corrupt}");
    let full = cause("panic: runtime error: out of memory");
    assert!(matches!(full, Cause::OutOfMemory { requested: 77, .. }), "{full}");
}
