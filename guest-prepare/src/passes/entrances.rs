//! Step 5: entrances that leave the guest's globals as the snapshot has them.
//!
//! A restore must put back every mutable global, the shadow-stack pointer above all. Through the engine's interface
//! each costs more than half an empty call. So every extension function gets a second entrance, an added function
//! that calls it and, when it has returned, copies *saved* values over the globals. The host writes the saved values
//! once, when it takes the snapshot. Only after a trap, when the entrance's second half did not run, does the host put
//! the globals back itself.
//!
//! The logical memory size is not among them: how far a call grew memory is what some strategies go by.

use wasm_encoder::{ConstExpr, ExportKind, Function, InstructionSink, ValType};

use super::globals::ExportedGlobal;
use crate::module_info::{ExternType, ModuleInfo, ValueType};
use crate::names::{CALL_EXPORT_PREFIX, SAVED_EXPORT_PREFIX};
use crate::splice::Additions;

/// A second entrance to an extension function: one that leaves the globals as the snapshot has them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Entrance {
    /// The function's own export.
    pub function: String,
    /// Export of the entrance.
    pub export_name: String,
}

/// Globals up to which each entrance copies them itself. More are copied by one function that all entrances call, so that
/// what is added grows with the number of functions and that of globals, and not with their product.
const MOST_COPIED: usize = 16;

/// Plans the entrances. None where a global's type has no value that the host could save.
pub(crate) fn plan(info: &ModuleInfo, globals: &[ExportedGlobal], additions: &mut Additions) -> Vec<Entrance> {
    if info.extension_functions().next().is_none() {
        return Vec::new();
    }
    let Some(types) = globals.iter().map(|global| number(&global.ty.value)).collect::<Option<Vec<_>>>() else {
        return Vec::new();
    };
    let mut copies = Vec::new();
    for (global, (ty, zero)) in globals.iter().zip(types) {
        let saved = additions.global(info, ty, true, &zero);
        additions.export(&format!("{SAVED_EXPORT_PREFIX}{}", global.index), ExportKind::Global, saved);
        copies.push((saved, global.index));
    }
    let copy_all = |code: &mut InstructionSink<'_>| {
        for (saved, global) in &copies {
            code.global_get(*saved).global_set(*global);
        }
    };
    let copying = (copies.len() > MOST_COPIED).then(|| {
        let mut function = Function::new([]);
        let mut code = function.instructions();
        copy_all(&mut code);
        code.end();
        additions.function(info, &[], &[], &function)
    });
    let functions = info.extension_functions().filter_map(|export| match &export.ty {
        ExternType::Function(signature) => Some((export, signature)),
        _ => None,
    });
    functions
        .map(|(export, signature)| {
            let mut function = Function::new([]);
            let mut code = function.instructions();
            code.call(export.index);
            match copying {
                Some(copying) => drop(code.call(copying)),
                None => copy_all(&mut code),
            }
            code.end();
            let result: &[_] = if signature.results.is_empty() { &[] } else { &[ValType::I64] };
            let index = additions.function(info, &[], result, &function);
            let export_name = format!("{CALL_EXPORT_PREFIX}{}", export.name);
            additions.export(&export_name, ExportKind::Func, index);
            Entrance { function: export.name.clone(), export_name }
        })
        .collect()
}

/// The encoder's type for a number and its zero.
fn number(ty: &ValueType) -> Option<(ValType, ConstExpr)> {
    Some(match ty {
        ValueType::I32 => (ValType::I32, ConstExpr::i32_const(0)),
        ValueType::I64 => (ValType::I64, ConstExpr::i64_const(0)),
        ValueType::F32 => (ValType::F32, ConstExpr::f32_const(0.0.into())),
        ValueType::F64 => (ValType::F64, ConstExpr::f64_const(0.0.into())),
        ValueType::V128 => (ValType::V128, ConstExpr::v128_const(0)),
        _ => return None,
    })
}
