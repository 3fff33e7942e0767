//! Step 1: exports for mutable globals, so that a restore reaches all of them.

use wasm_encoder::ExportKind;

use super::splice::Additions;
use super::{ExportedGlobal, GLOBAL_EXPORT_PREFIX};
use crate::module_info::ModuleInfo;

/// Lists the mutable globals and adds an export for each that has none.
pub(super) fn plan(info: &ModuleInfo, additions: &mut Additions) -> Vec<ExportedGlobal> {
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
