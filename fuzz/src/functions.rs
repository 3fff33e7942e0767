//! Functions that use their memory as compiled code does, and as nothing but an attacker would: frames on the shadow
//! stack, bases with offsets, branches, loops, bulk instructions, growth, allocation, tail calls, traps.
//!
//! Random code by wasm-smith seldom builds a frame, which is what the write barrier's analysis looks for. A *tame*
//! function keeps what strategies that follow the allocator go by: it writes into statics, into frames that it has made
//! and into heap that it has allocated, and nowhere else.

use arbitrary::{Result, Unstructured};
use wasm_encoder::{BlockType, Function, InstructionSink, MemArg, ValType};

/// Where things lie in a guest's memory: the shadow stack first, then statics, then heap.
pub(crate) mod place {
    /// First value of the shadow-stack pointer.
    pub(crate) const STACK_TOP: u32 = 4_096;
    /// The control block, first of the statics.
    pub(crate) const CONTROL_BLOCK: u32 = 4_096;
    /// Statics that functions write into.
    pub(crate) const STATICS: std::ops::Range<u32> = 4_352..8_000;
    /// What functions show of themselves: bytes of log lines.
    pub(crate) const SHOWN: u32 = 8_064;
    /// First byte of the heap.
    pub(crate) const HEAP: u32 = 8_192;
}

/// Indices that the functions of a guest go by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Indices {
    /// The host function `log`, where it is imported.
    pub(crate) log: Option<u32>,
    /// The global that is the shadow-stack pointer.
    pub(crate) stack_pointer: u32,
    /// A global of type `i64` that is no stack pointer.
    pub(crate) counter: u32,
    /// The first of these functions; each may call those before it.
    pub(crate) first: u32,
    /// Whether functions keep what strategies that follow the allocator go by.
    pub(crate) tame: bool,
}

/// Bases: locals that hold addresses.
const BASES: u32 = 4;
/// Counters of loops, by depth.
const COUNTERS: u32 = BASES;
/// How deep statements may be nested.
const DEPTH: u32 = 3;
/// What the function has read.
const READ: u32 = COUNTERS + DEPTH;
/// Allocated and not yet used otherwise.
const BLOCK: u32 = READ + 1;
/// Statements of one function.
const STATEMENTS: u32 = 60;

/// One function `() -> i64`, which calls only those before `index`.
pub(crate) fn function(bytes: &mut Unstructured<'_>, index: u32, indices: Indices) -> Result<Function> {
    let mut function = Function::new([(BASES + DEPTH, ValType::I32), (1, ValType::I64), (1, ValType::I32)]);
    let mut writer = Writer { bytes, indices, index, left: STATEMENTS, frame: None, code: function.instructions() };
    writer.statements(0)?;
    writer.finish();
    Ok(function)
}

struct Writer<'b, 'u, 'f> {
    bytes: &'b mut Unstructured<'u>,
    indices: Indices,
    index: u32,
    left: u32,
    /// The base and the size of a tame function's frame, while it has one.
    frame: Option<(u32, u32)>,
    code: InstructionSink<'f>,
}

const fn at(offset: u64) -> MemArg {
    MemArg { offset, align: 0, memory_index: 0 }
}

