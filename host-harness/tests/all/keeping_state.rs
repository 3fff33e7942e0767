//! Guests that try to keep something from one call to the next, by every means that the enabled proposals have. By
//! whatever strategy admission grants, each call sees what the first one saw.

use guest_host::{
    AdmissionError, CompileError, Guest, Instance, InstanceConfig, LoadError, MemoryState, RestorePolicy,
    RestoreStrategy,
};
use guest_prepare::PrepareOptions;

use RestoreStrategy::{Auto, BumpReset, DirtyCards, FullCopy, Reinstantiate, Watermark};

/// What a guest of these tests has beside the means that it tries: `show` leaves a number with the host, as the length of
/// a log line.
const SHOW: &str = r#"
  (import "extension" "log" (func $log (param i32 i32 i32)))
  (import "extension" "fail" (func $fail (param i32 i32 i32)))
  (import "extension" "intents" (func $intents (param i32 i32)))
  (@custom "guest-abi" "\01\00\00\00")
  (global (export "__heap_base") i32 (i32.const 4096))
  (func (export "__guest_exchange") (param i32) (result i32) i32.const 4096)
  (func $show (param $number i32) (call $log (i32.const 2) (i32.const 64) (local.get $number)))
"#;

/// The memory of most of them.
const MEMORY: &str = r#"(memory (export "memory") 2 8)"#;

/// A guest whose `again` tries to see that it was called before.
struct Specimen {
    name: &'static str,
    memory: &'static str,
    body: &'static str,
    /// Whether admission lets it be restored in place.
    in_place: bool,
}

const fn in_place(name: &'static str, body: &'static str) -> Specimen {
    Specimen { name, memory: MEMORY, body, in_place: true }
}

const fn replaced(name: &'static str, body: &'static str) -> Specimen {
    Specimen { name, memory: MEMORY, body, in_place: false }
}

