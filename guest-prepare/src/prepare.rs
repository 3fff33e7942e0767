//! The pipeline: every pass records its changes, and one splice makes them all.

use crate::changes::Changes;
use crate::error::PrepareError;
use crate::module_info::ModuleInfo;
use crate::names::RESERVED_PREFIX;
use crate::options::PrepareOptions;
use crate::passes::allocations::CountedCalls;
use crate::passes::barrier::WriteBarrier;
use crate::passes::entrances::{Entrances, SecondEntrances};
use crate::passes::globals::GlobalExports;
use crate::passes::growth::VirtualGrowth;
use crate::passes::memory::MemoryExport;
use crate::passes::stack::LowestStack;
use crate::passes::{Context, Pass};
use crate::prepared::Prepared;
use crate::splice::splice;

/// Prepares a module. `info` is the analysis of the same bytes.
///
/// ```
/// use guest_prepare::{ModuleInfo, PrepareOptions, prepare};
///
/// let wasm = wat::parse_str("(module (memory 1) (func (drop (memory.grow (i32.const 1)))))")?;
/// let prepared = prepare(&wasm, &ModuleInfo::analyse(&wasm)?, PrepareOptions::default())?;
/// assert!(prepared.logical_pages_export.is_some());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`PrepareError`] if the module exports a reserved name or would become too large, if it cannot have the write barrier
/// that the options ask for, or if `info` is the analysis of other bytes.
pub fn prepare(wasm: &[u8], info: &ModuleInfo, options: PrepareOptions) -> Result<Prepared, PrepareError> {
    if let Some(export) = info.exports.iter().find(|export| export.name.starts_with(RESERVED_PREFIX)) {
        return Err(PrepareError::ReservedName { name: export.name.clone() });
    }
    let mut plan = Plan { module: Context { wasm, info }, changes: Changes::new(info) };
    let memory_export = plan.run(MemoryExport)?;
    let globals = plan.run(GlobalExports)?;
    let logical_pages_export = plan.run(options.virtual_growth.then_some(VirtualGrowth))?;
    let barrier = plan.run(options.barrier.map(WriteBarrier))?;
    let lowest_stack = plan.run((options.lowest_stack && barrier.is_none()).then_some(LowestStack))?;
    let Entrances { entrances, saved_exports } = plan.run(SecondEntrances { globals: &globals })?;
    let (counted, counters) = plan.run(options.count_allocations.then_some(CountedCalls))?;

    let module = wasm.len() as u64;
    let (wasm, offsets) = splice(wasm, plan.changes)?;
    let (prepared, limit) = (wasm.len() as u64, options.size_limit);
    if prepared > limit {
        return Err(PrepareError::TooLarge { module, prepared, limit });
    }
    Ok(Prepared {
        wasm,
        memory_export,
        globals,
        entrances,
        saved_exports,
        logical_pages_export,
        barrier,
        lowest_stack,
        counted,
        counters,
        offsets,
    })
}

/// A module, and the changes to it so far.
struct Plan<'a> {
    module: Context<'a>,
    changes: Changes,
}

impl Plan<'_> {
    fn run<P: Pass>(&mut self, pass: P) -> Result<P::Report, PrepareError> {
        pass.plan(&self.module, &mut self.changes)
    }
}
