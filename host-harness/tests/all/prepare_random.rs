//! Random modules: preparation changes nothing that they compute, and what admission lets pass is restored exactly by
//! putting memory, globals and logical size back.

use std::cell::Cell;

use arbitrary::Unstructured;
use host_harness::admission::Admission;
use host_harness::module_info::{ExternType, ModuleInfo, Tracked};
use host_harness::prepare::{
    BarrierOptions, CARDS_EXPORT, Elisions, LOGICAL_PAGES_EXPORT, PrepareOptions, Prepared, SLACK, prepare,
};
use proptest::prelude::*;
use wasm_encoder::reencode::{self, Reencode};
use wasm_smith::{Config, InstructionKind, InstructionKinds};
use wasmtime::{Engine, Instance, Module, Store, StoreLimits, StoreLimitsBuilder, Trap, Val};

use crate::prepare::engine;

const PAGE: usize = 65_536;
/// Loop iterations and calls that a random module may make in its whole life.
const STEPS: u32 = 500;

/// Bytes that follow from a seed (SplitMix64).
fn random_bytes(seed: u64, length: usize) -> Vec<u8> {
    let words = (1..).map(|step: u64| {
        let mut word = seed.wrapping_add(step.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        word ^ (word >> 31)
    });
    words.flat_map(u64::to_le_bytes).take(length).collect()
}

/// A module without imports that exports everything, and ends by itself.
fn random_module(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut random = Unstructured::new(bytes);
    let kinds =
        [InstructionKind::Memory, InstructionKind::Control, InstructionKind::Variable, InstructionKind::Parametric];
    let config = Config {
        // Half of the modules do little else than use their memory.
        allowed_instructions: if random.arbitrary().ok()? {
            InstructionKinds::all()
        } else {
            InstructionKinds::new(&kinds)
        },
        disallow_traps: random.arbitrary().ok()?,
        // Everything is exported: compare all there is.
        export_everything: true,
        max_imports: 0,
        min_funcs: 1,
        min_memories: 1,
        max_memories: 1,
        max_memory32_bytes: 12 * PAGE as u64,
        max_table_elements: 100,
        bulk_memory_enabled: random.arbitrary().ok()?,
        reference_types_enabled: random.arbitrary().ok()?,
        simd_enabled: random.arbitrary().ok()?,
        allow_start_export: random.arbitrary().ok()?,
        // What results it gives is up to the machine.
        relaxed_simd_enabled: false,
        // Refused by admission, or by the engine.
        exceptions_enabled: false,
        gc_enabled: false,
        memory64_enabled: false,
        threads_enabled: false,
        custom_page_sizes_enabled: false,
        wide_arithmetic_enabled: false,
        ..Config::default()
    };
    let mut module = wasm_smith::Module::new(config, &mut random).ok()?;
    module.ensure_termination(STEPS).ok()?;
    with_driver(&module.to_bytes())
}

/// Appends functions that surely grow and write, which random code seldom does. `None` for a module without code.
fn with_driver(wasm: &[u8]) -> Option<Vec<u8>> {
    let info = ModuleInfo::analyse(wasm).unwrap();
    if info.memories.is_empty() || info.defined_functions == 0 {
        return None;
    }
    let mut driver = Driver { types: info.types, functions: info.functions() };
    let mut module = wasm_encoder::Module::new();
    driver.parse_core_module(&mut module, wasmparser::Parser::new(0), wasm).unwrap();
    Some(module.finish())
}

const GROW: &str = "drive: grow by a page";
const POKE: &str = "drive: write into the first page";

struct Driver {
    types: u32,
    functions: u32,
}

impl Reencode for Driver {
    type Error = std::convert::Infallible;

    fn parse_type_section(
        &mut self,
        types: &mut wasm_encoder::TypeSection,
        section: wasmparser::TypeSectionReader<'_>,
    ) -> Result<(), reencode::Error> {
        reencode::utils::parse_type_section(self, types, section)?;
        types.ty().function([], [wasm_encoder::ValType::I32]);
        Ok(())
    }

    fn parse_function_section(
        &mut self,
        functions: &mut wasm_encoder::FunctionSection,
        section: wasmparser::FunctionSectionReader<'_>,
    ) -> Result<(), reencode::Error> {
        reencode::utils::parse_function_section(self, functions, section)?;
        functions.function(self.types).function(self.types);
        Ok(())
    }

    fn parse_export_section(
        &mut self,
        exports: &mut wasm_encoder::ExportSection,
        section: wasmparser::ExportSectionReader<'_>,
    ) -> Result<(), reencode::Error> {
        reencode::utils::parse_export_section(self, exports, section)?;
        exports.export(GROW, wasm_encoder::ExportKind::Func, self.functions);
        exports.export(POKE, wasm_encoder::ExportKind::Func, self.functions + 1);
        Ok(())
    }

    fn parse_code_section(
        &mut self,
        code: &mut wasm_encoder::CodeSection,
        section: wasmparser::CodeSectionReader<'_>,
    ) -> Result<(), reencode::Error> {
        reencode::utils::parse_code_section(self, code, section)?;
        let mut grow = wasm_encoder::Function::new([]);
        grow.instructions().i32_const(1).memory_grow(0).end();
        let mut poke = wasm_encoder::Function::new([]);
        let word =
            wasm_encoder::MemArg { offset: 0, align: 0, target: wasm_encoder::MemArgTarget::Memory(0), ordering: None };
        // Returns what was there before.
        poke.instructions()
            .i32_const(40_000)
            .i32_load(word)
            .i32_const(40_000)
            .i32_const(40_000)
            .i32_load(word)
            .i32_const(1)
            .i32_add()
            .i32_store(word)
            .end();
        code.function(&grow).function(&poke);
        Ok(())
    }
}

/// What can be seen of a call: values (references as null or not), or the trap.
type Seen = Result<Vec<String>, Trap>;

struct Guest {
    store: Store<StoreLimits>,
    instance: Instance,
}

impl Guest {
    /// `None` if instantiation fails, as it does when a start function traps.
    fn new(module: &Module) -> Option<Self> {
        Self::with_limit(module, 20)
    }

    /// Each memory may have so many pages.
    fn with_limit(module: &Module, pages: usize) -> Option<Self> {
        let limits = StoreLimitsBuilder::new().memory_size(pages * PAGE).table_elements(1_000).build();
        let mut store = Store::new(module.engine(), limits);
        store.limiter(|limits| limits);
        let instance = Instance::new(&mut store, module, &[]).ok()?;
        Some(Self { store, instance })
    }

    fn call(&mut self, name: &str) -> Seen {
        let function = self.instance.get_func(&mut self.store, name).unwrap();
        let ty = function.ty(&self.store);
        let params: Vec<Val> = ty.params().map(|param| Val::default_for_ty(&param).unwrap()).collect();
        let mut results: Vec<Val> = ty.results().map(|_| Val::I32(0)).collect();
        match function.call(&mut self.store, &params, &mut results) {
            Ok(()) => Ok(results.iter().map(show).collect()),
            Err(error) => Err(*error.downcast_ref::<Trap>().unwrap_or_else(|| panic!("{error:?}"))),
        }
    }

    fn global(&mut self, name: &str) -> Val {
        self.instance.get_global(&mut self.store, name).unwrap().get(&mut self.store)
    }

    fn memory(&mut self, name: &str) -> Vec<u8> {
        self.instance.get_memory(&mut self.store, name).unwrap().data(&self.store).to_vec()
    }
}

fn show(value: &Val) -> String {
    match value {
        Val::FuncRef(reference) => format!("funcref, null: {}", reference.is_none()),
        other => format!("{other:?}"),
    }
}

/// What a broken restore forgets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Forgotten {
    Nothing,
    Memory,
    Globals,
    LogicalSize,
}

