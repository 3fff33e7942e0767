//! The pipeline: every pass plans, and one splice carries all plans out.

use crate::error::PrepareError;
use crate::module_info::ModuleInfo;
use crate::names::{LOGICAL_PAGES_EXPORT, RESERVED_PREFIX};
use crate::options::PrepareOptions;
use crate::passes;
use crate::prepared::Prepared;
use crate::splice::{Additions, Edit, splice};

/// Prepares a module. `info` is the analysis of the same bytes.
///
/// # Errors
/// [`PrepareError`] when the module exports a reserved name or would become too large, when it cannot be given the write
/// barrier that is asked for, or when `info` is of other bytes.
pub fn prepare(wasm: &[u8], info: &ModuleInfo, options: PrepareOptions) -> Result<Prepared, PrepareError> {
    if let Some(export) = info.exports.iter().find(|export| export.name.starts_with(RESERVED_PREFIX)) {
        return Err(PrepareError::ReservedName { name: export.name.clone() });
    }
    let mut additions = Additions::default();
    let globals = passes::globals::plan(info, &mut additions);
    let growth = options.virtual_growth.then(|| passes::growth::VirtualGrowth::plan(info, &mut additions)).flatten();
    let barrier = match options.barrier {
        Some(options) => passes::barrier::plan(wasm, info, options, &mut additions)?,
        None => None,
    };
    let (barrier, mut insertions) = barrier.map_or_else(Default::default, |(barrier, code)| (Some(barrier), code));
    let stack = if options.lowest_stack && barrier.is_none() { passes::stack::plan(wasm, info)? } else { None };
    let lowest_stack = stack.is_some();
    insertions.extend(stack.into_iter().flatten());
    let entrances = passes::entrances::plan(info, &globals, &mut additions);
    let counted = if options.count_allocations { passes::allocations::plan(info, &mut additions) } else { Vec::new() };
    let edits: Vec<&dyn Edit> = growth.iter().map(|growth| growth as &dyn Edit).collect();
    let module = wasm.len() as u64;
    let (wasm, offsets) = splice(wasm, &additions, &edits, &insertions)?;
    let (prepared, limit) = (wasm.len() as u64, options.size_limit);
    if prepared > limit {
        return Err(PrepareError::TooLarge { module, prepared, limit });
    }
    let logical_pages_export = growth.map(|_| LOGICAL_PAGES_EXPORT);
    Ok(Prepared { wasm, globals, entrances, logical_pages_export, barrier, lowest_stack, counted, offsets })
}
