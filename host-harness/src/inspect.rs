//! The parts of a module, whether it keeps its contract, and which strategies can restore it.
//!
//! An [`Inspection`] is made of any valid core module, also of one that the harness then refuses to run: it says why.
//! The JSON report has its fields under their names.

mod within;

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::advice::{Advice, advice};
use crate::budget::Budget;
use crate::functions::why_not;
use crate::measure::SYSTEM_ALLOCATOR;
use guest_abi::function::{EXPORT_AGGREGATE, EXPORT_ROW, EXPORT_TABLE};
use guest_host::admission::{Admission, Refusal};
use guest_host::artefact::{is_artefact, module_of};
use guest_host::snapshot::ControlBlockAt;
use guest_host::{
    AdmissionError, AllocationSource, Choice, Engine, Guest, InstanceConfig, LoadError, MemoryState, RestoreStrategy,
};
use guest_prepare::module_info::{ContractKind, MemoryLayout, ModuleError, ModuleInfo, Tracked};
use guest_prepare::{CountedFunction, PrepareOptions, tells_allocations};
pub use within::inspect_within;

/// Which functions of a bare module can be called, and how a module comes to be an extension instead.
pub const WHAT_WOULD_BE_CALLABLE: &str = "of a bare module, exported functions whose parameters and results are numbers \
    (i32, i64, f32, f64) can be called, if the name does not begin with `_`; if the module is meant as an extension, it lacks \
    what `guest-sdk` adds";

/// The findings about a module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Inspection {
    /// Its name in reports.
    pub guest: String,
    /// Why it cannot be run at all; empty when it can.
    pub problems: Vec<String>,
    /// The contract that it keeps, with its version, or that it is a bare module; null when it breaks its contract.
    pub contract: Option<String>,
    /// The tools that made it, as the module names them.
    pub built_with: Vec<String>,
    /// Names of its extension functions; of a bare module, of the functions that can be called.
    pub functions: Vec<String>,
    /// Names of its typed functions, which are called with arguments.
    #[serde(default)]
    pub typed_functions: Vec<String>,
    /// Names of its stages, which take a memory block and return one.
    #[serde(default)]
    pub stages: Vec<String>,
    /// Of a bare module, the exported functions that cannot be called.
    #[serde(default)]
    pub not_callable: Vec<NotCallable>,
    /// All its exports.
    pub exports: Vec<Item>,
    /// Its imports, each once however often it stands in the module.
    pub imports: Vec<Item>,
    /// Sizes in bytes.
    pub sizes: ModuleSizes,
    /// Its memories, each in the text format's words.
    pub memories: Vec<String>,
    /// Where stack, statics and heap lie; null when it does not tell.
    pub layout: Option<Layout>,
    /// Why the layout is not known.
    pub layout_unknown: Option<String>,
    /// Mutable globals that it does not export itself, which preparation therefore exports.
    pub hidden_globals: u64,
    /// Instructions that matter to a restore, and how often each occurs.
    pub instructions: Vec<InstructionCount>,
    /// Name of its allocator: from its control block, otherwise `system`; null when that could not be read.
    pub allocator: Option<String>,
    /// Its allocator's control block after initialisation.
    pub control_block: Option<ControlBlock>,
    /// Where its allocations are known from: `control-block`, `guest-functions` (functions of the guest's own) or
    /// `counted-calls` (calls of its allocator's functions, which the harness counts). Null where nothing tells.
    #[serde(default)]
    pub allocations_from: Option<String>,
    /// Functions of its allocator whose calls the harness counts.
    #[serde(default)]
    pub allocator_functions: Vec<AllocatorFunction>,
    /// Why no instance could be made of it.
    pub instance_error: Option<String>,
    /// Each strategy, and whether it can restore the module.
    pub strategies: Vec<StrategyVerdict>,
    /// Advice on how it is built.
    #[serde(default)]
    pub advice: Vec<Advice>,
    /// Its memory beside a budget; absent where none was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
}

/// An exported function of a bare module that cannot be called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct NotCallable {
    /// Its name.
    pub function: String,
    /// Why not.
    pub reason: String,
}

/// An import or an export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Item {
    /// Its name; for imports `module.name`.
    pub name: String,
    /// Its type, in the text format's words.
    #[serde(rename = "type")]
    pub ty: String,
}

/// Sizes of a module's parts in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ModuleSizes {
    /// Of the file.
    pub file: u64,
    /// Of the file without custom sections.
    pub stripped: u64,
    /// Of the code.
    pub code: u64,
    /// Of the data.
    pub data: u64,
    /// Of the prepared module, as it is compiled; null when it cannot be prepared.
    pub prepared: Option<u64>,
}

