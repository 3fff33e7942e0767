//! Counting calls of an allocator changes nothing that a module computes, counts what a model counts, and leaves offsets and
//! the write barrier as they must be. On the engine as it is, without the harness around it.

use guest_prepare::cards::Cards;
use guest_prepare::{BarrierOptions, CounterExports, ModuleInfo, PrepareOptions};
use proptest::prelude::*;
use wasmtime::{Engine, Instance, Module, Store, StoreLimits, StoreLimitsBuilder, Val, WasmBacktrace};

use crate::prepared;

/// An allocator with Doug Lea's structure: functions that call each other, a header before each block, 0 where memory
/// ends. `free` traps for what is no block.
const DLMALLOC: &str = r#"(module
  (memory (export "memory") 1 4)
  (global $heap (mut i32) (i32.const 1024))
  (global $freed (export "freed") (mut i32) (i32.const 0))
  (func $dlmalloc (param $size i32) (result i32) (local $end i64)
    (local.set $end (i64.add (i64.extend_i32_u (global.get $heap))
      (i64.and (i64.add (i64.extend_i32_u (local.get $size)) (i64.const 23)) (i64.const -8))))
    (block $fits
      (loop $more
        (br_if $fits (i64.le_u (local.get $end) (i64.shl (i64.extend_i32_u (memory.size)) (i64.const 16))))
        (br_if $more (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))
      (return (i32.const 0)))
    (i32.store (global.get $heap) (local.get $size))
    (i32.store (i32.add (global.get $heap) (i32.const 4)) (i32.const 0xb10c))
    (i32.add (global.get $heap) (i32.const 8))
    (global.set $heap (i32.wrap_i64 (local.get $end))))
  (func $dlfree (param $block i32)
    (if (i32.ne (i32.load (i32.sub (local.get $block) (i32.const 4))) (i32.const 0xb10c)) (then unreachable))
    (i32.store (i32.sub (local.get $block) (i32.const 4)) (i32.const 0xf4ee))
    (global.set $freed (i32.add (global.get $freed) (i32.const 1))))
  (func $malloc (export "malloc") (param $size i32) (result i32) (return_call $dlmalloc (local.get $size)))
  (func $free (export "free") (param $block i32)
    (if (local.get $block) (then (call $dlfree (local.get $block)))))
  (func $calloc (export "calloc") (param $count i32) (param $size i32) (result i32) (local $block i32)
    (if (i64.gt_u (i64.mul (i64.extend_i32_u (local.get $count)) (i64.extend_i32_u (local.get $size)))
        (i64.const 0xffffffff)) (then (return (i32.const 0))))
    (local.set $block (call $malloc (i32.mul (local.get $count) (local.get $size))))
    (if (local.get $block) (then
      (memory.fill (local.get $block) (i32.const 0) (i32.mul (local.get $count) (local.get $size)))))
    local.get $block)
  (func $realloc (export "realloc") (param $block i32) (param $size i32) (result i32) (local $new i32) (local $old i32)
    (local.set $new (call $malloc (local.get $size)))
    (if (i32.and (i32.ne (local.get $new) (i32.const 0)) (i32.ne (local.get $block) (i32.const 0))) (then
      (local.set $old (i32.load (i32.sub (local.get $block) (i32.const 8))))
      (memory.copy (local.get $new) (local.get $block)
        (select (local.get $old) (local.get $size) (i32.lt_u (local.get $old) (local.get $size))))
      (call $free (local.get $block))))
    local.get $new))"#;

/// The exports of the counters.
fn counters() -> CounterExports {
    prepared(&wat::parse_str(DLMALLOC).unwrap(), PrepareOptions::default()).counters.unwrap()
}

/// How a module is prepared: with the count or without, and with what else.
fn options(count_allocations: bool, virtual_growth: bool, barrier: bool) -> PrepareOptions {
    let barrier = barrier.then(BarrierOptions::default);
    PrepareOptions::default()
        .with_count_allocations(count_allocations)
        .with_virtual_growth(virtual_growth)
        .with_barrier(barrier)
}

struct Guest {
    store: Store<StoreLimits>,
    instance: Instance,
}

impl Guest {
    fn new(engine: &Engine, wasm: &[u8]) -> Self {
        let module = Module::new(engine, wasm).unwrap();
        let mut store = Store::new(engine, StoreLimitsBuilder::new().build());
        store.limiter(|limits| limits);
        let instance = Instance::new(&mut store, &module, &[]).unwrap();
        Self { store, instance }
    }

