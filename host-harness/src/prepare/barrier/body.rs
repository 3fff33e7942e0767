//! One function body: which of its stores need a mark, and the code for those.
//!
//! A pass over the instructions keeps, for each operand and each local, what is known of its value: a *root* and a
//! constant distance from it. Roots are constants (the distance is the value), the stack pointer as some `global.get`
//! read it, or a value of which nothing is known but that it is always the same one. Two operands of one root differ
//! by the difference of their distances, modulo 2^32, whatever they are.
//!
//! What an instruction did holds for every instruction that it dominates, and control flow is structured, so domination
//! follows the nesting: what was done before a block began holds in and behind it, what was done inside holds until
//! its end, or until its `else`. A local that is set anywhere inside a block has an unknown value behind it, and one that
//! is set anywhere inside a loop has one from the loop's beginning. Marks stay until the host restores, however the
//! function goes on.
//!
//! That addresses wrap needs care. The address of a store is an operand, which may have come from additions that wrap,
//! plus an immediate, which does not: beyond 4 GiB it traps. So an operand's own address may stand for that of a store
//! up to [`SLACK`] bytes above it, but another operand that differs by little may lie at the other end of memory. It
//! does so only where memory has all of 4 GiB, since both addresses were written to; there a restore takes the slack of
//! the first and the last card around the end.

use std::ops::Range;

use wasm_encoder::{InstructionSink, ValType};
use wasmparser::{FuncValidator, FunctionBody, MemArg, Operator, Result, ValidatorResources, WasmModuleResources};

use super::emit::CardTable;
use super::{Elisions, Passed, SLACK, StoreCounts};
use crate::module_info::StackPointer;
use crate::prepare::PrepareError;
use crate::prepare::splice::Insertions;

/// What holds for all bodies.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) table: CardTable,
    pub(super) elisions: Elisions,
    /// The shadow stack, where stores to frames are not marked.
    pub(super) stack: Option<StackPointer>,
    /// What every restore copies back.
    pub(super) always: Vec<Range<u32>>,
}

/// Earlier marks and frames among which one for a store is looked for.
const MARKS_LOOKED_AT: usize = 64;

/// Locals among which one that holds a store's address is looked for, besides the one that the address was read from.
const LOCALS_LOOKED_AT: u32 = 128;

/// Locals that are set in blocks, counted once for each block around, up to which they are kept count of.
const MOST_SET_IN_BLOCKS: usize = 1 << 20;

/// Locals that a function may have, by the limits on which implementations of WebAssembly have agreed; less those that
/// are added.
const MOST_LOCALS: u32 = 50_000 - 16;

/// Depth of a frame beyond which it is not believed to be one.
const DEEPEST_FRAME: u32 = 1 << 30;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Root {
    Constant,
    /// The stack pointer as it was read once.
    Stack(u32),
    Unknown(u32),
}

/// A value: its root, and how far it lies above, modulo 2^32.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Value {
    root: Root,
    distance: u32,
}

impl Value {
    fn constant(value: u32) -> Self {
        Self { root: Root::Constant, distance: value }
    }

    fn plus(self, more: u32) -> Self {
        Self { distance: self.distance.wrapping_add(more), ..self }
    }
}

/// An operand, and the local that it was read from or written to.
#[derive(Debug, Clone, Copy)]
struct Operand {
    value: Value,
    local: Option<u32>,
}

/// A block that is open.
#[derive(Debug)]
struct Block {
    is_loop: bool,
    /// Marks and frames that were known where it began.
    marks: usize,
    frames: usize,
    /// Locals that are set inside, and what they were where it began.
    set: Vec<(u32, Value)>,
}

/// A store instruction.
struct Store {
    memarg: MemArg,
    bytes: u32,
    value: ValType,
}

impl Store {
    fn of(operator: &Operator<'_>) -> Option<Self> {
        let (memarg, bytes, value) = match operator {
            Operator::I32Store { memarg } => (memarg, 4, ValType::I32),
            Operator::I64Store { memarg } => (memarg, 8, ValType::I64),
            Operator::F32Store { memarg } => (memarg, 4, ValType::F32),
            Operator::F64Store { memarg } => (memarg, 8, ValType::F64),
            Operator::I32Store8 { memarg } => (memarg, 1, ValType::I32),
            Operator::I32Store16 { memarg } => (memarg, 2, ValType::I32),
            Operator::I64Store8 { memarg } => (memarg, 1, ValType::I64),
            Operator::I64Store16 { memarg } => (memarg, 2, ValType::I64),
            Operator::I64Store32 { memarg } => (memarg, 4, ValType::I64),
            Operator::V128Store { memarg } => (memarg, 16, ValType::V128),
            Operator::V128Store8Lane { memarg, .. } => (memarg, 1, ValType::V128),
            Operator::V128Store16Lane { memarg, .. } => (memarg, 2, ValType::V128),
            Operator::V128Store32Lane { memarg, .. } => (memarg, 4, ValType::V128),
            Operator::V128Store64Lane { memarg, .. } => (memarg, 8, ValType::V128),
            _ => return None,
        };
        Some(Self { memarg: *memarg, bytes, value })
    }
}