/// Addresses of stack, statics and heap. Ends are exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Layout {
    /// The shadow stack, where the module says so.
    pub stack: Option<[u32; 2]>,
    /// The statics.
    pub statics: [u32; 2],
    /// Where the heap begins.
    pub heap_base: u32,
}

/// How often an instruction occurs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct InstructionCount {
    /// The instruction.
    pub instruction: String,
    /// Occurrences in the code.
    pub count: u32,
}

/// An allocator's control block as it was when the snapshot was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ControlBlock {
    /// Its address.
    pub address: u64,
    /// Number of its allocator.
    pub kind: u16,
    /// Whether it counts.
    pub counters: bool,
    /// First address of the heap.
    pub heap_base: u32,
    /// Next free address, or the end of the claimed heap.
    pub top: u32,
    /// High-water mark in force.
    pub high_water: u32,
    /// End of the memory that the allocator took over.
    pub limit: u32,
    /// Reset mark; 0 where there is none.
    pub mark: u32,
    /// Bytes that initialisation left allocated.
    pub live_bytes: u64,
}

/// A function whose calls the harness counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AllocatorFunction {
    /// The name by which it was found.
    pub function: String,
    /// `export` or `name section`.
    pub found_by: String,
    /// `allocation`, `reallocation` or `free`.
    pub counted_as: String,
}

impl AllocatorFunction {
    fn of(counted: &CountedFunction) -> Self {
        Self {
            function: counted.name.clone(),
            found_by: counted.found_by.name().to_owned(),
            counted_as: counted.counted_as.name().to_owned(),
        }
    }
}

/// Whether a strategy can restore a module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StrategyVerdict {
    /// The strategy.
    pub strategy: String,
    /// Whether it can.
    pub admitted: bool,
    /// Why not.
    pub reasons: Vec<Reason>,
    /// The alternative that all reasons leave; null where it is admitted.
    #[serde(default)]
    pub instead: Option<String>,
}

/// A reason against a strategy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Reason {
    /// The reasons against it.
    pub reason: String,
    /// The alternative.
    pub instead: String,
}

/// Inspects a module, or that in an [artefact](guest_host::artefact).
///
/// ```
/// use guest_host::{Engine, EngineConfig, InstanceConfig, PrepareOptions};
/// use host_harness::inspect::inspect;
///
/// let engine = Engine::new(&EngineConfig::default())?;
/// # let wasm = wat::parse_str(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../guest-host/examples/shop.wat")))?;
/// let found = inspect(&engine, "shop", &wasm, PrepareOptions::default(), &InstanceConfig::default())?;
/// assert!(found.problems.is_empty(), "it can be run: {:?}", found.problems);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`ModuleError`] when the bytes are no valid core module. All else is part of what was found.
pub fn inspect(
    engine: &Engine,
    name: &str,
    wasm: &[u8],
    options: PrepareOptions,
    config: &InstanceConfig,
) -> Result<Inspection, ModuleError> {
    inspect_and(engine, name, wasm, options, config, |_, _| ())
}

/// Inspects a module. If it can be loaded, `add` adds to what was found.
fn inspect_and(
    engine: &Engine,
    name: &str,
    wasm: &[u8],
    options: PrepareOptions,
    config: &InstanceConfig,
    add: impl FnOnce(&mut Inspection, &Guest),
) -> Result<Inspection, ModuleError> {
    // One whose module is damaged is no module either.
    let module = if is_artefact(wasm) { module_of(wasm).unwrap_or(wasm) } else { wasm };
    let info = ModuleInfo::analyse(module)?;
    let admission = Admission::of(&info);
    let mut found = of_module(name, &info, &admission);
    match Guest::load(engine, name, wasm, options) {
        Ok(guest) => {
            add_instance(&mut found, &guest, config);
            add(&mut found, &guest);
        }
        Err(error) => {
            found.problems.push(error.to_string());
            found.strategies = verdicts_by_module(&admission);
        }
    }
    Ok(found)
}

/// A strategy, and why it cannot restore a guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// The strategy.
    pub strategy: RestoreStrategy,
    /// Why not; empty when it can.
    pub refusals: Vec<Refusal>,
}

