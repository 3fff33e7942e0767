//! Exports for mutable globals, so that a host reaches all of them when it restores.
//!
//! The shadow-stack pointer is such a global: LLVM does not export it, and after a trap it stays as low as it was.
//! [`Prepared::globals`](crate::Prepared::globals) lists all mutable globals with their exports.
//!
//! Before:
//!
//! ```wat
#![doc = include_str!("samples/globals.before.wat")]
//! ```
//!
//! After:
//!
//! ```wat
#![doc = include_str!("samples/globals.after.wat")]
//! ```

use wasm_encoder::ExportKind;

use super::{Context, Pass};
use crate::changes::Changes;
use crate::error::PrepareError;
use crate::module_info::GlobalType;
use crate::names::GLOBAL_EXPORT_PREFIX;

/// A mutable global and the export through which the host reaches it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ExportedGlobal {
    /// Its index.
    pub index: u32,
    /// Its type.
    pub ty: GlobalType,
    /// Name of its export: the module's own (the first, if there are several), or else one that the preparation adds.
    pub export_name: String,
}

/// Lists the module's own mutable globals and exports those that have no export.
pub(crate) struct GlobalExports;

impl Pass for GlobalExports {
    type Report = Vec<ExportedGlobal>;

    fn plan(self, module: &Context<'_>, changes: &mut Changes) -> Result<Self::Report, PrepareError> {
        let own = module.info.globals.iter().filter(|global| global.ty.mutable && !global.imported);
        let exported = own.map(|global| {
            let export_name = global.exports.first().cloned().unwrap_or_else(|| {
                let name = format!("{GLOBAL_EXPORT_PREFIX}{}", global.index);
                changes.export(&name, ExportKind::Global, global.index);
                name
            });
            ExportedGlobal { index: global.index, ty: global.ty.clone(), export_name }
        });
        Ok(exported.collect())
    }
}