impl Writer<'_, '_, '_> {
    fn statements(&mut self, depth: u32) -> Result<()> {
        for _ in 0..self.bytes.int_in_range(1..=12_u32)? {
            if self.left == 0 || self.bytes.is_empty() {
                break;
            }
            self.left -= 1;
            if self.indices.tame { self.tame_statement(depth)? } else { self.statement(depth)? }
        }
        Ok(())
    }

    fn base(&mut self) -> Result<u32> {
        self.bytes.int_in_range(0..=BASES - 1)
    }

    /// An address as a program might have it, or one at an edge.
    fn address(&mut self) -> Result<u32> {
        Ok(match self.bytes.int_in_range(0..=9_u8)? {
            0..=3 => self.bytes.int_in_range(0..=place::STACK_TOP + 64)?,
            4..=6 => self.bytes.int_in_range(place::STATICS.start..=place::HEAP)?,
            // Where one card ends and the next begins, for cards of all sizes.
            7 => 4_096 * self.bytes.int_in_range(1..=4)? - self.bytes.int_in_range(0..=72)?,
            8 => 65_536 * self.bytes.int_in_range(1..=3)? - self.bytes.int_in_range(0..=72)?,
            _ if self.bytes.ratio(1, 2)? => self.bytes.int_in_range(place::HEAP..=70_000)?,
            _ => self.bytes.arbitrary()?,
        })
    }

    fn statement(&mut self, depth: u32) -> Result<()> {
        let sp = self.indices.stack_pointer;
        match self.bytes.int_in_range(0..=23_u8)? {
            0 | 1 => {
                let (base, size) = (self.base()?, 16 * self.bytes.int_in_range(1..=40_i32)?);
                self.code.global_get(sp).i32_const(size).i32_sub().local_tee(base).global_set(sp);
            }
            2 => {
                let (base, size) = (self.base()?, 16 * self.bytes.int_in_range(1..=40_i32)?);
                self.code.local_get(base).i32_const(size).i32_add().global_set(sp);
            }
            3..=7 => {
                let (base, offset) = (self.base()?, self.offset()?);
                // Stores near each other share a mark, as far as they are near.
                for _ in 0..self.bytes.int_in_range(1..=4_u8)? {
                    let further = self.bytes.int_in_range(0..=80)?;
                    self.code.local_get(base);
                    self.store((offset + further).min(u32::MAX.into()))?;
                }
            }
            8 => {
                let address = self.address()?;
                self.code.i32_const(address.cast_signed());
                let offset = self.offset()?;
                self.store(offset)?;
            }
            9 => {
                let (from, to, by) = (self.base()?, self.base()?, self.bytes.int_in_range(-80..=80_i32)?);
                self.code.local_get(from).i32_const(by).i32_add().local_set(to);
            }
            10 => {
                let (to, address) = (self.base()?, self.address()?);
                self.code.i32_const(address.cast_signed()).local_set(to);
            }
            11 => {
                let (from, to, offset) = (self.base()?, self.base()?, self.offset()?);
                self.code.local_get(from).i32_load(at(offset)).i32_const(0xFFFF).i32_and().local_set(to);
            }
            12 => self.read()?,
            13 => self.nested(depth)?,
            14 => {
                let (to, value, length) = (self.base()?, self.bytes.arbitrary::<u8>()?, self.length()?);
                self.code.local_get(to).i32_const(value.into()).i32_const(length).memory_fill(0);
            }
            15 => {
                let (to, from, length) = (self.base()?, self.base()?, self.length()?);
                self.code.local_get(to).local_get(from).i32_const(length).memory_copy(0, 0);
            }
            16 => self.grow()?,
            17 => self.call(false)?,
            18 => {
                let base = self.base()?;
                self.code.local_get(base).global_set(sp);
            }
            19 => {
                let address = self.address()?;
                self.code.i32_const(address.cast_signed()).global_set(sp);
            }
            20 => {
                let base = self.base()?;
                self.code.global_get(sp).local_set(base);
            }
            21 => self.end()?,
            22 => {
                // Into the last page that there is, which may have been grown.
                let (base, offset) = (self.base()?, self.bytes.int_in_range(0..=65_400)?);
                self.code.memory_size(0).i32_const(1).i32_sub().i32_const(16).i32_shl().local_tee(base);
                self.store(offset)?;
            }
            _ => self.count(),
        }
        Ok(())
    }

    fn tame_statement(&mut self, depth: u32) -> Result<()> {
        let sp = self.indices.stack_pointer;
        match self.bytes.int_in_range(0..=12_u8)? {
            0 | 1 => {
                // Frames are opened and closed on the same level of nesting, so that it is known what they hold.
                let (base, size) = (self.base()?, 16 * self.bytes.int_in_range(1..=8_u32)?);
                let outer = self.frame.replace((base, size));
                self.code.global_get(sp).i32_const(size.cast_signed()).i32_sub().local_tee(base).global_set(sp);
                for _ in 0..self.bytes.int_in_range(1..=3_u8)? {
                    let offset = self.bytes.int_in_range(0..=size - 16)?;
                    self.code.local_get(base);
                    self.store(offset.into())?;
                }
                if self.bytes.ratio(1, 4)? {
                    self.end()?;
                }
                self.code.local_get(base).i32_const(size.cast_signed()).i32_add().global_set(sp);
                self.frame = outer;
            }
            2 | 3 => {
                let address = self.bytes.int_in_range(place::STATICS.start..=place::STATICS.end - 16)?;
                self.code.i32_const(address.cast_signed());
                self.store(0)?;
            }
            4..=6 => self.allocate()?,
            7 => {
                let address = self.bytes.int_in_range(place::STATICS.start..=place::STATICS.end - 16)?;
                self.code.i32_const(address.cast_signed()).i64_load(at(0)).local_get(READ).i64_xor().local_set(READ);
            }
            8 => self.nested(depth)?,
            9 => self.grow()?,
            10 => self.call(false)?,
            11 => self.end()?,
            _ => self.count(),
        }
        Ok(())
    }

    /// Takes bytes from the heap as a bump allocator does, fills them and reads them again.
    fn allocate(&mut self) -> Result<()> {
        let size = self.bytes.int_in_range(1..=3_000_i32)?;
        let value: u8 = self.bytes.arbitrary()?;
        let block = place::CONTROL_BLOCK.cast_signed();
        let (top, limit) = (at(12), at(20));
        self.code.i32_const(block).i32_load(top).local_set(BLOCK);
        // Where there is no room, a page more is adopted; where there is none, the call gives up.
        self.code.local_get(BLOCK).i32_const(size).i32_add().i32_const(block).i32_load(limit).i32_gt_u();
        self.code.if_(BlockType::Empty);
        self.code.i32_const(1).memory_grow(0).i32_const(-1).i32_eq().if_(BlockType::Empty).unreachable().end();
        self.code.i32_const(block).memory_size(0).i32_const(16).i32_shl().i32_store(limit).end();
        self.code.i32_const(block).local_get(BLOCK).i32_const(size).i32_add().i32_store(top);
        self.code.local_get(BLOCK).i32_const(value.into()).i32_const(size).memory_fill(0);
        self.code.local_get(BLOCK);
        if size >= 16 {
            self.store(0)?;
        } else {
            self.code.i32_const(value.into()).i32_store8(at(0));
        }
        self.code.local_get(BLOCK).i64_load8_u(at(0)).local_get(READ).i64_add().local_set(READ);
        Ok(())
    }

    fn offset(&mut self) -> Result<u64> {
        Ok(match self.bytes.int_in_range(0..=9_u8)? {
            0..=5 => self.bytes.int_in_range(0..=128)?,
            6 | 7 => self.bytes.int_in_range(0..=700)?,
            8 => self.bytes.int_in_range(0..=66_000)?,
            _ => u64::from(self.bytes.arbitrary::<u32>()?),
        })
    }

    fn length(&mut self) -> Result<i32> {
        Ok(if self.bytes.ratio(1, 8)? {
            self.bytes.int_in_range(0..=66_000)?
        } else {
            self.bytes.int_in_range(0..=600)?
        })
    }

    /// A store of any width; its address is on the stack.
    fn store(&mut self, offset: u64) -> Result<()> {
        let value = i64::from(self.bytes.arbitrary::<u32>()?) | 1;
        let at = at(offset);
        match self.bytes.int_in_range(0..=11_u8)? {
            0..=2 => self.code.i64_const(value).i32_wrap_i64().i32_store(at),
            3 => self.code.i64_const(value).i32_wrap_i64().i32_store8(at),
            4 => self.code.i64_const(value).i32_wrap_i64().i32_store16(at),
            5 => self.code.i64_const(value).i64_store(at),
            6 => self.code.i64_const(value).i64_store8(at),
            7 => self.code.i64_const(value).i64_store32(at),
            8 => self.code.i64_const(value).f64_reinterpret_i64().f64_store(at),
            9 => self.code.i64_const(value).i32_wrap_i64().f32_reinterpret_i32().f32_store(at),
            10 => self.code.i64_const(value).i64x2_splat().v128_store(at),
            _ => self.code.i64_const(value).i64x2_splat().v128_store64_lane(at, 1),
        };
        Ok(())
    }

    fn read(&mut self) -> Result<()> {
        let (base, offset) = (self.base()?, self.offset()?);
        self.code.local_get(base).i64_load(at(offset)).local_get(READ).i64_add().local_set(READ);
        Ok(())
    }

    fn grow(&mut self) -> Result<()> {
        let pages = self.bytes.int_in_range(0..=3)?;
        self.code.i32_const(pages).memory_grow(0).i64_extend_i32_s().local_get(READ).i64_add().local_set(READ);
        Ok(())
    }

    fn count(&mut self) {
        let counter = self.indices.counter;
        self.code.global_get(counter).i64_const(1).i64_add().global_set(counter);
        self.code.global_get(counter).local_get(READ).i64_add().local_set(READ);
    }

    /// A call of an earlier function, in the place of this one's end where it is a tail call.
    fn call(&mut self, tail: bool) -> Result<()> {
        if self.index > self.indices.first {
            let callee = self.bytes.int_in_range(self.indices.first..=self.index - 1)?;
            if tail {
                self.code.return_call(callee);
            } else {
                self.code.call(callee).local_get(READ).i64_add().local_set(READ);
            }
        }
        Ok(())
    }

    /// An end before the function's last statement, where what was read says so.
    fn end(&mut self) -> Result<()> {
        let bit = i64::from(self.bytes.int_in_range(0..=3_u8)?);
        self.code.local_get(READ).i64_const(1 << bit).i64_and().i64_eqz().if_(BlockType::Empty);
        match self.bytes.int_in_range(0..=3_u8)? {
            0 => drop(self.code.unreachable()),
            1 => drop(self.code.i64_const(0).return_()),
            2 => self.call(true)?,
            _ => drop(self.code.i32_const(-1).i32_load(at(0)).drop()),
        }
        self.code.end();
        Ok(())
    }

    fn nested(&mut self, depth: u32) -> Result<()> {
        if depth == DEPTH {
            return Ok(());
        }
        let base = self.base()?;
        match self.bytes.int_in_range(0..=2_u8)? {
            0 => {
                self.code.block(BlockType::Empty).local_get(base).i32_const(64).i32_and().br_if(0);
                self.statements(depth + 1)?;
            }
            1 => {
                self.code.local_get(base).i32_const(32).i32_and().if_(BlockType::Empty);
                self.statements(depth + 1)?;
                self.code.else_();
                self.statements(depth + 1)?;
            }
            _ => {
                let counter = COUNTERS + depth;
                let times = self.bytes.int_in_range(1..=4)?;
                self.code.i32_const(times).local_set(counter).loop_(BlockType::Empty);
                self.statements(depth + 1)?;
                self.code.local_get(counter).i32_const(1).i32_sub().local_tee(counter).br_if(0);
            }
        }
        self.code.end();
        Ok(())
    }

    /// Shows what was read, as the length of a log line.
    fn finish(&mut self) {
        if let Some(log) = self.indices.log {
            self.code.i32_const(2).i32_const(place::SHOWN.cast_signed());
            self.code.local_get(READ).i64_const(63).i64_and().i32_wrap_i64().call(log);
        }
        self.code.i64_const(0).end();
    }
}
