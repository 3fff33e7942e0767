//! The code that marks.

use wasm_encoder::{BlockType, Function, InstructionSink, MemArg, ValType};

use crate::cards::{Geometry, MARK, SLACK};

/// Writes the code that marks cards of one table.
#[derive(Debug, Clone, Copy)]
pub(super) struct MarkingCode {
    /// Index of the memory that holds the table.
    pub(super) table: u32,
    pub(super) cards: Geometry,
    /// Index of the function that marks a range.
    pub(super) mark_range: u32,
}

impl MarkingCode {
    /// Marks the card of a constant address.
    pub(super) fn mark_constant(&self, code: &mut InstructionSink<'_>, address: u32) {
        code.i32_const(self.cards.card_of(address).cast_signed()).i32_const(MARK.into()).i32_store8(self.at());
    }

    /// Marks the card of the address in a local, plus `add`.
    pub(super) fn mark_local(&self, code: &mut InstructionSink<'_>, local: u32, add: u32) {
        code.local_get(local);
        if add != 0 {
            code.i32_const(add.cast_signed()).i32_add();
        }
        self.mark_top(code);
    }

    /// Marks the card of the address that is on top of the operands.
    fn mark_top(&self, code: &mut InstructionSink<'_>) {
        code.i32_const(self.cards.shift().cast_signed()).i32_shr_u().i32_const(MARK.into()).i32_store8(self.at());
    }

    /// Marks what covers `length` bytes from the address in a local on, see [`Geometry::marks_for`].
    pub(super) fn mark_span(&self, code: &mut InstructionSink<'_>, local: u32, length: u32) {
        let last = length.saturating_sub(SLACK);
        for nth in 0..self.cards.marks_for(length) {
            self.mark_local(code, local, last.min(nth * self.cards.card_size()));
        }
    }

    /// Marks what covers as many bytes from the address in a local on as another local holds.
    ///
    /// For a length of 0 this marks the card before as well, which does no harm.
    pub(super) fn mark_length(&self, code: &mut InstructionSink<'_>, address: u32, length: u32) {
        self.mark_local(code, address, 0);
        code.local_get(address).local_get(length).i32_add().i32_const(1).i32_sub();
        self.mark_top(code);
        code.local_get(length).i32_const(self.cards.card_size().cast_signed()).i32_gt_u().if_(BlockType::Empty);
        code.local_get(address).local_get(length).call(self.mark_range);
        code.end();
    }

    /// `(address: i32, length: i32)`: the function that marks the cards of a range that is not empty.
    ///
    /// It marks nothing if the range ends beyond 4 GiB, because the instruction after the call then traps.
    pub(super) fn mark_range_body(&self) -> Function {
        let (address, length, first, last) = (0, 1, 2, 3);
        let shift = self.cards.shift().cast_signed();
        let mut function = Function::new([(2, ValType::I32)]);
        let mut code = function.instructions();
        code.local_get(address).local_get(length).i32_add().i32_const(1).i32_sub().local_tee(last);
        code.local_get(address).i32_lt_u().if_(BlockType::Empty).return_().end();
        code.local_get(address).i32_const(shift).i32_shr_u().local_tee(first);
        code.i32_const(MARK.into());
        code.local_get(last).i32_const(shift).i32_shr_u().local_get(first).i32_sub().i32_const(1).i32_add();
        code.memory_fill(self.table);
        code.end();
        function
    }

    fn at(&self) -> MemArg {
        MemArg { offset: 0, align: 0, memory_index: self.table }
    }
}
