//! The lowest value of the shadow-stack pointer, so that a restore cleans the dead stack only as far down as calls went.
//!
//! A host asks for it by [`PrepareOptions::lowest_stack`](crate::PrepareOptions::lowest_stack), for strategies that rely
//! on the guest's allocator. A module with a [write barrier](super::barrier) does not need it: there the marks tell.
//!
//! The value stands in the control block ([`LOWEST_STACK`](offset::LOWEST_STACK)), which such a strategy reads and puts
//! back anyway. The prepared module updates it wherever code sets the pointer, and nowhere else: LLVM lets a function
//! write below the pointer without setting it only where [`RED_ZONE`] bytes are enough.
//!
//! At its end a function sets the pointer back to what it was at its beginning. That value is not lower than the lowest
//! one, so the pass inserts nothing where it recognises the end of a frame. It recognises the shape in which LLVM writes
//! a frame: one local that the function sets once, at the outermost level, to the pointer less a constant, and the same
//! constant added to the local at the end.
//!
//! Before:
//!
//! ```wat
#![doc = include_str!("samples/stack.before.wat")]
//! ```
//!
//! After:
//!
//! ```wat
#![doc = include_str!("samples/stack.after.wat")]
//! ```

use std::ops::Range;

use guest_abi::control_block::{self, offset};
use wasm_encoder::{BlockType, InstructionSink, MemArg};
use wasmparser::{FunctionBody, Operator, Result};

use super::{Context, Pass};
use crate::changes::Changes;
use crate::error::PrepareError;
use crate::module_info::{Evidence, ModuleInfo};

/// Bytes below the shadow-stack pointer that a function may use without setting it: `RedZoneSize` of LLVM's
/// `WebAssemblyFrameLowering`.
pub const RED_ZONE: usize = 128;

/// The global whose lowest value is kept, and the address of the word that has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Tracking {
    pointer: u32,
    word: u32,
}

/// Keeps the lowest value of the shadow-stack pointer. Reports whether the module keeps it.
///
/// Does nothing if the module does not say which global is the pointer, or has no control block among its statics.
pub(crate) struct LowestStack;

impl Pass for LowestStack {
    type Report = bool;

    fn plan(self, module: &Context<'_>, changes: &mut Changes) -> std::result::Result<Self::Report, PrepareError> {
        let Some(tracking) = Tracking::of(module.info) else {
            return Ok(false);
        };
        for body in module.bodies() {
            tracking.body(&body?, changes)?;
        }
        Ok(true)
    }
}

/// A frame: the local that holds its lower end, and its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Frame {
    local: u32,
    bytes: u32,
}

/// A function's frame, and the offset of the instruction that sets the pointer to its lower end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Made {
    frame: Frame,
    at: usize,
}

impl Tracking {
    fn of(info: &ModuleInfo) -> Option<Self> {
        let layout = info.layout().ok()?;
        layout.stack.as_ref()?;
        let pointer = layout.stack_pointer.filter(|found| found.evidence != Evidence::Guess)?.global;
        let address = info.control_block_address()?;
        let block: Range<u64> = address.into()..u64::from(address) + control_block::SIZE as u64;
        let within = u64::from(layout.statics.start) <= block.start && block.end <= layout.statics.end.into();
        let word = u32::try_from(offset::LOWEST_STACK).ok()?.checked_add(address)?;
        within.then_some(Self { pointer, word })
    }

    /// Inserts what one body needs.
    fn body(&self, body: &FunctionBody<'_>, changes: &mut Changes) -> Result<()> {
        let made = self.frame(body)?;
        let mut due = false;
        let mut last = Last::default();
        for operator in body.get_operators_reader()?.into_iter_with_offsets() {
            let (operator, offset) = operator?;
            if std::mem::take(&mut due) {
                changes.insert(offset, self.code());
            }
            if self.sets(&operator) {
                due = made.is_none_or(|made| offset <= made.at || !last.ends(made.frame));
            }
            last.push(operator);
        }
        Ok(())
    }

    /// The function's frame, if its local holds the lower end from there on, however the function goes on.
    fn frame(&self, body: &FunctionBody<'_>) -> Result<Option<Made>> {
        let mut found: Option<Made> = None;
        let mut times_set = 0;
        let mut nested = false;
        let mut last = Last::default();
        for operator in body.get_operators_reader()?.into_iter_with_offsets() {
            let (operator, at) = operator?;
            match operator {
                Operator::GlobalSet { .. } if found.is_none() && !nested && self.sets(&operator) => {
                    found = last.begins(self.pointer).map(|frame| Made { frame, at });
                }
                Operator::LocalSet { local_index } | Operator::LocalTee { local_index } => {
                    times_set += u32::from(found.is_some_and(|made| made.frame.local == local_index));
                }
                Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } | Operator::TryTable { .. } => {
                    nested = true;
                }
                _ => {}
            }
            last.push(operator);
        }
        Ok(found.filter(|_| times_set == 0))
    }

    fn sets(&self, operator: &Operator<'_>) -> bool {
        matches!(operator, Operator::GlobalSet { global_index } if *global_index == self.pointer)
    }

    /// Keeps the pointer, which code has just set, if it is lower than the lowest value so far.
    fn code(&self) -> Vec<u8> {
        let at = MemArg { offset: self.word.into(), align: 2, memory_index: 0 };
        let mut bytes = Vec::new();
        let mut code = InstructionSink::new(&mut bytes);
        code.global_get(self.pointer).i32_const(0).i32_load(at).i32_lt_u();
        code.if_(BlockType::Empty).i32_const(0).global_get(self.pointer).i32_store(at).end();
        bytes
    }
}

/// The instructions before one, the nearest last.
#[derive(Debug, Default)]
struct Last<'a>([Option<Operator<'a>>; 4]);

impl<'a> Last<'a> {
    fn push(&mut self, operator: Operator<'a>) {
        self.0.rotate_left(1);
        self.0[3] = Some(operator);
    }

    /// The frame that they make from the pointer, and leave in a local and on top of the operands.
    fn begins(&self, pointer: u32) -> Option<Frame> {
        let [
            Some(Operator::GlobalGet { global_index }),
            Some(Operator::I32Const { value }),
            Some(subtraction),
            Some(Operator::LocalTee { local_index }),
        ] = &self.0
        else {
            return None;
        };
        let bytes = match subtraction {
            Operator::I32Sub => value.cast_unsigned(),
            Operator::I32Add => value.cast_unsigned().wrapping_neg(),
            _ => return None,
        };
        (*global_index == pointer).then_some(Frame { local: *local_index, bytes })
    }

    /// Whether they add the size of a frame to its lower end, and so leave the pointer's value from before the frame.
    fn ends(&self, frame: Frame) -> bool {
        let [_, Some(Operator::LocalGet { local_index }), Some(Operator::I32Const { value }), Some(operator)] = &self.0
        else {
            return false;
        };
        let bytes = match operator {
            Operator::I32Add => value.cast_unsigned(),
            Operator::I32Sub => value.cast_unsigned().wrapping_neg(),
            _ => return false,
        };
        *local_index == frame.local && bytes == frame.bytes
    }
}
