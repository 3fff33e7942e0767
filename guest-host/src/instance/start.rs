//! From a compiled guest to an instance with its snapshot: instantiation, the initialisation that the contract wants, and
//! what a restore will put back.

use std::ops::Range;

use wasmtime::{Global, Store, Val, WasmBacktrace};

use super::InstanceConfig;
use super::counting::{CountedCalls, Counting};
use super::diagnose::{Diagnosis, backtrace};
use crate::contract::blocks::Blocks;
use crate::contract::{self, Begin, BeginError, Data};
use crate::engine::InstanceAllocation;
use crate::failure::{Cause, Failure};
use crate::guest::admission::{Contract, check_bump_reset, check_control_block};
use crate::guest::error::{AdmissionError, ConfigError, LoadError, StartError};
use crate::guest::{Compiled, Guest};
use crate::host::control_block::ControlBlockAt;
use crate::host::data::LogicalSize;
use crate::host::dirty_ranges::DirtyRanges;
use crate::host::memory_location::{self, CardMemory, memory_and_data};
use crate::host::mode::Mode;
use crate::restore::RestoreError;
use crate::restore::aligned::AlignedBytes;
use crate::restore::policy::RestoreStrategy;
use crate::restore::snapshot::{Handles, RegionPlan, Regions, Snapshot, reset_ranges, zeros_from};
use guest_prepare::module_info::ContractKind;
use guest_prepare::{Prepared, tells_allocations};

/// An instance that was started, without its store.
pub(super) struct Started {
    pub(super) instance: wasmtime::Instance,
    pub(super) handles: Handles,
    pub(super) counting: Counting,
    pub(super) snapshot: Snapshot,
}

/// Instantiates, initialises and takes the snapshot.
pub(super) async fn start<M: Mode>(
    guest: &Guest,
    compiled: &Compiled,
    config: &InstanceConfig,
    in_place: bool,
    store: &mut Store<Data>,
) -> Result<Started, LoadError> {
    store.data_mut().logical = None;
    store.data_mut().is_starting = true;
    store.data_mut().call.begin();
    let blocks = guest.info().imports_blocks().then(|| {
        let mut limits = guest_blocks::Limits::default();
        (limits.blocks, limits.bytes) = (config.limits.blocks, config.limits.block_bytes);
        // Files are made for guests into which they can be mapped.
        let is_on_demand = guest.engine().config().allocation == InstanceAllocation::OnDemand;
        let is_mappable = is_on_demand && compiled.prepared.barrier.is_some();
        limits.mapped_from = if is_mappable { config.limits.blocks_mapped_from } else { u32::MAX };
        Blocks::new(limits, guest.admission().layout.as_ref(), is_mappable)
    });
    store.data_mut().contract.start(blocks);
    store.data_mut().limiter.begin_call();
    store.limiter(|data| &mut data.limiter);
    M::prepare(store);
    M::arm(store, guest.deadline(Some(config.init_deadline)));
    if guest.engine().config().fuel {
        store.set_fuel(u64::MAX).map_err(LoadError::engine)?;
    }
    let barrier = compiled.prepared.barrier.as_ref();
    store.data_mut().limiter.grant_card_table(barrier.map(|barrier| barrier.cards.table_size()));
    let pre = compiled.pre::<M>(guest.info())?;
    let instantiated = M::instantiate(pre, store).await;
    store.data_mut().limiter.grant_card_table(None);
    let instance = instantiated.map_err(|error| match guest.info().start {
        Some(index) if ran(&error, store) => {
            let function = guest.info().function_name(index);
            Starting { guest, compiled, config, instance: None, store }.failure(&function, &error)
        }
        _ => LoadError::instantiate(&error),
    })?;
    let handles = handles(guest, &compiled.prepared, &instance, store)?;
    memory_location::open(store, handles.memory, handles.cards);
    let logical_pages = handles.logical_pages.map(|index| handles.globals[index].1);
    store.data_mut().logical = logical_pages.map(|pages| LogicalSize { pages, certain: 0 });
    let exchange = initialise::<M>(guest, compiled, config, &instance, &handles, store).await?;
    let ask = config.count && tells_allocations(guest.info());
    if ask && let Some(deadline) = config.deadline {
        // As after calls: who is replaced after each of them must not wait as long as for what initialises.
        M::arm(store, guest.deadline(Some(deadline.min(config.init_deadline))));
    }
    let counting = Counting::of::<M>(&compiled.prepared, &instance, &handles, ask, store).await;
    let snapshot = take_snapshot(guest, compiled, config, in_place, &handles, exchange, store)?;
    let exchange = snapshot.regions.exchange();
    let begun = match memory_and_data(store) {
        Some((memory, data)) => data.contract.snapshot(memory.into_parts().0, exchange.clone()),
        None => store.data_mut().contract.snapshot(&mut [], exchange.clone()),
    };
    begun.map_err(|violation| {
        initialise_error(guest_abi::names::EXPORT_EXCHANGE, Cause::Block(violation), Vec::new())
    })?;
    store.data_mut().is_starting = false;
    store.data_mut().dirty_ranges = DirtyRanges::of(exchange);
    if let Some((memory, _)) = memory_and_data(store)
        && let (memory, Some(mut cards)) = memory.into_parts()
    {
        cards.clear(memory.len());
    }
    Ok(Started { instance, handles, counting, snapshot })
}

