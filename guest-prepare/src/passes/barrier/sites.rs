//! The places of a function body that matter to the barrier, in order: stores and bulk instructions with what the pass
//! knows of their addresses, and the blocks around them.

use std::result;

use wasm_encoder::ValType;
use wasmparser::{FuncValidator, FunctionBody, MemArg, Operator, ValidatorResources, WasmModuleResources};

use super::values::{Operand, Root, Value, Values};
use crate::error::PrepareError;

/// The locals in which to look for a store's address, besides the one that the address was read from.
const LOCALS_LOOKED_AT: u32 = 128;

/// Locals that a function may have, by the limits on which implementations of WebAssembly have agreed, less the added
/// ones.
const MOST_LOCALS: u32 = 50_000 - 16;

/// A place in a function body. Code for it goes before the instruction at the offset.
#[derive(Debug)]
pub(super) enum Site {
    /// A block begins.
    Open {
        is_loop: bool,
        /// Whether it is a loop with a call inside, so that marks from before it may be gone.
        calls: bool,
    },
    /// The first half of an `if` ends and the second begins.
    Else,
    /// A block ends.
    Close,
    /// A call that may clear marks.
    Call,
    /// A store.
    Store { at: usize, store: Store, address: Address },
    /// `memory.fill`, `memory.copy` or `memory.init`.
    Bulk { at: usize, address: Address, length: Length },
}

/// A block that is open.
struct Open {
    /// Where it begins among the sites.
    site: usize,
    /// Whether there was a call inside.
    has_call: bool,
}

/// An address operand, as far as it is known.
#[derive(Debug, Clone, Copy)]
pub(super) struct Address {
    pub(super) value: Value,
    /// A local that holds a value of the same root at that place. A constant needs none.
    pub(super) holder: Option<Holder>,
}

/// A local and what it holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Holder {
    pub(super) local: u32,
    pub(super) value: Value,
}

/// How many bytes a bulk instruction writes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Length {
    Constant(u32),
    /// As many as a local holds.
    Local(u32),
    Unknown,
}

/// A store instruction.
#[derive(Debug, Clone, Copy)]
pub(super) struct Store {
    /// The immediate to add to the address operand; their sum may be beyond 4 GiB.
    pub(super) offset: u64,
    pub(super) bytes: u32,
    /// Type of the stored value.
    pub(super) value: ValType,
}

impl Store {
    fn of(operator: &Operator<'_>) -> Option<Self> {
        let (memarg, bytes, value): (&MemArg, _, _) = match operator {
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
        Some(Self { offset: memarg.offset, bytes, value })
    }
}

/// The sites of a body, and the number of its locals.
pub(super) struct Sites {
    pub(super) sites: Vec<Site>,
    pub(super) locals: u32,
}

impl Sites {
    /// Goes through a body. `stack_pointer` is the global that holds the shadow-stack pointer, if that is known; the
    /// validator counts operands and blocks.
    pub(super) fn of(
        stack_pointer: Option<u32>,
        with_calls: bool,
        validator: &mut FuncValidator<ValidatorResources>,
        body: &FunctionBody<'_>,
    ) -> result::Result<Self, PrepareError> {
        let function = validator.resources().type_index_of_function(validator.index());
        let parameters = function
            .and_then(|ty| validator.resources().sub_type_at(ty))
            .map_or(0, |ty| ty.unwrap_func().params().len());
        validator.read_locals(&mut body.get_binary_reader())?;
        let locals = validator.len_locals();
        if locals > MOST_LOCALS {
            return Err(PrepareError::TooManyLocals { locals });
        }
        let mut values = Values::new(body, parameters, locals, stack_pointer)?;
        let mut found = Self { sites: Vec::new(), locals };
        let mut open: Vec<Open> = Vec::new();
        let mut operators = body.get_operators_reader()?;
        while !operators.eof() {
            let (operator, at) = operators.read_with_offset()?;
            let block = validator.get_control_frame(0);
            let reachable = block.is_some_and(|block| !block.unreachable);
            let floor = block.map_or(0, |block| block.height);
            if reachable {
                found.stored(&values, &operator, at);
            }
            found.nested(&operator, &mut open);
            if with_calls && is_call(&operator) {
                found.sites.push(Site::Call);
                open.last_mut().into_iter().for_each(|block| block.has_call = true);
            }
            let arity = operator.operator_arity(validator);
            values.step(&operator, arity, (!reachable).then_some(floor));
            validator.op(at, &operator)?;
            values.follow_control(&operator, validator.operand_stack_height() as usize);
        }
        operators.finish()?;
        Ok(found)
    }

    /// Records an instruction that writes to memory.
    fn stored(&mut self, values: &Values, operator: &Operator<'_>, at: usize) {
        if let Some(store) = Store::of(operator)
            && let Some([address, _]) = values.top()
        {
            self.sites.push(Site::Store { at, store, address: self.address(values, address) });
        }
        if matches!(operator, Operator::MemoryFill { .. } | Operator::MemoryCopy { .. } | Operator::MemoryInit { .. })
            && let Some([address, _, length]) = values.top()
        {
            let length = match (length.value.root, length.local) {
                (Root::Constant, _) => Length::Constant(length.value.distance),
                (_, Some(local)) if values.local(local) == Some(length.value) => Length::Local(local),
                _ => Length::Unknown,
            };
            self.sites.push(Site::Bulk { at, address: self.address(values, address), length });
        }
    }

    /// Records the beginning or the end of a block.
    fn nested(&mut self, operator: &Operator<'_>, open: &mut Vec<Open>) {
        match operator {
            Operator::Loop { .. } | Operator::Block { .. } | Operator::If { .. } | Operator::TryTable { .. } => {
                open.push(Open { site: self.sites.len(), has_call: false });
                self.sites.push(Site::Open { is_loop: matches!(operator, Operator::Loop { .. }), calls: false });
            }
            Operator::Else => self.sites.push(Site::Else),
            Operator::End => {
                // A block that ends tells the one around it: so each call takes the same time, however deep it is nested.
                if let Some(Open { site, has_call: true }) = open.pop() {
                    if let Site::Open { is_loop: true, calls } = &mut self.sites[site] {
                        *calls = true;
                    }
                    open.last_mut().into_iter().for_each(|block| block.has_call = true);
                }
                self.sites.push(Site::Close);
            }
            _ => {}
        }
    }

    /// The address, as far as the pass knows it. The local through which code can reach it is the one that it was read from,
    /// if that still holds it. Otherwise it is another local of the same root, preferably one with exactly this address.
    fn address(&self, values: &Values, operand: Operand) -> Address {
        let value = operand.value;
        if value.root == Root::Constant {
            return Address { value, holder: None };
        }
        let holder = |local: u32| {
            let held = values.local(local).filter(|held| held.root == value.root)?;
            Some(Holder { local, value: held })
        };
        let exact = |holder: &Holder| holder.value == value;
        let read_from = operand.local.and_then(holder);
        let others = || (0..self.locals.min(LOCALS_LOOKED_AT)).filter_map(holder);
        let best = read_from.filter(exact).or_else(|| others().find(exact)).or(read_from).or_else(|| others().next());
        Address { value, holder: best }
    }
}

/// Whether an instruction calls a function and comes back.
fn is_call(operator: &Operator<'_>) -> bool {
    matches!(operator, Operator::Call { .. } | Operator::CallIndirect { .. } | Operator::CallRef { .. })
}