const SPECIMENS: &[Specimen] = &[
    in_place(
        "a global",
        r#"(global $g (mut i32) (i32.const 3))
           (func (export "again") (result i64)
             (global.set $g (i32.add (global.get $g) (i32.const 1))) (call $show (global.get $g)) i64.const 0)"#,
    ),
    in_place(
        "an exported global, and one of each other type",
        r#"(global $g (export "g") (mut i64) (i64.const 3)) (global $f (mut f32) (f32.const 0))
           (global $d (mut f64) (f64.const 0)) (global $v (mut v128) (v128.const i64x2 0 0))
           (func (export "again") (result i64)
             (call $show (i32.wrap_i64 (global.get $g))) (call $show (i32.trunc_f32_u (global.get $f)))
             (call $show (i32.trunc_f64_u (global.get $d))) (call $show (i8x16.extract_lane_u 15 (global.get $v)))
             (global.set $g (i64.const 9)) (global.set $f (f32.const 9)) (global.set $d (f64.const 9))
             (global.set $v (v128.const i64x2 -1 0x0900000000000000)) i64.const 0)"#,
    ),
    in_place(
        "a global that looks like the stack pointer and is none",
        r#"(global $__stack_pointer (mut i32) (i32.const 2048))
           (func (export "again") (result i64) (local $base i32)
             (call $show (i32.load8_u (i32.const 40)))
             (local.set $base (i32.sub (global.get $__stack_pointer) (i32.const 2016)))
             (global.set $__stack_pointer (i32.const 3000))
             (i32.store8 offset=8 (local.get $base) (i32.const 7)) i64.const 0)"#,
    ),
    in_place(
        "a stack pointer that is put back before the frame is written",
        r#"(global $__stack_pointer (mut i32) (i32.const 2048))
           (func $inner (param $base i32) (i32.store8 (local.get $base) (i32.const 7)))
           (func (export "again") (result i64) (local $base i32)
             (call $show (i32.load8_u (i32.const 1500)))
             (global.set $__stack_pointer (local.tee $base (i32.sub (global.get $__stack_pointer) (i32.const 548))))
             (global.set $__stack_pointer (i32.add (local.get $base) (i32.const 548)))
             (return_call $finish (local.get $base)))
           (func $finish (param $base i32) (result i64) (call $inner (local.get $base)) i64.const 0)"#,
    ),
    in_place(
        "stores at both ends of memory, and across a page",
        r#"(func (export "again") (result i64)
             (call $show (i32.load8_u (i32.const 0))) (call $show (i32.load8_u (i32.const 131071)))
             (call $show (i32.load8_u (i32.const 65536)))
             (i32.store8 (i32.const 0) (i32.const 1)) (i32.store8 offset=131071 (i32.const 0) (i32.const 2))
             (i64.store offset=65529 (i32.const 0) (i64.const -1))
             (i32.store8 (i32.const 65536) (i32.const 3)) i64.const 0)"#,
    ),
    in_place(
        "bulk instructions and lanes",
        r#"(func (export "again") (result i64)
             (call $show (i32.load8_u (i32.const 9000))) (call $show (i32.load8_u (i32.const 70000)))
             (call $show (i32.load8_u (i32.const 100000)))
             (memory.fill (i32.const 8000) (i32.const 5) (i32.const 3000))
             (memory.copy (i32.const 69000) (i32.const 8000) (i32.const 2000))
             (v128.store8_lane 3 (i32.const 100000) (v128.const i8x16 0 0 0 9 0 0 0 0 0 0 0 0 0 0 0 0)) i64.const 0)"#,
    ),
    in_place(
        "memory that was grown, its size and what is in it",
        r#"(func (export "again") (result i64)
             (call $show (memory.size))
             (call $show (i32.add (memory.grow (i32.const 1)) (i32.const 20)))
             (call $show (i32.load8_u (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 1))))
             (i32.store8 (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 1)) (i32.const 8)) i64.const 0)"#,
    ),
    in_place(
        "what a trap leaves behind",
        r#"(global $g (mut i32) (i32.const 0))
           (func (export "again") (result i64)
             (call $show (global.get $g)) (call $show (i32.load8_u (i32.const 2000)))
             (global.set $g (i32.const 4)) (i32.store8 (i32.const 2000) (i32.const 4)) unreachable)"#,
    ),
    in_place(
        "an exported table that is only called through",
        r#"(table (export "table") 2 funcref) (elem (i32.const 0) $f) (func $f (call $show (i32.const 3)))
           (global $next (mut i32) (i32.const 0))
           (func (export "again") (result i64)
             (call_indirect (global.get $next)) (global.set $next (i32.const 1)) i64.const 0)"#,
    ),
    in_place(
        "an active segment that is dropped by being applied, and a declared one",
        r#"(table 1 funcref) (elem (i32.const 0) $f) (elem declare func $f) (func $f)
           (data (i32.const 2000) "\06")
           (func (export "again") (result i64)
             (call $show (i32.load8_u (i32.const 2000))) (i32.store8 (i32.const 2000) (i32.const 9))
             (drop (ref.func $f)) i64.const 0)"#,
    ),
    in_place(
        "a constant reference and one that is made of others",
        r#"(type $t (func)) (func $f (type $t)) (elem declare func $f)
           (global $r (ref $t) (ref.func $f)) (global i32 (i32.add (i32.const 1) (i32.const 2)))
           (func (export "again") (result i64) (call_ref $t (global.get $r)) i64.const 0)"#,
    ),
    in_place(
        "what was done before the snapshot",
        r#"(func $start (i32.store8 (i32.const 2000) (i32.const 5))) (start $start)
           (func (export "__guest_init") (result i32)
             (i32.store8 (i32.const 2001) (i32.add (i32.load8_u (i32.const 2001)) (i32.const 6))) i32.const 0)
           (func (export "again") (result i64)
             (call $show (i32.load8_u (i32.const 2000))) (call $show (i32.load8_u (i32.const 2001)))
             (i32.store16 (i32.const 2000) (i32.const 0x0101)) i64.const 0)"#,
    ),
    replaced(
        "table.set, on a table that is not exported",
        r#"(table $other 1 funcref) (elem declare func $f) (func $f)
           (func (export "again") (result i64)
             (call $show (ref.is_null (table.get $other (i32.const 0))))
             (table.set $other (i32.const 0) (ref.func $f)) i64.const 0)"#,
    ),
    replaced(
        "table.grow",
        r#"(table $t 1 9 funcref)
           (func (export "again") (result i64)
             (call $show (table.size $t)) (drop (table.grow $t (ref.null func) (i32.const 1))) i64.const 0)"#,
    ),
    replaced(
        "table.grow of a table with 64-bit indices",
        r#"(table $t i64 1 9 funcref)
           (func (export "again") (result i64)
             (call $show (i32.wrap_i64 (table.size $t))) (drop (table.grow $t (ref.null func) (i64.const 1))) i64.const 0)"#,
    ),
    replaced(
        "table.fill",
        r#"(table $t 1 funcref) (elem (i32.const 0) $f) (func $f)
           (func (export "again") (result i64)
             (call $show (ref.is_null (table.get $t (i32.const 0))))
             (table.fill $t (i32.const 0) (ref.null func) (i32.const 1)) i64.const 0)"#,
    ),
    replaced(
        "table.copy",
        r#"(table $t 2 funcref) (elem (i32.const 0) $f) (func $f)
           (func (export "again") (result i64)
             (call $show (ref.is_null (table.get $t (i32.const 1))))
             (table.copy $t $t (i32.const 1) (i32.const 0) (i32.const 1)) i64.const 0)"#,
    ),
    replaced(
        "table.init",
        r#"(table $t 1 funcref) (elem $e func $f) (func $f)
           (func (export "again") (result i64)
             (call $show (ref.is_null (table.get $t (i32.const 0))))
             (table.init $t $e (i32.const 0) (i32.const 0) (i32.const 1)) i64.const 0)"#,
    ),
    replaced(
        "elem.drop",
        r#"(table $t 1 funcref) (elem $e func $f) (func $f)
           (func (export "again") (result i64)
             (table.init $t $e (i32.const 0) (i32.const 0) (i32.const 1)) (elem.drop $e) i64.const 0)"#,
    ),
    replaced("data.drop alone", r#"(data $d "x") (func (export "again") (result i64) (data.drop $d) i64.const 0)"#),
    replaced(
        "data.drop of a segment that is read",
        r#"(data $d "x")
           (func (export "again") (result i64)
             (memory.init $d (i32.const 2000) (i32.const 0) (i32.const 1)) (data.drop $d) i64.const 0)"#,
    ),
    replaced(
        "a global that holds a reference",
        r#"(global $r (mut funcref) (ref.null func)) (elem declare func $f) (func $f)
           (func (export "again") (result i64)
             (call $show (ref.is_null (global.get $r))) (global.set $r (ref.func $f)) i64.const 0)"#,
    ),
    replaced(
        "a global that holds a typed reference",
        r#"(type $t (func)) (global $r (mut (ref null $t)) (ref.null $t)) (elem declare func $f) (func $f (type $t))
           (func (export "again") (result i64)
             (call $show (ref.is_null (global.get $r))) (global.set $r (ref.func $f)) i64.const 0)"#,
    ),
    Specimen {
        name: "a second memory",
        memory: r#"(memory (export "memory") 2) (memory $second 1 3)"#,
        body: r#"(func (export "again") (result i64)
                   (call $show (i32.load8_u $second (i32.const 9))) (call $show (memory.size $second))
                   (i32.store8 $second (i32.const 9) (i32.const 5))
                   (drop (memory.grow $second (i32.const 1))) i64.const 0)"#,
        in_place: false,
    },
    Specimen {
        name: "a memory with 64-bit addresses",
        memory: r#"(memory (export "memory") i64 2 8)"#,
        body: r#"(func (export "again") (result i64)
                   (call $show (i32.load8_u (i64.const 9))) (call $show (i32.wrap_i64 (memory.size)))
                   (i32.store8 (i64.const 9) (i32.const 5)) (drop (memory.grow (i64.const 1))) i64.const 0)"#,
        in_place: false,
    },
];

