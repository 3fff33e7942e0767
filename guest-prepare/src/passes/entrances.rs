//! Entrances that put the guest's globals back when the function returns.
//!
//! A restore must put back every mutable global, the shadow-stack pointer above all. Through an engine's interface each
//! global costs more than half of an empty call. So every extension function gets a second entrance: an added function
//! that calls it and, once it has returned, copies *saved* values over the globals. The host writes the saved values once,
//! when it takes the snapshot, into the exports in [`Prepared::saved_exports`](crate::Prepared::saved_exports). After a
//! trap the second half of the entrance has not run, so the host puts the globals back itself.
//!
//! The logical memory size is not among these globals, because some strategies look at how far a call grew memory.
//!
//! Before:
//!
//! ```wat
#![doc = include_str!("samples/entrances.before.wat")]
//! ```
//!
//! After:
//!
//! ```wat
#![doc = include_str!("samples/entrances.after.wat")]
//! ```

use wasm_encoder::{ConstExpr, ExportKind, Function, InstructionSink, ValType};

use super::globals::ExportedGlobal;
use super::{Context, Pass};
use crate::changes::Changes;
use crate::error::PrepareError;
use crate::module_info::{ExternType, ValueType};
use crate::names::{CALL_EXPORT_PREFIX, SAVED_EXPORT_PREFIX};

/// A second entrance to an extension function, which leaves the globals as the snapshot has them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Entrance {
    /// The function's own export.
    pub function: String,
    /// Export of the entrance.
    pub export_name: String,
}

/// Up to this many globals each entrance copies by itself. More globals are copied by one function that all entrances
/// call. So the added code grows with the number of functions plus the number of globals, and not with their product.
const MOST_COPIED: usize = 16;

/// Adds the entrances to functions that use these globals.
///
/// Does nothing if there is no extension function, or if a global's type has no value that a host could save.
pub(crate) struct SecondEntrances<'a> {
    /// The mutable globals with their exports.
    pub(crate) globals: &'a [ExportedGlobal],
}

/// The added entrances, and the exports of the saved values by global.
#[derive(Debug, Default)]
pub(crate) struct Entrances {
    pub(crate) entrances: Vec<Entrance>,
    pub(crate) saved_exports: Vec<String>,
}

impl Pass for SecondEntrances<'_> {
    type Report = Entrances;

    fn plan(self, module: &Context<'_>, changes: &mut Changes) -> Result<Self::Report, PrepareError> {
        if module.info.callable_functions().next().is_none() {
            return Ok(Entrances::default());
        }
        let types = self.globals.iter().map(|global| number(&global.ty.value)).collect::<Option<Vec<_>>>();
        let Some(types) = types else {
            return Ok(Entrances::default());
        };
        let (mut copies, mut saved_exports) = (Vec::new(), Vec::new());
        for (global, (ty, zero)) in self.globals.iter().zip(types) {
            let saved = changes.global(ty, &zero);
            let name = format!("{SAVED_EXPORT_PREFIX}{}", global.index);
            changes.export(&name, ExportKind::Global, saved);
            saved_exports.push(name);
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
            changes.function(&[], &[], &function)
        });
        let functions = module.info.callable_functions().filter_map(|export| match &export.ty {
            ExternType::Function(signature) => Some((export, signature)),
            _ => None,
        });
        let entrances = functions
            .map(|(export, signature)| {
                let (params, results) = (numbers(&signature.params), numbers(&signature.results));
                let mut function = Function::new([]);
                let mut code = function.instructions();
                for param in (0_u32..).take(params.len()) {
                    code.local_get(param);
                }
                code.call(export.index);
                match copying {
                    Some(copying) => drop(code.call(copying)),
                    None => copy_all(&mut code),
                }
                code.end();
                let index = changes.function(&params, &results, &function);
                let export_name = format!("{CALL_EXPORT_PREFIX}{}", export.name);
                changes.export(&export_name, ExportKind::Func, index);
                Entrance { function: export.name.clone(), export_name }
            })
            .collect();
        Ok(Entrances { entrances, saved_exports })
    }
}

/// The encoder's types of parameters or results, which are numbers.
fn numbers(types: &[ValueType]) -> Vec<ValType> {
    types.iter().filter_map(number).map(|(ty, _)| ty).collect()
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