/// Finds the parts of an instance that a restore reaches.
fn handles(
    guest: &Guest,
    prepared: &Prepared,
    instance: &wasmtime::Instance,
    store: &mut Store<Data>,
) -> Result<Handles, LoadError> {
    let missing = |what: &str| LoadError::Start(StartError::Instantiate(format!("the instance has no {what}")));
    let memory = instance.get_memory(&mut *store, &prepared.memory_export).ok_or_else(|| missing("memory"))?;
    let mut globals: Vec<(String, Global)> = Vec::new();
    let stack_pointer_global =
        guest.admission().layout.as_ref().and_then(|layout| layout.stack_pointer.as_ref()).map(|found| found.global);
    let mut stack_pointer = None;
    let mut saved = Vec::new();
    for exported in &prepared.globals {
        let name = &exported.export_name;
        let global = instance.get_global(&mut *store, name).ok_or_else(|| missing(name))?;
        if stack_pointer_global == Some(exported.index) {
            stack_pointer = Some(globals.len());
        }
        let named = guest.info().globals.get(exported.index as usize).and_then(|global| global.name.clone());
        globals.push((named.unwrap_or_else(|| name.clone()), global));
    }
    for name in &prepared.saved_exports {
        saved.push(instance.get_global(&mut *store, name).ok_or_else(|| missing(name))?);
    }
    let mut logical_pages = None;
    if let Some(name) = prepared.logical_pages_export {
        let global = instance.get_global(&mut *store, name).ok_or_else(|| missing(name))?;
        logical_pages = Some(globals.len());
        globals.push((name.to_owned(), global));
    }
    let exports: Vec<String> = guest.info().exports.iter().map(|export| export.name.clone()).collect();
    let tables = exports
        .into_iter()
        .filter_map(|name| instance.get_table(&mut *store, &name).map(|table| (name, table)))
        .collect();
    let mut cards = None;
    if let Some(barrier) = &prepared.barrier {
        let name = barrier.export_name;
        let memory = instance.get_memory(&mut *store, name).ok_or_else(|| missing(name))?;
        cards = Some(CardMemory { memory, geometry: barrier.cards });
    }
    Ok(Handles { memory, cards, globals, saved, stack_pointer, logical_pages, tables })
}

/// Runs what the contract wants run before the snapshot and returns the exchange region.
async fn initialise<M: Mode>(
    guest: &Guest,
    compiled: &Compiled,
    config: &InstanceConfig,
    instance: &wasmtime::Instance,
    handles: &Handles,
    store: &mut Store<Data>,
) -> Result<Range<usize>, LoadError> {
    let (kind, start) = match &guest.admission().contract {
        Ok(Contract::Native(_)) => (ContractKind::Native, None),
        Ok(Contract::ExtTinyGo(contract)) => (ContractKind::ExtTinyGo, contract.start),
        Ok(Contract::Bare(_)) => (ContractKind::Bare, None),
        Err(errors) => return Err(AdmissionError::Contract(errors.clone()).into()),
    };
    let mut begin = Begin {
        instance,
        memory: handles.memory,
        store,
        limits: config.limits,
        memory_limit: config.memory_limit,
        exchange_size: config.exchange_size(kind),
        may_shrink_exchange: config.exchange_size.is_none(),
    };
    contract::begin::<M>(kind, start, &mut begin).await.map_err(|error| match error {
        BeginError::Missing(name) => StartError::Instantiate(format!("the instance has no `{name}`")).into(),
        BeginError::Trapped { function, error } => {
            Starting { guest, compiled, config, instance: Some((instance, handles)), store }.failure(&function, &error)
        }
        BeginError::Failed { function, fault } => {
            let in_use = handles.memory.data_size(&*store) as u64;
            initialise_error(&function, fault.into_cause(in_use, config.memory_limit), Vec::new())
        }
        BeginError::NoExchange { size } => StartError::NoExchange { size }.into(),
        BeginError::ExchangeOutOfBounds { size, address } => StartError::ExchangeOutOfBounds { size, address }.into(),
        BeginError::ExchangeAboveLimit { size, limit } => ConfigError::BufferAboveLimit { size, limit }.into(),
    })
}

fn initialise_error(function: &str, cause: Cause, backtrace: Vec<String>) -> LoadError {
    StartError::Initialise(Box::new(Failure { function: function.to_owned(), cause, backtrace, retried: false })).into()
}

/// Whether an instantiation failed in the guest's own code: in its start function, or in what that called.
fn ran(error: &wasmtime::Error, store: &Store<Data>) -> bool {
    let frames = error.downcast_ref::<WasmBacktrace>().is_some_and(|backtrace| !backtrace.frames().is_empty());
    frames || store.data().call.fault.is_some()
}