    /// The results of a function, or the trap.
    fn call(&mut self, name: &str, arguments: &[u32]) -> Result<u32, String> {
        let function = self.instance.get_func(&mut self.store, name).unwrap();
        let arguments: Vec<Val> = arguments.iter().map(|value| Val::I32(value.cast_signed())).collect();
        let mut results = vec![Val::I32(0); function.ty(&self.store).results().len()];
        function.call(&mut self.store, &arguments, &mut results).map_err(|error| error.root_cause().to_string())?;
        Ok(results.first().map_or(0, |value| value.unwrap_i32().cast_unsigned()))
    }

    fn global(&mut self, name: &str) -> Val {
        self.instance.get_global(&mut self.store, name).unwrap().get(&mut self.store)
    }

    fn counter(&mut self, name: &str) -> u64 {
        self.global(name).unwrap_i64().cast_unsigned()
    }

    fn memory(&mut self, name: &str) -> Vec<u8> {
        self.instance.get_memory(&mut self.store, name).unwrap().data(&self.store).to_vec()
    }
}

#[derive(Debug, Clone)]
enum Operation {
    Malloc(u32),
    Calloc(u32, u32),
    /// Of the block with this number, modulo how many there are and one more, which is none.
    Realloc(usize, u32),
    Free(usize),
    /// Of what is no block.
    FreeBadly,
}

fn operation() -> impl Strategy<Value = Operation> {
    let size = || prop_oneof![6 => 0_u32..200, 2 => 0_u32..60_000, 1 => any::<u32>()];
    prop_oneof![
        4 => size().prop_map(Operation::Malloc),
        2 => (size(), size()).prop_map(|(count, size)| Operation::Calloc(count, size)),
        3 => (any::<usize>(), size()).prop_map(|(block, size)| Operation::Realloc(block, size)),
        3 => any::<usize>().prop_map(Operation::Free),
        1 => Just(Operation::FreeBadly),
    ]
}

/// The expected counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Model {
    allocations: u64,
    frees: u64,
    reallocations: u64,
    requested_bytes: u64,
    refused_bytes: u64,
}

impl Model {
    fn request(&mut self, bytes: u64, answer: u32) {
        self.requested_bytes += bytes;
        if answer == 0 && bytes != 0 {
            self.refused_bytes = bytes;
        }
    }

    fn of(guest: &mut Guest, counters: &CounterExports) -> Self {
        Self {
            allocations: guest.counter(counters.allocations),
            frees: guest.counter(counters.frees),
            reallocations: guest.counter(counters.reallocations),
            requested_bytes: guest.counter(counters.requested_bytes),
            refused_bytes: guest.counter(counters.refused_bytes),
        }
    }
}

