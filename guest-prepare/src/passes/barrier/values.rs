//! The operands and locals that the pass knows at each instruction of a function body.
//!
//! A value has a *root* and a constant distance from it. A root is a constant (then the distance is the value), the stack
//! pointer as some `global.get` read it, or an unknown value that is always the same one. Two values of one root differ
//! by the difference of their distances, modulo 2^32, whatever they are.
//!
//! Control flow is structured, so the origin of a value follows the nesting: a local that code sets anywhere inside a
//! block has an unknown value behind the block, and a local that code sets anywhere inside a loop has an unknown value from
//! the beginning of the loop.

use wasmparser::{FunctionBody, Operator, Result};

/// Up to this many locals that are set in blocks, counted once for each block around, the pass remembers them.
const MOST_SET_IN_BLOCKS: usize = 1 << 20;

/// The origin of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Root {
    Constant,
    /// The stack pointer as one instruction read it.
    Stack(u32),
    Unknown(u32),
}

/// A value: its root, and how far it lies above, modulo 2^32.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Value {
    pub(super) root: Root,
    pub(super) distance: u32,
}

impl Value {
    pub(super) const fn constant(value: u32) -> Self {
        Self { root: Root::Constant, distance: value }
    }

    /// The value that lies `more` above.
    pub(super) const fn plus(self, more: u32) -> Self {
        Self { root: self.root, distance: self.distance.wrapping_add(more) }
    }

    /// How far `self` lies above `other`, the shorter way around, where both have one root.
    pub(super) fn above(self, other: Self) -> Option<i32> {
        (self.root == other.root).then(|| self.distance.wrapping_sub(other.distance).cast_signed())
    }
}

/// An operand, and the local that it was read from or written to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Operand {
    pub(super) value: Value,
    pub(super) local: Option<u32>,
}

/// An open block.
#[derive(Debug)]
struct Block {
    is_loop: bool,
    /// Locals that are set inside, sorted, and their values at its beginning.
    set: Vec<(u32, Value)>,
}

/// Operands, locals and blocks at an instruction.
pub(super) struct Values {
    /// The global that is the stack pointer.
    stack_pointer: Option<u32>,
    /// The values of the first locals. The others are unknown.
    locals: Vec<Value>,
    operands: Vec<Operand>,
    blocks: Vec<Block>,
    /// Number of roots so far.
    roots: u32,
    /// For each block that is still to come, the locals that are set inside.
    set_inside: std::vec::IntoIter<Vec<u32>>,
    /// Whether the pass knows which locals are set in which blocks. Otherwise all locals are unknown.
    knows_locals: bool,
}

impl Values {
    /// The values at the beginning of a body with this many locals, the first of which are parameters.
    pub(super) fn new(
        body: &FunctionBody<'_>,
        parameters: usize,
        locals: u32,
        stack_pointer: Option<u32>,
    ) -> Result<Self> {
        let set_inside = locals_set_in_blocks(body)?;
        let knows_locals = set_inside.is_some();
        let mut values = Self {
            stack_pointer,
            locals: Vec::new(),
            operands: Vec::new(),
            blocks: Vec::new(),
            roots: 0,
            set_inside: set_inside.unwrap_or_default().into_iter(),
            knows_locals,
        };
        // Compiled code uses its locals. A function can declare more locals than it has bytes at no cost of its own, so the
        // pass keeps no more of them than the function has bytes.
        let kept = (locals as usize).min(body.as_bytes().len());
        for local in 0..kept {
            #[cfg(test)]
            super::scopes::work::done();
            // A local that is no parameter is zero at first.
            let value = if local < parameters || !knows_locals { values.unknown() } else { Value::constant(0) };
            values.locals.push(value);
        }
        Ok(values)
    }

    /// The topmost operands, the last one on top; nothing where there are fewer.
    pub(super) fn top<const N: usize>(&self) -> Option<[Operand; N]> {
        self.operands.last_chunk().copied()
    }

    /// The value of a local, if the pass keeps it.
    pub(super) fn local(&self, local: u32) -> Option<Value> {
        self.locals.get(local as usize).copied()
    }

    /// A new unknown value.
    fn unknown(&mut self) -> Value {
        self.roots += 1;
        Value { root: Root::Unknown(self.roots), distance: 0 }
    }

    /// The effect of an instruction on operands and locals, except for the effects of blocks. In unreachable code
    /// `dead_above` is the number of operands below the block: an instruction there may take operands that do not exist,
    /// and those below are not its own.
    pub(super) fn step(&mut self, operator: &Operator<'_>, arity: Option<(u32, u32)>, dead_above: Option<usize>) {
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
            Operator::I32Sub if !dead => {
                self.sum(|left, right| (right.root == Root::Constant).then(|| left.plus(right.distance.wrapping_neg())))
            }
            Operator::GlobalGet { global_index } if self.stack_pointer == Some(*global_index) => {
                self.roots += 1;
                Some(Operand { value: Value { root: Root::Stack(self.roots), distance: 0 }, local: None })
            }
            Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } | Operator::TryTable { .. } => {
                let set = self.set_inside.next().unwrap_or_default();
                let set = set.into_iter().filter_map(|local| Some((local, self.local(local)?))).collect();
                self.blocks.push(Block { is_loop: matches!(operator, Operator::Loop { .. }), set });
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
        let [left, right] = self.top()?;
        of(left.value, right.value).map(|value| Operand { value, local: None })
    }

    /// Forgets what does not hold behind the beginnings and ends of blocks. `height` is the number of operands.
    pub(super) fn follow_control(&mut self, operator: &Operator<'_>, height: usize) {
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
                    for (local, value) in &block.set {
                        self.locals[*local as usize] = *value;
                    }
                }
            }
            // Code behind a loop is reached from its end only: branches to a loop go to its beginning.
            Operator::End => {
                if let Some(block) = self.blocks.pop()
                    && !block.is_loop
                {
                    let set: Vec<u32> = block.set.iter().map(|(local, _)| *local).collect();
                    self.forget(&set);
                }
            }
            _ => {}
        }
        // In unreachable code operands come and go as the validator decides.
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
}

/// For each block, in the order in which they begin, the locals that are set inside, sorted. `None` if there are too many
/// of them, in blocks nested too deep, for this to be worth it.
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