/// The pass over one body.
pub(super) struct BodyPass<'a> {
    plan: &'a Plan,
    locals: Vec<Value>,
    operands: Vec<Operand>,
    blocks: Vec<Block>,
    /// Addresses whose cards were marked.
    marks: Vec<Value>,
    /// Frames that were tracked: which reading of the stack pointer, and how far below it they reach.
    frames: Vec<(u32, u32)>,
    /// Roots that were given out.
    roots: u32,
    /// Locals that were added, by type; the first has the number of the function's own.
    added: Vec<ValType>,
    own_locals: u32,
    /// Whether it is known which locals are set in which blocks. Otherwise nothing is known of what they hold.
    knows_locals: bool,
    /// What goes before the next instruction.
    pending: Vec<u8>,
    passed: Passed,
}

impl<'a> BodyPass<'a> {
    /// Goes through a body.
    pub(super) fn run(
        plan: &'a Plan,
        validator: &mut FuncValidator<ValidatorResources>,
        body: &FunctionBody<'_>,
    ) -> std::result::Result<Passed, PrepareError> {
        let set_inside = locals_set_in_blocks(body)?;
        let knows_locals = set_inside.is_some();
        let function = validator.resources().type_index_of_function(validator.index());
        let parameters = function
            .and_then(|ty| validator.resources().sub_type_at(ty))
            .map_or(0, |ty| ty.unwrap_func().params().len());
        validator.read_locals(&mut body.get_binary_reader())?;
        let own_locals = validator.len_locals();
        if own_locals > MOST_LOCALS {
            return Err(PrepareError::TooManyLocals { locals: own_locals });
        }
        let mut pass = Self {
            plan,
            locals: Vec::with_capacity(own_locals as usize),
            operands: Vec::new(),
            blocks: Vec::new(),
            marks: Vec::new(),
            frames: Vec::new(),
            roots: 0,
            added: Vec::new(),
            own_locals,
            knows_locals,
            pending: Vec::new(),
            passed: Passed { insertions: Insertions::default(), constants: Vec::new(), stores: StoreCounts::default() },
        };
        for local in 0..own_locals as usize {
            // What is no parameter is zero at first.
            let value = if local < parameters || !knows_locals { pass.unknown() } else { Value::constant(0) };
            pass.locals.push(value);
        }
        let mut set_inside = set_inside.unwrap_or_default().into_iter();
        let mut operators = body.get_operators_reader()?;
        while !operators.eof() {
            let (operator, offset) = operators.read_with_offset()?;
            let pending = std::mem::take(&mut pass.pending);
            pass.insert(offset, pending);
            let frame = validator.get_control_frame(0);
            let reachable = frame.is_some_and(|frame| !frame.unreachable);
            let floor = frame.map_or(0, |frame| frame.height);
            if reachable {
                let code = pass.before(&operator);
                pass.insert(offset, code);
            }
            let arity = operator.operator_arity(validator);
            let dead_above = (!reachable).then_some(floor);
            pass.step(&operator, arity, dead_above, &mut set_inside);
            validator.op(offset, &operator)?;
            pass.follow_control(&operator, validator.operand_stack_height() as usize);
            if reachable {
                pass.after(&operator);
            }
        }
        operators.finish()?;
        let mut passed = pass.passed;
        passed.insertions.locals = pass.added.into_iter().map(|ty| (1, ty)).collect();
        Ok(passed)
    }

    fn insert(&mut self, offset: u64, code: Vec<u8>) {
        if !code.is_empty() {
            self.passed.insertions.code.push((offset, code));
        }
    }

    /// A value of which nothing is known.
    fn unknown(&mut self) -> Value {
        self.roots += 1;
        Value { root: Root::Unknown(self.roots), distance: 0 }
    }

    /// A local to work with: the `nth` of its type.
    fn local(&mut self, ty: ValType, nth: usize) -> u32 {
        let found = self.added.iter().enumerate().filter(|(_, added)| **added == ty).nth(nth).map(|(at, _)| at);
        let at = found.unwrap_or_else(|| {
            self.added.push(ty);
            self.added.len() - 1
        });
        self.own_locals + u32::try_from(at).unwrap_or(u32::MAX)
    }

