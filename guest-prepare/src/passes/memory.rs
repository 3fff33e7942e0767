//! An export of the memory, so that a host reaches it.
//!
//! A module that does not export its memory gets an export. A module that has no memory gets one without pages: it is then
//! restored as every other.
//!
//! Before:
//!
//! ```wat
#![doc = include_str!("samples/memory.before.wat")]
//! ```
//!
//! After:
//!
//! ```wat
#![doc = include_str!("samples/memory.after.wat")]
//! ```

use wasm_encoder::ExportKind;

use super::{Context, Pass};
use crate::changes::Changes;
use crate::error::PrepareError;
use crate::names::MEMORY_EXPORT;

/// Exports the memory under a name of the preparation's own, unless the module exports it itself, and reports the name of
/// the export.
pub(crate) struct MemoryExport;

impl Pass for MemoryExport {
    type Report = String;

    fn plan(self, module: &Context<'_>, changes: &mut Changes) -> Result<Self::Report, PrepareError> {
        if let Some(own) = module.info.memory_export() {
            return Ok(own.to_owned());
        }
        let memory = if module.info.memories.is_empty() { changes.memory(0) } else { 0 };
        changes.export(MEMORY_EXPORT, ExportKind::Memory, memory);
        Ok(MEMORY_EXPORT.to_owned())
    }
}