const STRATEGIES: [RestoreStrategy; 6] = [Auto, Reinstantiate, FullCopy, DirtyCards, Watermark, BumpReset];

fn load(memory: &str, body: &str) -> Result<Guest, LoadError> {
    let text = format!("(module {SHOW} {memory} {body})");
    // The memory comes behind the imports, wherever it stands in the text.
    let wasm = wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}"));
    let engine = test_support::compiled::engine();
    Guest::load(&engine, "specimen", &wasm, PrepareOptions::default())
}

/// The observations of a call: how it ended, the numbers that it left, and its intents.
fn seen(instance: &mut Instance) -> (Result<(), &'static str>, Vec<usize>, usize) {
    let (result, intents) = match instance.invoke_by_name("again") {
        Ok(outcome) => (Ok(()), outcome.intents().count()),
        Err(failure) => (Err(failure.cause.kind()), 0),
    };
    (result, instance.last_log().map(|(_, line)| line.len()).collect(), intents)
}

#[test]
fn nothing_is_kept_from_one_call_to_the_next_by_whatever_is_granted() {
    for Specimen { name, memory, body, in_place } in SPECIMENS {
        let guest = load(memory, body).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(guest.admission().full_copy().is_ok(), *in_place, "{name}: {:?}", guest.admission().in_place);
        let mut expected = None;
        for strategy in STRATEGIES {
            let mut config = InstanceConfig::default();
            config.strategy = strategy;
            let mut instance = match guest.instantiate(&config, MemoryState::new()) {
                Ok(instance) => instance,
                Err(LoadError::Admission(AdmissionError::Strategy { .. }))
                    if !in_place || matches!(strategy, Watermark | BumpReset) =>
                {
                    continue;
                }
                Err(error) => panic!("{name}, {strategy}: {error}"),
            };
            let replaced = matches!(instance.strategy().strategy, Reinstantiate);
            assert_eq!(replaced, !in_place || strategy == Reinstantiate, "{name}, {strategy}");
            for call in 0..3 {
                let now = seen(&mut instance);
                let expected = expected.get_or_insert_with(|| now.clone());
                assert_eq!(now, *expected, "{name}, {strategy}, call {call}");
                assert!(instance.is_pristine(), "{name}, {strategy}");
            }
        }
    }
}

