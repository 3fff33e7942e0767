//! Step 2: virtual growth. `memory.size` and `memory.grow` work on a logical size, which a restore can put back.
//!
//! `memory.size` becomes a read of an added global; `memory.grow` becomes a call of an added function, which first
//! uses up pages that exist from before a restore and asks the engine only for what is missing. Until the first
//! restore logical and physical size are the same, so the guest sees what it would see without this step.

use wasm_encoder::{BlockType, ConstExpr, ExportKind, Function, InstructionSink, ValType};
use wasmparser::Operator;

use crate::module_info::{ModuleInfo, Tracked};
use crate::names::LOGICAL_PAGES_EXPORT;
use crate::splice::{Additions, Edit};

/// Pages of 64 KiB that a 32-bit memory can have.
const MOST_PAGES: u64 = 65_536;

/// The step as planned for one module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct VirtualGrowth {
    /// Index of the added global that holds the logical size.
    logical_pages: u32,
    /// Index of the added function that grows.
    grow: u32,
}

impl VirtualGrowth {
    /// Plans the step, and adds what it needs. `None` where there is nothing to do: the module never grows its memory,
    /// or the memory is not one 32-bit memory of its own, in which case admission refuses a restore in place anyway.
    pub(crate) fn plan(info: &ModuleInfo, additions: &mut Additions) -> Option<Self> {
        let [memory] = info.memories.as_slice() else {
            return None;
        };
        let ty = memory.ty;
        if memory.imported || ty.memory64 || ty.shared || !info.instructions.any(Tracked::MemoryGrow) {
            return None;
        }
        let minimum = u32::try_from(ty.minimum).ok()?;
        let limit = u32::try_from(ty.maximum.unwrap_or(MOST_PAGES).min(MOST_PAGES)).ok()?;
        let initial = ConstExpr::i32_const(minimum.cast_signed());
        let logical_pages = additions.global(info, ValType::I32, true, &initial);
        additions.export(LOGICAL_PAGES_EXPORT, ExportKind::Global, logical_pages);
        let grow = additions.function(info, &[ValType::I32], &[ValType::I32], &body(logical_pages, limit));
        Some(Self { logical_pages, grow })
    }
}

/// `(delta: i32) -> i32`: what `memory.grow` does, on the logical size.
///
/// The logical size never exceeds `limit`, which is the declared maximum or 4 GiB, so `limit - old` does not wrap;
/// and once `delta` is known to fit below that, `old + delta` does not either. What does not fit is asked of the engine
/// all the same: it refuses, as the physical size is no smaller than the logical one, and so the host's limiter learns
/// of the request.
fn body(logical_pages: u32, limit: u32) -> Function {
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

impl Edit for VirtualGrowth {
    fn replace(&self, operator: &Operator<'_>, code: &mut InstructionSink<'_>) -> bool {
        match operator {
            Operator::MemorySize { .. } => code.global_get(self.logical_pages),
            Operator::MemoryGrow { .. } => code.call(self.grow),
            _ => return false,
        };
        true
    }
}
