//! Virtual growth: `memory.size` and `memory.grow` work on a logical size, which a restore can put back.
//!
//! An engine cannot make a memory smaller. If a restore left the larger memory to the guest, an allocator whose state was
//! restored would grow it again, and memory would grow from restore to restore. So `memory.size` becomes a read of an
//! added global, and `memory.grow` a call of an added function. That function uses the pages that exist already, and
//! asks the engine only for the missing ones. A host that restores writes the old logical size into the global
//! ([`Prepared::logical_pages_export`](crate::Prepared::logical_pages_export)), and fills the pages above it with zeros.
//!
//! Until the first restore both sizes are equal, so the guest sees exactly what it would see without this pass.
//!
//! Before:
//!
//! ```wat
#![doc = include_str!("samples/growth.before.wat")]
//! ```
//!
//! After:
//!
//! ```wat
#![doc = include_str!("samples/growth.after.wat")]
//! ```

use wasm_encoder::{BlockType, ConstExpr, ExportKind, Function, InstructionSink, ValType};
use wasmparser::Operator;

use super::{Context, Pass};
use crate::changes::Changes;
use crate::error::PrepareError;
use crate::module_info::{ModuleInfo, Tracked};
use crate::names::LOGICAL_PAGES_EXPORT;

/// Pages of 64 KiB that a 32-bit memory can have.
const MOST_PAGES: u64 = 65_536;

/// Lets growth work on a logical size. Reports the export of the global that holds this size.
///
/// Does nothing if the module never grows its memory, or if its memory is not one 32-bit memory of its own.
pub(crate) struct VirtualGrowth;

impl Pass for VirtualGrowth {
    type Report = Option<&'static str>;

    fn plan(self, module: &Context<'_>, changes: &mut Changes) -> Result<Self::Report, PrepareError> {
        let Some((minimum, limit)) = growing(module.info) else {
            return Ok(None);
        };
        let logical_pages = changes.global(ValType::I32, &ConstExpr::i32_const(minimum.cast_signed()));
        changes.export(LOGICAL_PAGES_EXPORT, ExportKind::Global, logical_pages);
        let grow = changes.function(&[ValType::I32], &[ValType::I32], &grow_body(logical_pages, limit));
        for body in module.bodies() {
            let mut operators = body?.get_operators_reader()?;
            while !operators.eof() {
                let (operator, at) = operators.read_with_offset()?;
                let mut bytes = Vec::new();
                let mut code = InstructionSink::new(&mut bytes);
                match operator {
                    Operator::MemorySize { .. } => code.global_get(logical_pages),
                    Operator::MemoryGrow { .. } => code.call(grow),
                    _ => continue,
                };
                changes.replace(at..operators.original_position(), bytes);
            }
        }
        Ok(Some(LOGICAL_PAGES_EXPORT))
    }
}

/// Pages that the memory has at first, and pages that it can have, if the pass has anything to do.
fn growing(info: &ModuleInfo) -> Option<(u32, u32)> {
    let [memory] = info.memories.as_slice() else {
        return None;
    };
    let ty = memory.ty;
    if memory.imported || ty.memory64 || ty.shared || !info.instructions.any(Tracked::MemoryGrow) {
        return None;
    }
    let minimum = u32::try_from(ty.minimum).ok()?;
    let limit = u32::try_from(ty.maximum.unwrap_or(MOST_PAGES).min(MOST_PAGES)).ok()?;
    Some((minimum, limit))
}

/// `(delta: i32) -> i32`: the function that does what `memory.grow` does, on the logical size.
///
/// The logical size never exceeds `limit`, which is the declared maximum or 4 GiB, so `limit - old` does not wrap.
/// If `delta` fits below that, `old + delta` does not wrap either. If it does not fit, the function asks the engine all
/// the same. The engine refuses, because the physical size is no smaller than the logical one, and in this way the
/// host's limiter learns of the request.
fn grow_body(logical_pages: u32, limit: u32) -> Function {
    const REFUSED: i32 = -1;
    let (delta, old, new) = (0, 1, 2);
    let mut function = Function::new([(2, ValType::I32)]);
    let mut code = function.instructions();
    code.global_get(logical_pages).local_set(old);
    code.local_get(delta).i32_const(limit.cast_signed()).local_get(old).i32_sub().i32_gt_u();
    code.if_(BlockType::Empty);
    code.local_get(delta).memory_grow(0).drop().i32_const(REFUSED).return_();
    code.end();
    code.local_get(old).local_get(delta).i32_add().local_tee(new);
    code.memory_size(0).i32_gt_u();
    code.if_(BlockType::Empty);
    code.local_get(new).memory_size(0).i32_sub().memory_grow(0);
    code.i32_const(REFUSED).i32_eq().if_(BlockType::Empty).i32_const(REFUSED).return_().end();
    code.end();
    code.local_get(new).global_set(logical_pages);
    code.local_get(old).end();
    function
}