    /// What is to be inserted before an instruction.
    fn before(&mut self, operator: &Operator<'_>) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut code = InstructionSink::new(&mut bytes);
        if let Some(store) = Store::of(operator) {
            self.passed.stores.stores += 1;
            self.store(&store, &mut code);
        }
        match operator {
            Operator::MemoryFill { .. } | Operator::MemoryCopy { .. } | Operator::MemoryInit { .. } => {
                self.range(&mut code);
            }
            Operator::GlobalSet { global_index } => self.stack_pointer_set(*global_index, &mut code),
            _ => {}
        }
        bytes
    }

    fn store(&mut self, store: &Store, code: &mut InstructionSink<'_>) {
        let [.., Operand { value, local }, _] = self.operands[..] else {
            return;
        };
        let immediate = store.memarg.offset;
        let counts = &mut self.passed.stores;
        if value.root == Root::Constant {
            let start = u64::from(value.distance) + immediate;
            let (Ok(start), Ok(end)) = (u32::try_from(start), u32::try_from(start + u64::from(store.bytes))) else {
                // It always traps, or it writes the last byte that there can be.
                self.passed.stores.marked += 1;
                self.mark_computed(store, code);
                return;
            };
            self.passed.constants.push(start..end);
            if self.plan.always.iter().any(|range| range.start <= start && end <= range.end) {
                counts.constants += 1;
                return;
            }
        }
        if self.in_frame(value, immediate, store.bytes.into()) {
            self.passed.stores.frames += 1;
            return;
        }
        // Where the address wraps beyond 4 GiB, the store traps.
        #[expect(clippy::cast_possible_truncation, reason = "modulo 2^32 is meant")]
        let address = value.plus(immediate as u32);
        if self.plan.elisions.repeated && self.marked_nearby(address, store.bytes) {
            self.passed.stores.repeated += 1;
            return;
        }
        self.mark(value, local, address, store, code);
    }

    /// Marks the card of a store's address, by way of a local that holds the operand, or one that differs from it.
    fn mark(
        &mut self,
        value: Value,
        local: Option<u32>,
        address: Value,
        store: &Store,
        code: &mut InstructionSink<'_>,
    ) {
        let table = self.plan.table;
        self.passed.stores.marked += 1;
        if value.root == Root::Constant {
            self.marks.push(address);
            table.mark_constant(code, address.distance);
            return;
        }
        let holds = |local: &u32, wanted: &dyn Fn(Value) -> bool| {
            self.locals.get(*local as usize).is_some_and(|value| wanted(*value))
        };
        let find = |wanted: &dyn Fn(Value) -> bool| {
            let hint = local.filter(|local| holds(local, wanted));
            hint.or_else(|| (0..self.own_locals.min(LOCALS_LOOKED_AT)).find(|local| holds(local, wanted)))
        };
        if let Some(exact) = find(&|held| held == value) {
            if store.memarg.offset + u64::from(store.bytes) <= SLACK.into() {
                self.marks.push(value);
                table.mark_local(code, exact, 0);
            } else {
                self.marks.push(address);
                table.mark_local(code, exact, address.distance.wrapping_sub(value.distance));
            }
        } else if let Some(other) = find(&|held| held.root == value.root) {
            self.marks.push(address);
            let held = self.locals[other as usize];
            table.mark_local(code, other, address.distance.wrapping_sub(held.distance));
        } else {
            self.marks.push(address);
            self.mark_computed(store, code);
        }
    }

    /// Marks the card of a store whose address no local holds: puts its operands into locals and back.
    fn mark_computed(&mut self, store: &Store, code: &mut InstructionSink<'_>) {
        let address = self.local(ValType::I32, 0);
        let value = match store.value {
            ValType::I32 => self.local(ValType::I32, 1),
            other => self.local(other, 0),
        };
        code.local_set(value).local_tee(address);
        #[expect(clippy::cast_possible_truncation, reason = "modulo 2^32 is meant: a store beyond traps")]
        self.plan.table.mark_local(code, address, store.memarg.offset as u32);
        code.local_get(value);
    }

    /// Marks the range of a bulk instruction, whose operands are address, something, and length.
    fn range(&mut self, code: &mut InstructionSink<'_>) {
        let [.., address, _, length] = self.operands[..] else {
            return;
        };
        if length.value.root == Root::Constant && self.in_frame(address.value, 0, length.value.distance.into()) {
            self.passed.stores.ranges += 1;
            return;
        }
        self.passed.stores.ranges += 1;
        let [address, middle, length] = [0, 1, 2].map(|nth| self.local(ValType::I32, nth));
        code.local_set(length).local_set(middle).local_tee(address);
        code.local_get(address).local_get(length).call(self.plan.table.mark_range);
        code.local_get(middle).local_get(length);
    }