/// Which strategies can restore a guest: what the module allows and, where an instance decides, what that does; `state` is
/// what it may read while it is initialised.
///
/// ```
/// use guest_host::{Engine, EngineConfig, Guest, InstanceConfig, MemoryState, PrepareOptions, RestoreStrategy};
/// use host_harness::inspect::strategies;
///
/// # let engine = Engine::new(&EngineConfig::default())?;
/// # let wasm = wat::parse_str(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../guest-host/examples/shop.wat")))?;
/// # let guest = Guest::load(&engine, "shop", &wasm, PrepareOptions::default())?;
/// let judgements = strategies(&guest, &InstanceConfig::default(), &MemoryState::new())?;
/// let able = judgements.iter().filter(|judgement| judgement.refusals.is_empty());
/// let able: Vec<_> = able.map(|judgement| judgement.strategy).collect();
/// assert_eq!(able, [RestoreStrategy::Reinstantiate, RestoreStrategy::FullCopy, RestoreStrategy::DirtyCards]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`LoadError`] when no instance can be made whatever the strategy.
pub fn strategies(guest: &Guest, config: &InstanceConfig, state: &MemoryState) -> Result<Vec<Judgement>, LoadError> {
    let judge = |strategy| {
        let config = config.clone().with_strategy(strategy);
        let refusals = match guest.instantiate(&config, state.clone()) {
            Ok(_) => Vec::new(),
            Err(LoadError::Admission(AdmissionError::Strategy { reasons, .. })) => reasons,
            Err(error) => return Err(error),
        };
        Ok(Judgement { strategy, refusals })
    };
    RestoreStrategy::ALL.into_iter().map(judge).collect()
}

/// Returns the strategy that [`RestoreStrategy::Auto`] picks for a guest under a configuration, and the reason. The guest
/// may read `state` while it is initialised.
///
/// ```
/// use guest_host::{Engine, EngineConfig, Guest, InstanceConfig, MemoryState, PrepareOptions, RestoreStrategy};
/// use host_harness::inspect::best_strategy;
///
/// # let engine = Engine::new(&EngineConfig::default())?;
/// # let wasm = wat::parse_str(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../guest-host/examples/shop.wat")))?;
/// # let guest = Guest::load(&engine, "shop", &wasm, PrepareOptions::default())?;
/// let choice = best_strategy(&guest, &InstanceConfig::default(), &MemoryState::new())?;
/// assert_eq!(choice.strategy, RestoreStrategy::DirtyCards);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// As for [`Guest::instantiate`].
pub fn best_strategy(guest: &Guest, config: &InstanceConfig, state: &MemoryState) -> Result<Choice, LoadError> {
    let config = config.clone().with_strategy(RestoreStrategy::Auto);
    guest.instantiate(&config, state.clone()).map(|instance| instance.strategy())
}

/// A module's imports, each once.
fn imports(info: &ModuleInfo) -> Vec<Item> {
    let mut seen = HashSet::new();
    let once = info.imports.iter().filter(|import| seen.insert(*import));
    once.map(|import| Item { name: format!("{}.{}", import.module, import.name), ty: import.ty.to_string() }).collect()
}

fn by_module(admission: &Admission, strategy: RestoreStrategy) -> Judgement {
    Judgement { strategy, refusals: admission.admits(strategy).err().unwrap_or_default() }
}

fn verdict(judgement: &Judgement) -> StrategyVerdict {
    let reason = |refusal: &Refusal| Reason { reason: refusal.reason(), instead: refusal.instead().to_string() };
    StrategyVerdict {
        strategy: judgement.strategy.name().to_owned(),
        admitted: judgement.refusals.is_empty(),
        reasons: judgement.refusals.iter().map(reason).collect(),
        instead: judgement.refusals.iter().map(Refusal::instead).min().map(|instead| instead.to_string()),
    }
}

/// The verdicts that the module alone allows.
fn verdicts_by_module(admission: &Admission) -> Vec<StrategyVerdict> {
    RestoreStrategy::ALL.into_iter().map(|strategy| verdict(&by_module(admission, strategy))).collect()
}