/// What a restore in place needs.
struct Snapshot {
    memory: Option<(String, Vec<u8>)>,
    globals: Vec<(String, Val)>,
}

impl Snapshot {
    fn take(guest: &mut Guest, info: &ModuleInfo, prepared: &Prepared) -> Self {
        let globals = prepared.globals.iter().map(|global| global.export_name.as_str());
        let names: Vec<String> = globals.chain(prepared.logical_pages_export).map(str::to_owned).collect();
        Self {
            memory: info.memory_export().map(|name| (name.to_owned(), guest.memory(name))),
            globals: names.into_iter().map(|name| (name.clone(), guest.global(&name))).collect(),
        }
    }

    fn restore(&self, guest: &mut Guest, forgotten: Forgotten) {
        if let Some((name, saved)) = self.memory.as_ref().filter(|_| forgotten != Forgotten::Memory) {
            let memory = guest.instance.get_memory(&mut guest.store, name).unwrap().data_mut(&mut guest.store);
            let (head, tail) = memory.split_at_mut(saved.len());
            head.copy_from_slice(saved);
            tail.fill(0);
        }
        for (name, value) in &self.globals {
            let kind = if name == LOGICAL_PAGES_EXPORT { Forgotten::LogicalSize } else { Forgotten::Globals };
            if kind == forgotten {
                continue;
            }
            let global = guest.instance.get_global(&mut guest.store, name).unwrap();
            assert!(!matches!(value, Val::FuncRef(_)), "admission refuses mutable references");
            global.set(&mut guest.store, *value).unwrap();
        }
    }
}