/// An instance whose code did not return before its snapshot was taken.
struct Starting<'a> {
    guest: &'a Guest,
    compiled: &'a Compiled,
    config: &'a InstanceConfig,
    /// `None` where it failed while it was being instantiated.
    instance: Option<(&'a wasmtime::Instance, &'a Handles)>,
    store: &'a mut Store<Data>,
}

impl Starting<'_> {
    /// Why a function did not return.
    #[cold]
    fn failure(self, function: &str, error: &wasmtime::Error) -> LoadError {
        let Self { guest, compiled, config, instance, store } = self;
        let calls = instance.and_then(|(instance, _)| CountedCalls::of(&compiled.prepared, instance, store));
        let admission = guest.admission();
        let control_block = admission.control_block.map(|address| address as usize);
        let control_block = control_block.filter(|address| ControlBlockAt::of(store, *address).is_some());
        let stack_pointer = admission.layout.as_ref().and_then(|layout| layout.stack_pointer.as_ref());
        let mut diagnosis = Diagnosis {
            store,
            handles: instance.map(|(_, handles)| handles),
            calls: calls.as_ref(),
            control_block,
            stack_top: stack_pointer.map(|found| found.initial),
            memory_limit: config.memory_limit,
            deadline: config.init_deadline,
            max_instructions: u64::MAX,
        };
        let cause = diagnosis.cause(error);
        initialise_error(function, cause, backtrace(error, guest.info()))
    }
}

/// Sets the reset mark and saves everything that a restore puts back.
fn take_snapshot(
    guest: &Guest,
    compiled: &Compiled,
    config: &InstanceConfig,
    in_place: bool,
    handles: &Handles,
    exchange: Range<usize>,
    store: &mut Store<Data>,
) -> Result<Snapshot, LoadError> {
    let admission = guest.admission();
    let memory = handles.memory.data_mut(&mut *store);
    let keeps_lowest_stack = compiled.prepared.lowest_stack;
    let control_block =
        admission.control_block.and_then(|address| ControlBlockAt::begin(memory, address as usize, keeps_lowest_stack));
    if matches!(config.strategy, RestoreStrategy::Watermark | RestoreStrategy::BumpReset) {
        check_allocator(guest, config.strategy, memory)?;
    }
    let size = memory.len();
    // An instance that is replaced needs no copy of its memory, and making one would cost more than the rest.
    let memory = AlignedBytes::copy_of(if in_place { memory } else { &[] });
    let (shadow_stack, statics) = match &admission.layout {
        Some(layout) => {
            let range = |range: &Range<u32>| range.start as usize..range.end as usize;
            (layout.stack.as_ref().map_or(0..0, range), range(&layout.statics))
        }
        None => (0..0, 0..size),
    };
    let heap_end = control_block.map_or(statics.end, |block| block.image.effective_high_water() as usize);
    let plan = RegionPlan {
        snapshot_heap: statics.end..heap_end.max(statics.end),
        shadow_stack,
        statics,
        control_block: control_block.map(|block| block.address),
        exchange,
        memory: size,
    };
    if let Some(logical) = &mut store.data_mut().logical {
        // Only a restore puts the logical size below the physical one, and never below that of the snapshot.
        logical.certain = size;
    }
    let globals: Vec<Val> = handles.globals.iter().map(|(_, global)| global.get(&mut *store)).collect();
    for (saved, value) in handles.saved.iter().zip(&globals) {
        saved.set(&mut *store, *value).map_err(LoadError::engine)?;
    }
    let regions = Regions::new(plan);
    let mark = control_block.map_or(0, |block| block.image.top as usize).min(size);
    let stack_pointer = match handles.stack_pointer.map(|index| globals[index]) {
        Some(Val::I32(pointer)) => pointer.cast_unsigned() as usize,
        _ => 0,
    };
    Ok(Snapshot {
        reset: reset_ranges(&regions, mark),
        in_use: reset_ranges(&regions, heap_end.min(size)),
        stack_pointer,
        regions,
        globals,
        tables: if in_place { handles.table_images(&mut *store) } else { Vec::new() },
        zeros_from: zeros_from(&memory),
        memory,
        control_block,
    })
}

/// Whether the allocator that was found supports the strategy.
fn check_allocator(guest: &Guest, strategy: RestoreStrategy, memory: &[u8]) -> Result<(), LoadError> {
    let refuse =
        |reason| LoadError::Admission(AdmissionError::Strategy { strategy: strategy.name(), reasons: vec![reason] });
    let (Some(layout), Some(address)) = (&guest.admission().layout, guest.admission().control_block) else {
        return Ok(());
    };
    let bytes = memory.get(address as usize..).unwrap_or_default();
    let image = guest_abi::ControlBlockImage::parse(bytes);
    let size = memory.len() as u64;
    match strategy {
        RestoreStrategy::BumpReset => check_bump_reset(image, layout, size).map_err(refuse),
        _ => check_control_block(image, layout, size).map(drop).map_err(refuse),
    }
}

impl From<RestoreError> for LoadError {
    fn from(error: RestoreError) -> Self {
        Self::Start(StartError::Instantiate(error.to_string()))
    }
}
