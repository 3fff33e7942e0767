//! Random modules through preparation: it changes nothing that they compute, what admission lets pass is restored exactly
//! by putting memory, globals and logical size back, and the write barrier covers every byte that a call changes.
//!
//! The engine is used as it is, without the harness around it, so that nothing of the harness hides what preparation
//! does. The target `restores` goes through the harness.

use std::sync::LazyLock;

use guest_host::admission::Admission;
use guest_prepare::cards::Cards;
use guest_prepare::module_info::{ExternType, ModuleInfo};
use guest_prepare::{BarrierOptions, Elisions, PrepareOptions, Prepared, prepare};
use wasmtime::{Engine, Instance, Module, OptLevel, Store, StoreLimits, StoreLimitsBuilder, Trap, Val};

use crate::modules::{GROW, PAGE, POKE, random_module};

/// Prepares the module that the input describes, or, where its first byte says so, the input as it is.
///
/// # Errors
/// The property that is broken.
pub fn run(input: &[u8]) -> Result<String, String> {
    let Some((options, bytes)) = input.split_first() else { return Ok("empty".to_owned()) };
    if options & 0xC0 == 0xC0 {
        return damaged(bytes);
    }
    let Some(wasm) = random_module(bytes) else { return Ok("no module".to_owned()) };
    let admitted = check(engine(), &wasm, options & 0x20 != 0, Forgotten::Nothing)?;
    let changed = check_barrier(engine(), &wasm, barrier(*options), true)?;
    Ok(match (admitted, changed) {
        (false, _) => "not in place",
        (true, 0) => "unchanged",
        (true, _) => "restored",
    }
    .to_owned())
}

/// The write barrier that a byte says: each elision, and the size of a card.
#[must_use]
pub fn barrier(options: u8) -> BarrierOptions {
    let elisions =
        Elisions::NONE.with_constants(options & 1 != 0).with_repeated(options & 2 != 0).with_frames(options & 4 != 0);
    BarrierOptions::default().with_card_size(512 << (options >> 3 & 3)).with_elisions(elisions)
}

/// The engine of this target.
pub fn engine() -> &'static Engine {
    static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
        let mut config = wasmtime::Config::new();
        config.cranelift_opt_level(OptLevel::None);
        Engine::new(&config).expect("the machine can run the engine")
    });
    &ENGINE
}