/// Runs a program on a module with the count and on one without, both prepared in the same way besides. `meddle` may break
/// something after each step. Says where results, memory, globals or the model differ.
fn compare(
    program: &[Operation],
    virtual_growth: bool,
    barrier: bool,
    meddle: impl Fn(&mut Guest),
) -> Result<(), String> {
    let engine = Engine::default();
    let wasm = wat::parse_str(DLMALLOC).unwrap();
    let of = |count| Guest::new(&engine, &prepared(&wasm, options(count, virtual_growth, barrier)).wasm);
    let (mut counted, mut plain) = (of(true), of(false));
    let mut blocks: Vec<u32> = Vec::new();
    let mut model = Model::default();
    let counters = counters();
    for (step, operation) in program.iter().enumerate() {
        let mut both = |name: &str, arguments: &[u32]| {
            let (found, expected) = (counted.call(name, arguments), plain.call(name, arguments));
            if found == expected { Ok(found) } else { Err(format!("step {step}: {found:?} instead of {expected:?}")) }
        };
        match *operation {
            Operation::Malloc(size) => {
                let block = both("malloc", &[size])??;
                model.allocations += 1;
                model.request(size.into(), block);
                blocks.extend((block != 0).then_some(block));
            }
            Operation::Calloc(count, size) => {
                let block = both("calloc", &[count, size])??;
                model.allocations += 1;
                model.request(u64::from(count) * u64::from(size), block);
                blocks.extend((block != 0).then_some(block));
            }
            Operation::Realloc(number, size) => {
                let at = number % (blocks.len() + 1);
                let old = blocks.get(at).copied().unwrap_or(0);
                let block = both("realloc", &[old, size])??;
                match (old, size) {
                    (0, _) => model.allocations += 1,
                    (_, 0) => model.frees += 1,
                    _ => model.reallocations += 1,
                }
                model.request(size.into(), block);
                if block != 0 {
                    if old != 0 {
                        blocks.remove(at);
                    }
                    blocks.push(block);
                }
            }
            Operation::Free(number) => {
                let at = number % (blocks.len() + 1);
                let block = if at < blocks.len() { blocks.remove(at) } else { 0 };
                both("free", &[block])??;
                model.frees += u64::from(block != 0);
            }
            Operation::FreeBadly => {
                both("free", &[512])?.expect_err("512 is no block");
                model.frees += 1;
                if counted.global(counters.under_way).unwrap_i64() != -1 {
                    return Err(format!("step {step}: nobody sees that it trapped inside `free`"));
                }
                let global = counted.instance.get_global(&mut counted.store, counters.under_way).unwrap();
                global.set(&mut counted.store, Val::I64(0)).unwrap();
            }
        }
        meddle(&mut counted);
        if counted.memory("memory") != plain.memory("memory") {
            return Err(format!("step {step}: memory differs"));
        }
        if barrier && counted.memory("__harness_cards") != plain.memory("__harness_cards") {
            return Err(format!("step {step}: other cards are marked"));
        }
        if counted.global("freed").unwrap_i32() != plain.global("freed").unwrap_i32() {
            return Err(format!("step {step}: a global differs"));
        }
        let found = Model::of(&mut counted, &counters);
        if found != model {
            return Err(format!("step {step}: {found:?} instead of {model:?}"));
        }
        if counted.counter(counters.under_way) != 0 {
            return Err(format!("step {step}: something is under way"));
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn counting_changes_nothing_and_counts_what_a_model_does(
        virtual_growth in any::<bool>(),
        barrier in any::<bool>(),
        program in proptest::collection::vec(operation(), 1..40),
    ) {
        prop_assert_eq!(compare(&program, virtual_growth, barrier, |_| {}), Ok(()));
    }
}

#[test]
fn what_is_not_as_it_must_be_is_caught() {
    let program = [Operation::Malloc(10), Operation::Free(0)];
    assert_eq!(compare(&program, true, true, |_| {}), Ok(()));
    let CounterExports { allocations, frees, requested_bytes, refused_bytes, under_way, .. } = counters();
    for name in [allocations, frees, requested_bytes, refused_bytes, under_way] {
        let meddled = compare(&program, true, true, |guest| {
            let global = guest.instance.get_global(&mut guest.store, name).unwrap();
            global.set(&mut guest.store, Val::I64(5)).unwrap();
        });
        assert!(meddled.is_err(), "{name}");
    }
    let written = compare(&program, true, true, |guest| {
        guest.instance.get_memory(&mut guest.store, "memory").unwrap().data_mut(&mut guest.store)[9] = 1;
    });
    assert_eq!(written, Err("step 0: memory differs".to_owned()));
}

/// Offsets of the frames of a trap, innermost first, and the functions.
fn trap(wasm: &[u8]) -> Vec<(u32, u64)> {
    let mut guest = Guest::new(&Engine::default(), wasm);
    let free = guest.instance.get_typed_func::<i32, ()>(&mut guest.store, "free").unwrap();
    let error = free.call(&mut guest.store, 512).unwrap_err();
    let backtrace = error.downcast_ref::<WasmBacktrace>().unwrap();
    backtrace.frames().iter().map(|frame| (frame.func_index(), frame.module_offset().unwrap() as u64)).collect()
}

#[test]
fn offsets_in_a_moved_body_lead_back_to_the_original_one() {
    let wasm = wat::parse_str(DLMALLOC).unwrap();
    let original = trap(&wasm);
    for (virtual_growth, barrier) in [(false, false), (true, false), (true, true)] {
        let prepared = prepared(&wasm, options(true, virtual_growth, barrier));
        let frames = trap(&prepared.wasm);
        // Each function is there twice: what counts, which the original does not have, and the moved body.
        assert_eq!(frames.len(), 2 * original.len());
        let translated: Vec<u64> = frames.iter().filter_map(|(_, offset)| prepared.offsets.original(*offset)).collect();
        assert_eq!(translated, original.iter().map(|(_, offset)| *offset).collect::<Vec<_>>());
        let own = ModuleInfo::analyse(&wasm).unwrap().functions();
        let named: Vec<u32> = frames.iter().map(|(index, _)| *index).filter(|index| *index < own).collect();
        assert_eq!(named, original.iter().map(|(index, _)| *index).collect::<Vec<_>>());
    }
}

#[test]
fn stores_in_a_moved_body_are_marked() {
    let wasm = wat::parse_str(DLMALLOC).unwrap();
    let prepared = prepared(&wasm, options(true, true, true));
    let barrier = prepared.barrier.as_ref().unwrap();
    let mut guest = Guest::new(&Engine::default(), &prepared.wasm);
    let block = guest.call("calloc", &[3, 10_000]).unwrap();
    let (mut table, mut covered) = (guest.memory(barrier.export_name), Vec::new());
    Cards::new(&mut table, barrier.cards).take(guest.memory("memory").len(), |range| covered.push(range));
    let marked = |at: u32| covered.iter().any(|range| range.contains(&(at as usize)));
    assert!(marked(block - 8) && marked(block) && marked(block + 29_999));
    assert!(!marked(block + 60_000), "and not everything is");
}