    /// Whether a write of so many bytes stays in a frame that was tracked.
    fn in_frame(&self, value: Value, immediate: u64, bytes: u64) -> bool {
        let Root::Stack(reading) = value.root else {
            return false;
        };
        let below = i64::from(value.distance.cast_signed());
        let end = below.checked_add_unsigned(immediate).and_then(|start| start.checked_add_unsigned(bytes));
        self.is_tracked(reading, value.distance) && end.is_some_and(|end| end <= 0)
    }

    /// Whether this distance from a reading of the stack pointer is no deeper than a frame that was tracked.
    fn is_tracked(&self, reading: u32, distance: u32) -> bool {
        let depth = distance.wrapping_neg();
        depth == 0 || self.frames.iter().rev().take(MARKS_LOOKED_AT).any(|frame| frame.0 == reading && depth <= frame.1)
    }

    fn marked_nearby(&self, address: Value, bytes: u32) -> bool {
        let slack = i64::from(SLACK);
        self.marks.iter().rev().take(MARKS_LOOKED_AT).any(|mark| {
            let above = i64::from(address.distance.wrapping_sub(mark.distance).cast_signed());
            mark.root == address.root && above >= -slack && above + i64::from(bytes) <= slack
        })
    }

    /// Takes note of a stack pointer that is set to something else than a frame's end that was tracked already.
    fn stack_pointer_set(&mut self, global: u32, code: &mut InstructionSink<'_>) {
        let Some(stack) = self.plan.stack.filter(|stack| stack.global == global) else {
            return;
        };
        let Some(operand) = self.operands.last() else {
            return;
        };
        match operand.value.root {
            Root::Stack(reading) if self.is_tracked(reading, operand.value.distance) => {}
            _ => self.track(stack.initial, code),
        }
    }

    /// Tracks the stack pointer that is on top of the operands.
    fn track(&mut self, top: u32, code: &mut InstructionSink<'_>) {
        let [pointer, depth, deepest] = [0, 1, 2].map(|nth| self.local(ValType::I32, nth));
        code.local_tee(pointer);
        self.plan.table.track(code, top, pointer, [depth, deepest]);
    }

