//! Step 1: exports for mutable globals, so that a restore reaches all of them.

use wasm_encoder::ExportKind;

use crate::module_info::{GlobalType, ModuleInfo};
use crate::names::GLOBAL_EXPORT_PREFIX;
use crate::splice::Additions;

/// A mutable global and the export through which the host reaches it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ExportedGlobal {
    /// Its index.
    pub index: u32,
    /// Its type.
    pub ty: GlobalType,
    /// Name of its export: the module's own (the first, if there are several), or one under
    /// [`GLOBAL_EXPORT_PREFIX`].
    pub export_name: String,
}

/// Lists the mutable globals and adds an export for each that has none.
pub(crate) fn plan(info: &ModuleInfo, additions: &mut Additions) -> Vec<ExportedGlobal> {
    let own = info.globals.iter().filter(|global| global.ty.mutable && !global.imported);
    own.map(|global| {
        let export_name = global.exports.first().cloned().unwrap_or_else(|| {
            let name = format!("{GLOBAL_EXPORT_PREFIX}{}", global.index);
            additions.export(&name, ExportKind::Global, global.index);
            name
        });
        ExportedGlobal { index: global.index, ty: global.ty.clone(), export_name }
    })
    .collect()
}