/// What the engine cannot tell exactly: where the native stack ends depends on the size of the compiled frames.
const fn depends_on_compiled_code(seen: &Seen) -> bool {
    matches!(seen, Err(Trap::StackOverflow))
}

/// Calls every exported function on both, and compares what they return and what they leave behind.
/// `physical_tail`: the second guest may have pages behind its logical end, where it reads zeros and the first traps.
fn compare(info: &ModuleInfo, fresh: &mut Guest, other: &mut Guest, physical_tail: bool) -> Result<(), String> {
    let functions = info.exports.iter().filter(|export| matches!(export.ty, ExternType::Function(_)));
    let names = functions.map(|export| export.name.as_str());
    for name in [GROW, POKE].into_iter().chain(names) {
        let (expected, found) = (fresh.call(name), other.call(name));
        let in_the_tail = physical_tail && expected == Err(Trap::MemoryOutOfBounds);
        if depends_on_compiled_code(&expected) || depends_on_compiled_code(&found) || in_the_tail {
            return Ok(());
        }
        if expected != found {
            return Err(format!("`{name}` gives {found:?} instead of {expected:?}"));
        }
        for export in &info.exports {
            match export.ty {
                ExternType::Global(_) => {
                    let (expected, found) = (show(&fresh.global(&export.name)), show(&other.global(&export.name)));
                    if expected != found {
                        return Err(format!("global `{}` is {found} instead of {expected}", export.name));
                    }
                }
                ExternType::Memory(_) => {
                    let (expected, found) = (fresh.memory(&export.name), other.memory(&export.name));
                    let same = found.starts_with(&expected) && found[expected.len()..].iter().all(|byte| *byte == 0);
                    if !same || (!physical_tail && found.len() != expected.len()) {
                        return Err(format!("memory `{}` differs", export.name));
                    }
                    let pages = show(&Val::I32(i32::try_from(expected.len() / PAGE).unwrap()));
                    if let Some(logical) = other.instance.get_global(&mut other.store, LOGICAL_PAGES_EXPORT) {
                        let found = show(&logical.get(&mut other.store));
                        if found != pages {
                            return Err(format!("the logical size is {found} instead of {pages}"));
                        }
                    }
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// The property. Says whether the module was admitted to a restore in place.
fn check(engine: &Engine, wasm: &[u8], forgotten: Forgotten) -> Result<bool, String> {
    let info = ModuleInfo::analyse(wasm).map_err(|error| error.to_string())?;
    let admission = Admission::of(&info);
    if let Err(refusals) = admission.runnable() {
        return match Module::new(engine, wasm) {
            Ok(_) => Err(format!("the engine runs it, and admission refuses: {refusals:?}")),
            Err(_) => Ok(false),
        };
    }
    let prepared = prepare(wasm, &info, PrepareOptions::default()).map_err(|error| error.to_string())?;
    let plain = Module::new(engine, wasm).map_err(|error| format!("{error:#}"))?;
    let rewritten = Module::new(engine, &prepared.wasm).map_err(|error| format!("prepared: {error:#}"))?;
    let (Some(mut fresh), Some(mut guest)) = (Guest::new(&plain), Guest::new(&rewritten)) else {
        return match (Guest::new(&plain), Guest::new(&rewritten)) {
            (None, None) => Ok(false),
            _ => Err("only one of both can be instantiated".to_owned()),
        };
    };
    let snapshot = admission.full_copy().is_ok().then(|| Snapshot::take(&mut guest, &info, &prepared));
    compare(&info, &mut fresh, &mut guest, false)?;
    let Some(snapshot) = snapshot else { return Ok(false) };
    for round in 0..2 {
        snapshot.restore(&mut guest, forgotten);
        let Some(mut fresh) = Guest::new(&plain) else { return Err("instantiation is not repeatable".to_owned()) };
        compare(&info, &mut fresh, &mut guest, true).map_err(|what| format!("after restore {round}: {what}"))?;
    }
    Ok(true)
}

#[test]
fn random_modules_compute_the_same_and_are_restored_exactly() {
    let engine = engine();
    let config =
        ProptestConfig { cases: 800, max_shrink_iters: 60, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let counts = Cell::new((0_u32, 0_u32));
    runner
        .run(&(any::<u64>(), 200_usize..4_000), |(seed, length)| {
            let Some(wasm) = random_module(&random_bytes(seed, length)) else { return Ok(()) };
            let admitted = check(&engine, &wasm, Forgotten::Nothing).map_err(TestCaseError::fail)?;
            let grows = ModuleInfo::analyse(&wasm).unwrap().instructions.any(Tracked::MemoryGrow);
            let (all_admitted, all_growing) = counts.get();
            counts.set((all_admitted + u32::from(admitted), all_growing + u32::from(admitted && grows)));
            Ok(())
        })
        .unwrap();
    let (admitted, growing) = counts.get();
    assert!(admitted > 0 && growing > 0, "{admitted} admitted, {growing} of them grow: the sample shows nothing");
}

/// The property of the write barrier: a module computes the same with it, and what a call changes since instantiation lies
/// in a marked card, in its slack, or in what is always restored. Says how many bytes were changed.
fn check_barrier(engine: &Engine, wasm: &[u8], barrier: BarrierOptions, look: bool) -> Result<usize, String> {
    /// Enough for a card table of 1 KiB cards, and no more than modules here ask for.
    const LIMIT: usize = 100;
    let info = ModuleInfo::analyse(wasm).map_err(|error| error.to_string())?;
    let Some(name) = info.memory_export().filter(|_| Admission::of(&info).full_copy().is_ok()) else { return Ok(0) };
    let options = PrepareOptions { barrier: Some(barrier), ..PrepareOptions::default() };
    let prepared = prepare(wasm, &info, options).map_err(|error| error.to_string())?;
    let plain = Module::new(engine, wasm).map_err(|error| format!("{error:#}"))?;
    let marking = Module::new(engine, &prepared.wasm).map_err(|error| format!("prepared: {error:#}"))?;
    let (Some(mut fresh), Some(mut guest)) = (Guest::with_limit(&plain, LIMIT), Guest::with_limit(&marking, LIMIT))
    else {
        return Ok(0);
    };
    let before = guest.memory(name);
    let found = prepared.barrier.as_ref().ok_or("an admitted module has no barrier")?;
    // What the start function marked is part of what the snapshot has.
    let cards = guest.instance.get_memory(&mut guest.store, CARDS_EXPORT).ok_or("there is no card table")?;
    cards.data_mut(&mut guest.store).fill(0);
    compare(&info, &mut fresh, &mut guest, false)?;
    let after = guest.memory(name);
    let table = cards.data(&guest.store);
    let size = found.card_size as usize;
    let covered = |at: usize| {
        let nearby = at.saturating_sub(SLACK as usize) / size..=(at + SLACK as usize) / size;
        let around = at < SLACK as usize && table[found.cards as usize - 1] != 0;
        let always = found.always.iter().any(|range| range.contains(&u32::try_from(at).unwrap()));
        (look && (around || nearby.into_iter().any(|card| table[card] != 0))) || always
    };
    let mut changed = 0;
    for (at, byte) in after.iter().enumerate() {
        if *byte != before.get(at).copied().unwrap_or(0) {
            changed += 1;
            if !covered(at) {
                return Err(format!("address {at:#x} was changed and is not covered"));
            }
        }
    }
    Ok(changed)
}

#[test]
fn random_modules_change_only_what_the_write_barrier_covers() {
    let engine = engine();
    let config =
        ProptestConfig { cases: 400, max_shrink_iters: 60, failure_persistence: None, ..ProptestConfig::default() };
    let changed = Cell::new(0);
    proptest::test_runner::TestRunner::new(config)
        .run(&(any::<u64>(), 200_usize..4_000, 10_u32..=12, any::<[bool; 3]>()), |(seed, length, shift, left_out)| {
            let Some(wasm) = random_module(&random_bytes(seed, length)) else { return Ok(()) };
            let [constants, repeated, frames] = left_out;
            let barrier = BarrierOptions { card_size: 1 << shift, elisions: Elisions { constants, repeated, frames } };
            let bytes = check_barrier(&engine, &wasm, barrier, true).map_err(TestCaseError::fail)?;
            changed.set(changed.get() + bytes);
            Ok(())
        })
        .unwrap();
    assert!(changed.get() > 0, "the sample shows nothing");
}

#[test]
fn marks_that_are_not_looked_at_are_missed() {
    let engine = engine();
    let barrier = BarrierOptions { elisions: Elisions::NONE, ..BarrierOptions::default() };
    let caught = (0..1_000).any(|seed| {
        let wasm = random_module(&random_bytes(seed, 3_000));
        wasm.is_some_and(|wasm| check_barrier(&engine, &wasm, barrier, false).is_err())
    });
    assert!(caught);
}

#[test]
fn a_restore_that_forgets_something_is_caught() {
    let engine = engine();
    for forgotten in [Forgotten::Memory, Forgotten::Globals, Forgotten::LogicalSize] {
        let caught = (0..1_000).any(|seed| {
            let wasm = random_module(&random_bytes(seed, 3_000));
            wasm.is_some_and(|wasm| check(&engine, &wasm, forgotten).is_err())
        });
        assert!(caught, "{forgotten:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, max_shrink_iters: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_modules_are_refused_or_prepared_never_a_panic(
        seed: u64,
        damage in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6),
        cut in proptest::option::of(any::<proptest::sample::Index>()),
    ) {
        let Some(mut wasm) = random_module(&random_bytes(seed, 1_000)) else { return Ok(()) };
        for (at, byte) in damage {
            let at = at.index(wasm.len());
            wasm[at] = byte;
        }
        if let Some(cut) = cut {
            wasm.truncate(cut.index(wasm.len()));
        }
        let Ok(info) = ModuleInfo::analyse(&wasm) else { return Ok(()) };
        let _ = Admission::of(&info).allocator_aware();
        if let Ok(prepared) = prepare(&wasm, &info, PrepareOptions::default()) {
            let after = ModuleInfo::analyse(&prepared.wasm).map_err(|error| TestCaseError::fail(error.to_string()))?;
            prop_assert_eq!(after.engine_refusal, info.engine_refusal);
        }
    }
}