fn of_module(name: &str, info: &ModuleInfo, admission: &Admission) -> Inspection {
    let layout = |layout: &MemoryLayout| Layout {
        stack: layout.stack.as_ref().map(|stack| [stack.start, stack.end]),
        statics: [layout.statics.start, layout.statics.end],
        heap_base: layout.heap_base,
    };
    let hidden =
        info.globals.iter().filter(|global| global.ty.mutable && !global.imported && global.exports.is_empty());
    let is_bare = info.contract() == ContractKind::Bare;
    Inspection {
        guest: name.to_owned(),
        problems: Vec::new(),
        contract: admission.contract.as_ref().ok().map(ToString::to_string),
        built_with: built_with(info),
        functions: info.extension_functions().map(|export| export.name.clone()).collect(),
        typed_functions: info
            .typed_functions()
            .filter_map(|export| {
                let named = |prefix| export.name.strip_prefix(prefix);
                named(EXPORT_ROW).or_else(|| named(EXPORT_AGGREGATE)).or_else(|| named(EXPORT_TABLE))
            })
            .map(str::to_owned)
            .collect(),
        stages: info.stages().map(|(name, _)| name.to_owned()).collect(),
        not_callable: not_callable(info),
        exports: info
            .exports
            .iter()
            .map(|export| Item { name: export.name.clone(), ty: export.ty.to_string() })
            .collect(),
        imports: imports(info),
        sizes: ModuleSizes {
            file: info.sizes.total,
            stripped: info.sizes.stripped,
            code: info.sizes.code,
            data: info.sizes.data,
            prepared: None,
        },
        memories: info.memories.iter().map(|memory| memory.ty.to_string()).collect(),
        layout: admission.layout.as_ref().map(layout),
        layout_unknown: info.layout().err().map(|reason| reason.to_string()),
        hidden_globals: hidden.count() as u64,
        instructions: Tracked::ALL
            .into_iter()
            .map(|kind| InstructionCount {
                instruction: kind.mnemonic().to_owned(),
                count: info.instructions.count(kind),
            })
            .filter(|instruction| instruction.count > 0)
            .collect(),
        allocator: (admission.control_block.is_none() && !is_bare).then(|| SYSTEM_ALLOCATOR.to_owned()),
        control_block: None,
        allocations_from: None,
        allocator_functions: Vec::new(),
        instance_error: None,
        strategies: Vec::new(),
        advice: advice(info),
        budget: None,
    }
}

/// The exported functions of a bare module that cannot be called, and why.
fn not_callable(info: &ModuleInfo) -> Vec<NotCallable> {
    if info.contract() != ContractKind::Bare {
        return Vec::new();
    }
    let others = info.other_functions();
    others
        .map(|(export, signature)| NotCallable {
            function: export.name.clone(),
            reason: why_not(&export.name, signature),
        })
        .collect()
}

/// The compilers and tools that a module names, such as `rustc 1.96.0`.
#[must_use]
pub fn built_with(info: &ModuleInfo) -> Vec<String> {
    let producers = info.producers.processed_by.iter();
    producers.map(|producer| format!("{} {}", producer.name, producer.version).trim_end().to_owned()).collect()
}

fn add_instance(found: &mut Inspection, guest: &Guest, config: &InstanceConfig) {
    found.sizes.prepared = Some(guest.prepared().wasm.len() as u64);
    let counted = &guest.prepared().counted;
    found.allocator_functions = counted.iter().map(AllocatorFunction::of).collect();
    found.allocations_from = if tells_allocations(guest.info()) {
        Some(AllocationSource::GuestFunctions)
    } else {
        (!counted.is_empty()).then_some(AllocationSource::CountedCalls)
    }
    .map(|source| source.name().to_owned());
    match strategies(guest, config, &MemoryState::new()) {
        Ok(judged) => found.strategies = judged.iter().map(verdict).collect(),
        Err(error) => {
            found.instance_error = Some(error.to_string());
            found.strategies = verdicts_by_module(guest.admission());
            return;
        }
    }
    let config = config.clone().with_strategy(RestoreStrategy::Reinstantiate);
    let block = guest.instantiate(&config, MemoryState::new()).map(|instance| {
        let memory = instance.memory();
        memory.and_then(|(_, snapshot)| snapshot.control_block())
    });
    match block {
        Ok(Some(block)) => {
            let name = block.image.allocator().map_or(SYSTEM_ALLOCATOR, guest_abi::AllocatorKind::name);
            found.allocator = Some(name.to_owned());
            found.control_block = Some(control_block(&block));
            if block.image.counts() {
                found.allocations_from = Some(AllocationSource::ControlBlock.name().to_owned());
            }
        }
        Ok(None) => {}
        Err(error) => found.instance_error = Some(error.to_string()),
    }
}

fn control_block(block: &ControlBlockAt) -> ControlBlock {
    let image = &block.image;
    ControlBlock {
        address: block.address as u64,
        kind: image.kind,
        counters: image.counts(),
        heap_base: image.heap_base,
        top: image.top,
        high_water: image.effective_high_water(),
        limit: image.limit,
        mark: image.mark,
        live_bytes: image.live_bytes(),
    }
}
