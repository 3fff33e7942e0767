//! The code that marks.

use wasm_encoder::{BlockType, Function, InstructionSink, MemArg, MemArgTarget, ValType};

/// The card table in the module.
#[derive(Debug, Clone, Copy)]
pub(super) struct CardTable {
    /// Index of its memory.
    pub(super) memory: u32,
    /// A card is this power of two of bytes.
    pub(super) shift: u32,
    /// Where the greatest depth of the stack is kept.
    pub(super) deepest: u32,
    /// Index of the function that marks a range.
    pub(super) mark_range: u32,
}

impl CardTable {
    /// Marks the card of a constant address.
    pub(super) fn mark_constant(&self, code: &mut InstructionSink<'_>, address: u32) {
        code.i32_const((address >> self.shift).cast_signed()).i32_const(1).i32_store8(self.at(0));
    }

    /// Marks the card of the address in a local, plus `add`.
    pub(super) fn mark_local(&self, code: &mut InstructionSink<'_>, local: u32, add: u32) {
        code.local_get(local);
        if add != 0 {
            code.i32_const(add.cast_signed()).i32_add();
        }
        code.i32_const(self.shift.cast_signed()).i32_shr_u().i32_const(1).i32_store8(self.at(0));
    }

    /// Takes note of the stack pointer in the local `pointer`, with two locals to work with.
    pub(super) fn track(&self, code: &mut InstructionSink<'_>, top: u32, pointer: u32, [depth, deepest]: [u32; 2]) {
        let at = self.deepest.cast_signed();
        code.i32_const(at);
        code.i32_const(top.cast_signed()).local_get(pointer).i32_sub().local_tee(depth);
        code.i32_const(at).i32_load(self.at(2)).local_tee(deepest);
        code.local_get(depth).local_get(deepest).i32_gt_u().select().i32_store(self.at(2));
    }

    /// `(address: i32, length: i32)`: marks the cards of a range.
    ///
    /// Of a range that ends beyond 4 GiB it marks nothing: the instruction for which it was called traps.
    pub(super) fn mark_range_body(&self) -> Function {
        let (address, length, first, last) = (0, 1, 2, 3);
        let shift = self.shift.cast_signed();
        let mut function = Function::new([(2, ValType::I32)]);
        let mut code = function.instructions();
        let leave_if = |code: &mut InstructionSink<'_>| {
            code.if_(BlockType::Empty).return_().end();
        };
        leave_if(code.local_get(length).i32_eqz());
        code.local_get(address).local_get(length).i32_add().i32_const(1).i32_sub().local_tee(last);
        leave_if(code.local_get(address).i32_lt_u());
        code.local_get(last).i32_const(shift).i32_shr_u().local_set(last);
        code.local_get(address).i32_const(shift).i32_shr_u().local_tee(first);
        code.i32_const(1).i32_store8(self.at(0));
        code.local_get(last).i32_const(1).i32_store8(self.at(0));
        code.local_get(last).local_get(first).i32_sub().local_tee(length);
        code.i32_const(2).i32_ge_u().if_(BlockType::Empty);
        code.local_get(first).i32_const(1).local_get(length).memory_fill(self.memory);
        code.end().end();
        function
    }

    fn at(&self, align: u32) -> MemArg {
        MemArg { offset: 0, align, target: MemArgTarget::Memory(self.memory), ordering: None }
    }
}