    /// What an instruction does to operands and locals, but for those of blocks. In code that is not reached,
    /// `dead_above` is how many operands lie below the block: an instruction there may take operands that are not
    /// there, and those below are not its own.
    fn step(
        &mut self,
        operator: &Operator<'_>,
        arity: Option<(u32, u32)>,
        dead_above: Option<usize>,
        set_inside: &mut impl Iterator<Item = Vec<u32>>,
    ) {
        if let Some(floor) = dead_above {
            self.operands.truncate(floor);
        }
        let dead = dead_above.is_some();
        let pushed = match operator {
            Operator::I32Const { value } => {
                Some(Operand { value: Value::constant(value.cast_unsigned()), local: None })
            }
            Operator::LocalGet { local_index } if self.knows_locals => {
                self.locals.get(*local_index as usize).map(|value| Operand { value: *value, local: Some(*local_index) })
            }
            Operator::LocalSet { local_index } if self.knows_locals => {
                self.set_local(*local_index, dead);
                None
            }
            Operator::LocalTee { local_index } if self.knows_locals => {
                let value = self.set_local(*local_index, dead);
                Some(Operand { value, local: Some(*local_index) })
            }
            Operator::I32Add if !dead => self.sum(|left, right| match (left.root, right.root) {
                (_, Root::Constant) => Some(left.plus(right.distance)),
                (Root::Constant, _) => Some(right.plus(left.distance)),
                _ => None,
            }),
            Operator::I32Sub => {
                self.sum(|left, right| (right.root == Root::Constant).then(|| left.plus(right.distance.wrapping_neg())))
            }
            Operator::GlobalGet { global_index }
                if self.plan.stack.is_some_and(|stack| stack.global == *global_index) =>
            {
                self.roots += 1;
                Some(Operand { value: Value { root: Root::Stack(self.roots), distance: 0 }, local: None })
            }
            Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } | Operator::TryTable { .. } => {
                let set = set_inside.next().unwrap_or_default();
                let set = set.into_iter().map(|local| (local, self.locals[local as usize])).collect();
                let is_loop = matches!(operator, Operator::Loop { .. });
                self.blocks.push(Block { is_loop, marks: self.marks.len(), frames: self.frames.len(), set });
                None
            }
            _ => None,
        };
        let (popped, pushes) = arity.unwrap_or((u32::MAX, 0));
        let left = self.operands.len().saturating_sub(popped as usize).max(dead_above.unwrap_or(0));
        self.operands.truncate(left);
        match pushed {
            Some(operand) => self.operands.push(operand),
            None => {
                for _ in 0..pushes {
                    let value = self.unknown();
                    self.operands.push(Operand { value, local: None });
                }
            }
        }
    }

    /// Gives a local the value on top of the operands.
    fn set_local(&mut self, local: u32, dead: bool) -> Value {
        let value = match self.operands.last().filter(|_| !dead) {
            Some(operand) => operand.value,
            None => self.unknown(),
        };
        if let Some(slot) = self.locals.get_mut(local as usize) {
            *slot = value;
        }
        value
    }

    /// The result of an addition or subtraction, if something is known of it.
    fn sum(&self, of: impl Fn(Value, Value) -> Option<Value>) -> Option<Operand> {
        let [.., left, right] = self.operands[..] else {
            return None;
        };
        of(left.value, right.value).map(|value| Operand { value, local: None })
    }

    /// Forgets what does not hold behind the beginnings and ends of blocks.
    fn follow_control(&mut self, operator: &Operator<'_>, height: usize) {
        match operator {
            Operator::Loop { .. } => {
                let set: Vec<u32> = self
                    .blocks
                    .last()
                    .map_or_else(Vec::new, |block| block.set.iter().map(|(local, _)| *local).collect());
                self.forget(&set);
            }
            Operator::Else => {
                if let Some(block) = self.blocks.last() {
                    self.marks.truncate(block.marks);
                    self.frames.truncate(block.frames);
                    for (local, value) in &block.set {
                        self.locals[*local as usize] = *value;
                    }
                }
            }
            Operator::End => {
                if let Some(block) = self.blocks.pop() {
                    // What comes behind a loop comes from its end only: branches to a loop go to its beginning.
                    if !block.is_loop {
                        self.marks.truncate(block.marks);
                        self.frames.truncate(block.frames);
                        let set: Vec<u32> = block.set.iter().map(|(local, _)| *local).collect();
                        self.forget(&set);
                    }
                }
            }
            _ => {}
        }
        // In code that is not reached, operands come and go as the validator sees fit.
        while self.operands.len() < height {
            let value = self.unknown();
            self.operands.push(Operand { value, local: None });
        }
        self.operands.truncate(height);
    }

    fn forget(&mut self, locals: &[u32]) {
        for local in locals {
            let value = self.unknown();
            self.locals[*local as usize] = value;
        }
    }

    /// Tracks a frame that an instruction has made.
    fn after(&mut self, operator: &Operator<'_>) {
        if !matches!(operator, Operator::I32Add | Operator::I32Sub) {
            return;
        }
        let (Some(stack), Some(operand)) = (self.plan.stack, self.operands.last()) else {
            return;
        };
        let Value { root: Root::Stack(reading), distance } = operand.value else {
            return;
        };
        let depth = distance.wrapping_neg();
        if depth <= DEEPEST_FRAME && !self.is_tracked(reading, distance) {
            let mut bytes = Vec::new();
            self.track(stack.initial, &mut InstructionSink::new(&mut bytes));
            self.pending = bytes;
            self.frames.push((reading, depth));
        }
    }
}

/// For each block, in the order in which they begin, the locals that are set inside. `None` where those are so many,
/// in blocks nested so deep, that it is not worth it.
fn locals_set_in_blocks(body: &FunctionBody<'_>) -> Result<Option<Vec<Vec<u32>>>> {
    let mut kept = 0;
    let mut blocks: Vec<Vec<u32>> = Vec::new();
    let mut open: Vec<usize> = Vec::new();
    for operator in body.get_operators_reader()? {
        match operator? {
            Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } | Operator::TryTable { .. } => {
                open.push(blocks.len());
                blocks.push(Vec::new());
            }
            Operator::LocalSet { local_index } | Operator::LocalTee { local_index } => {
                if let Some(inner) = open.last() {
                    blocks[*inner].push(local_index);
                }
            }
            Operator::End => {
                if let Some(ended) = open.pop() {
                    let mut set = std::mem::take(&mut blocks[ended]);
                    set.sort_unstable();
                    set.dedup();
                    kept += set.len();
                    if kept > MOST_SET_IN_BLOCKS {
                        return Ok(None);
                    }
                    if let Some(outer) = open.last() {
                        blocks[*outer].extend_from_slice(&set);
                    }
                    blocks[ended] = set;
                }
            }
            _ => {}
        }
    }
    Ok(Some(blocks))
}