#[test]
fn each_specimen_would_be_seen_to_keep_something() {
    // Those that keep nothing are there because they must be admitted.
    const KEEP_NOTHING: [&str; 3] =
        ["what a trap leaves behind", "a constant reference and one that is made of others", "data.drop alone"];
    for Specimen { name, memory, body, .. } in SPECIMENS {
        let mut config = InstanceConfig::default();
        config.strategy = Reinstantiate;
        config.policy = RestorePolicy::Never;
        let guest = load(memory, body).unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut instance =
            guest.instantiate(&config, MemoryState::new()).unwrap_or_else(|error| panic!("{name}: {error}"));
        let (first, second) = (seen(&mut instance), seen(&mut instance));
        assert_eq!(first == second, KEEP_NOTHING.contains(name), "{name}: {first:?}, {second:?}");
    }
}

#[test]
fn the_host_uses_the_memory_that_the_contract_names_wherever_it_stands() {
    let body = r#"
        (func (export "again") (result i64)
          (i32.store8 $own (i32.const 64) (i32.const 65)) (call $show (i32.const 3)) i64.const 0)"#;
    for memory in [
        r#"(memory $own (export "memory") 2) (memory 1) (memory 1)"#,
        r#"(memory 1) (memory $own (export "memory") 2)"#,
        r#"(memory (export "a") 1) (memory $own (export "memory") (export "z") 2)"#,
    ] {
        let guest = load(memory, body).unwrap_or_else(|error| panic!("{memory}: {error}"));
        let made = guest.instantiate(&InstanceConfig::default(), MemoryState::new());
        let mut instance = made.unwrap_or_else(|error| panic!("{memory}: {error}"));
        assert_eq!(instance.strategy().strategy, Reinstantiate);
        instance.invoke_by_name("again").unwrap_or_else(|failure| panic!("{memory}: {failure}"));
        assert_eq!(instance.last_log().next().map(|(_, line)| line), Some("A\0\0"), "{memory}");
    }
}