/// Bytes that may be a module are refused or prepared.
///
/// # Errors
/// A module that was prepared is none any more, or another one for the engine.
pub fn damaged(wasm: &[u8]) -> Result<String, String> {
    let Ok(info) = ModuleInfo::analyse(wasm) else { return Ok("refused".to_owned()) };
    let _ = Admission::of(&info).allocator_aware();
    for (barrier, count_allocations) in [(None, false), (None, true), (Some(BarrierOptions::default()), true)] {
        let options = PrepareOptions::default().with_barrier(barrier).with_count_allocations(count_allocations);
        if let Ok(prepared) = prepare(wasm, &info, options) {
            let after = ModuleInfo::analyse(&prepared.wasm).map_err(|error| error.to_string())?;
            if after.engine_refusal != info.engine_refusal {
                return Err(format!("{:?} instead of {:?}", after.engine_refusal, info.engine_refusal));
            }
        }
    }
    Ok("prepared".to_owned())
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
pub enum Forgotten {
    /// Nothing: it is not broken.
    Nothing,
    /// Linear memory.
    Memory,
    /// The globals.
    Globals,
    /// The logical memory size.
    LogicalSize,
}

/// What a restore in place needs.
struct Snapshot {
    memory: Option<(String, Vec<u8>)>,
    globals: Vec<(String, Val)>,
    logical_pages: Option<&'static str>,
}

impl Snapshot {
    fn take(guest: &mut Guest, info: &ModuleInfo, prepared: &Prepared) -> Self {
        let globals = prepared.globals.iter().map(|global| global.export_name.as_str());
        let names: Vec<String> = globals.chain(prepared.logical_pages_export).map(str::to_owned).collect();
        Self {
            memory: info.memory_export().map(|name| (name.to_owned(), guest.memory(name))),
            globals: names.into_iter().map(|name| (name.clone(), guest.global(&name))).collect(),
            logical_pages: prepared.logical_pages_export,
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
            let kind =
                if Some(name.as_str()) == self.logical_pages { Forgotten::LogicalSize } else { Forgotten::Globals };
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
/// `prepared` is the module of the second guest. `physical_tail`: this guest may have pages behind its logical end, where it
/// reads zeros and the first one traps.
fn compare(
    info: &ModuleInfo,
    prepared: &Prepared,
    fresh: &mut Guest,
    other: &mut Guest,
    physical_tail: bool,
) -> Result<(), String> {
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
                    if let Some(logical) = prepared.logical_pages_export {
                        let found = show(&other.global(logical));
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

/// The property, with calls of what is taken for an allocator counted or not. Says whether the module was admitted to a
/// restore in place.
///
/// # Errors
/// What is not as it must be.
pub fn check(engine: &Engine, wasm: &[u8], count_allocations: bool, forgotten: Forgotten) -> Result<bool, String> {
    let info = ModuleInfo::analyse(wasm).map_err(|error| error.to_string())?;
    let admission = Admission::of(&info);
    if let Err(refusals) = admission.runnable() {
        return match Module::new(engine, wasm) {
            Ok(_) => Err(format!("the engine runs it, and admission refuses: {refusals:?}")),
            Err(_) => Ok(false),
        };
    }
    let options = PrepareOptions::default().with_count_allocations(count_allocations);
    let prepared = prepare(wasm, &info, options).map_err(|error| error.to_string())?;
    let plain = Module::new(engine, wasm).map_err(|error| format!("{error:#}"))?;
    let rewritten = Module::new(engine, &prepared.wasm).map_err(|error| format!("prepared: {error:#}"))?;
    let (Some(mut fresh), Some(mut guest)) = (Guest::new(&plain), Guest::new(&rewritten)) else {
        return match (Guest::new(&plain), Guest::new(&rewritten)) {
            (None, None) => Ok(false),
            _ => Err("only one of both can be instantiated".to_owned()),
        };
    };
    let snapshot = admission.full_copy().is_ok().then(|| Snapshot::take(&mut guest, &info, &prepared));
    compare(&info, &prepared, &mut fresh, &mut guest, false)?;
    let Some(snapshot) = snapshot else { return Ok(false) };
    for round in 0..2 {
        snapshot.restore(&mut guest, forgotten);
        let Some(mut fresh) = Guest::new(&plain) else { return Err("instantiation is not repeatable".to_owned()) };
        compare(&info, &prepared, &mut fresh, &mut guest, true)
            .map_err(|what| format!("after restore {round}: {what}"))?;
    }
    Ok(true)
}

/// The property of the write barrier: a module computes the same with it, and what a call changes since instantiation lies
/// in a marked card, in its slack, or in what is always restored. Says how many bytes were changed.
///
/// # Errors
/// What is not as it must be.
pub fn check_barrier(engine: &Engine, wasm: &[u8], barrier: BarrierOptions, look: bool) -> Result<usize, String> {
    /// Enough for a card table of 512-byte cards, and no more than modules here ask for.
    const LIMIT: usize = 200;
    let info = ModuleInfo::analyse(wasm).map_err(|error| error.to_string())?;
    let Some(name) = info.memory_export().filter(|_| Admission::of(&info).full_copy().is_ok()) else { return Ok(0) };
    let options = PrepareOptions::default().with_barrier(Some(barrier));
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
    let cards = guest.instance.get_memory(&mut guest.store, found.export_name).ok_or("there is no card table")?;
    cards.data_mut(&mut guest.store).fill(0);
    compare(&info, &prepared, &mut fresh, &mut guest, false)?;
    let after = guest.memory(name);
    let mut covered: Vec<_> = found.always.iter().map(|range| range.start as usize..range.end as usize).collect();
    if look {
        let table = cards.data_mut(&mut guest.store);
        Cards::new(table, found.cards).take(after.len(), |range| covered.push(range));
    }
    let mut changed = 0;
    for (at, byte) in after.iter().enumerate() {
        if *byte != before.get(at).copied().unwrap_or(0) {
            changed += 1;
            if !covered.iter().any(|range| range.contains(&at)) {
                return Err(format!("address {at:#x} was changed and is not covered"));
            }
        }
    }
    Ok(changed)
}