#[test]
fn several_tables_fit_into_the_pool_and_a_large_one_is_refused() {
    let body = |tables: &str| format!("{tables} (func (export \"again\") (result i64) i64.const 0)");
    let guest = load(MEMORY, &body("(table 1 funcref) (table 2 funcref) (table 3 funcref)")).expect("it fits");
    let mut instance = guest.instantiate(&InstanceConfig::default(), MemoryState::new()).expect("it fits");
    assert_eq!(seen(&mut instance), (Ok(()), Vec::new(), 0));
    let refused = load(MEMORY, &body("(table 100000 funcref)")).expect_err("it does not fit");
    assert!(matches!(refused, LoadError::Compile(CompileError::Compile(_))), "{refused}");
}

#[test]
fn what_the_engine_is_built_without_is_refused_with_the_reason() {
    let body = |parts: &str| format!("{parts} (func (export \"again\") (result i64) i64.const 0)");
    for (memory, parts, reason) in [
        (r#"(memory (export "memory") 2 2 shared)"#, "", "shared between threads"),
        (MEMORY, "(func (drop (i32.atomic.rmw.add (i32.const 0) (i32.const 1))))", "threads are not supported"),
        (MEMORY, "(tag $t) (func (throw $t))", "exceptions"),
        (MEMORY, "(func (try_table))", "exceptions"),
        (MEMORY, "(type $s (struct (field (mut i32)))) (global (ref $s) (struct.new $s (i32.const 0)))", "gc"),
        (MEMORY, "(type $a (array (mut i32))) (func (drop (array.new_default $a (i32.const 1))))", "gc"),
        (MEMORY, "(global (mut i31ref) (ref.i31 (i32.const 0)))", "gc"),
        (MEMORY, "(global (mut externref) (ref.null extern))", "gc"),
    ] {
        let refused = load(memory, &body(parts)).expect_err(parts);
        assert!(matches!(refused, LoadError::Admission(AdmissionError::NotRunnable(_))), "{parts}: {refused}");
        assert!(refused.to_string().contains(reason), "{parts}: {refused}");
    }
}

#[test]
fn what_comes_from_outside_is_not_offered() {
    let body = "(func (export \"again\") (result i64) i64.const 0)";
    for import in ["(memory 1)", "(table 1 funcref)", "(global (mut i32))", "(global i32)", "(func)"] {
        let text = format!("(module (import \"extension\" \"other\" {import}) {SHOW} {MEMORY} {body})");
        let text = text.replace(MEMORY, if import.starts_with("(memory") { "" } else { MEMORY });
        let wasm = wat::parse_str(&text).unwrap_or_else(|error| panic!("{import}: {error}"));
        let engine = test_support::compiled::engine();
        let refused = Guest::load(&engine, "specimen", &wasm, PrepareOptions::default()).expect_err(import);
        assert!(matches!(refused, LoadError::Admission(AdmissionError::Contract(_))), "{import}: {refused}");
        assert!(refused.to_string().contains("`extension.other`"), "{import}: {refused}");
    }
}

#[test]
fn nothing_that_a_call_left_with_the_host_before_it_trapped_is_seen_by_the_next() {
    let body = r#"
        (data (i32.const 32) "\85\00\68sys.View\61e\a1\62Id\01\a1\66Amount\19\01\90")
        (func $leave (export "leave") (result i64)
          (call $show (i32.const 3)) (call $intents (i32.const 32) (i32.const 29))
          (call $fail (i32.const 1000) (i32.const 64) (i32.const 1)) unreachable)
        (func (export "clean") (result i64) i64.const 0)"#;
    let guest = load(MEMORY, body).expect("it keeps the contract");
    for strategy in [Reinstantiate, FullCopy, DirtyCards] {
        for policy in [RestorePolicy::EveryCall, RestorePolicy::Never] {
            let mut config = InstanceConfig::default();
            (config.strategy, config.policy) = (strategy, policy);
            let mut instance = guest.instantiate(&config, MemoryState::new()).expect("it is admitted");
            let failure = instance.invoke_by_name("leave").expect_err("it traps");
            assert_eq!(failure.cause.kind(), "unreachable", "{strategy}, {policy}");
            let outcome = instance.invoke_by_name("clean").unwrap_or_else(|failure| panic!("{strategy}: {failure}"));
            assert_eq!((outcome.intents().count(), outcome.log().count()), (0, 0), "{strategy}, {policy}");
        }
    }
}
