//! Proposals that are newer than the parser: it cannot read their instructions, so it takes a module that has them for
//! a damaged one.
//!
//! The parser is the engine's own version. This file finds these instructions by their bytes and puts others of the same
//! length in their place, so that the parser can validate the rest of the module.

use wasmparser::{
    BinaryReader, FrameKind, FrameStack, FunctionBody, Parser, Payload, Result, VisitOperator, VisitSimdOperator,
};

use super::proposals::{ACQUIRE_RELEASE_ATOMICS, MULTIBYTE_ARRAY_ACCESS, Proposal};

/// Bits of the number with which the operand of a memory instruction begins. The bits below are its alignment.
mod flags {
    /// An ordering stands before the offset.
    pub(super) const ORDERED: u32 = 1 << 4;
    /// The index of an array's type stands before the offset.
    pub(super) const ARRAY: u32 = 1 << 5;
    /// The index of a memory stands before the ordering and the offset.
    pub(super) const MEMORY: u32 = 1 << 6;
}

/// The proposals of this file whose instructions a module has, and the module without these instructions. `None` if it has
/// none, or if it cannot be read nevertheless.
///
/// The code after an access to an array is valid whatever its operands are, because a trap stands before it.
pub(super) fn replaced(wasm: &[u8]) -> Option<(Vec<Proposal>, Vec<u8>)> {
    let mut module = Replaced { wasm: wasm.to_vec(), arrays: false, orderings: false };
    for payload in Parser::new(0).parse_all(wasm) {
        if let Payload::CodeSectionEntry(body) = payload.ok()? {
            module.body(&body).ok()?;
        }
    }
    let found = [(module.arrays, MULTIBYTE_ARRAY_ACCESS), (module.orderings, ACQUIRE_RELEASE_ATOMICS)];
    let found: Vec<_> = found.into_iter().filter_map(|(found, proposal)| found.then_some(proposal)).collect();
    (!found.is_empty()).then_some((found, module.wasm))
}

struct Replaced {
    wasm: Vec<u8>,
    arrays: bool,
    orderings: bool,
}

impl Replaced {
    fn body(&mut self, body: &FunctionBody<'_>) -> Result<()> {
        let mut reader = body.get_binary_reader_for_operators()?;
        while !reader.eof() {
            let mut ahead = reader.clone();
            if let Some(found) = Newer::read(&mut ahead) {
                self.replace(found, reader.original_position(), ahead.original_position());
                reader = ahead;
            } else {
                let opcode = reader.clone().read_u8()?;
                reader.visit_operator(&mut Skip { opcode })?;
            }
        }
        Ok(())
    }

    /// Replaces an instruction that lies between these offsets.
    fn replace(&mut self, found: Newer, start: usize, end: usize) {
        const UNREACHABLE: u8 = 0x00;
        const NOP: u8 = 0x01;
        match found {
            Newer::ArrayAccess => {
                self.wasm[start..end].fill(NOP);
                self.wasm[start] = UNREACHABLE;
                self.arrays = true;
                return;
            }
            Newer::Pause => self.wasm[start..end].fill(NOP),
            Newer::Fence => self.wasm[end - 1] = 0,
            Newer::Ordered { flags, ordering } => {
                self.wasm[flags] &= !(flags::ORDERED as u8);
                self.wasm.copy_within(ordering + 1..end, ordering);
                self.wasm[end - 1] = NOP;
            }
        }
        self.orderings = true;
    }
}

/// An instruction that the parser cannot read.
enum Newer {
    /// A load from an array or a store to one.
    ArrayAccess,
    /// `pause`.
    Pause,
    /// `atomic.fence` with an ordering other than the strictest, in its last byte.
    Fence,
    /// Another atomic instruction, with the offsets of its flags and of the byte with its ordering.
    Ordered { flags: usize, ordering: usize },
}

impl Newer {
    /// Reads an instruction if it is one of these.
    fn read(reader: &mut BinaryReader<'_>) -> Option<Self> {
        /// Index of a lane behind the operand, in bytes.
        const LANE: usize = 1;
        match reader.read_u8().ok()? {
            0x28..=0x3E => Self::array_access(reader, 0),
            0xFD => match reader.read_var_u32().ok()? {
                0x00..=0x0B | 0x5C..=0x5D => Self::array_access(reader, 0),
                0x54..=0x5B => Self::array_access(reader, LANE),
                _ => None,
            },
            0xFE => match reader.read_var_u32().ok()? {
                0x03 => (reader.read_u8().ok()? == 1).then_some(Self::Fence),
                0x04 => Some(Self::Pause),
                0x10..=0x1D => Self::ordered(reader, 0x01),
                0x1E..=0x4E => Self::ordered(reader, 0x11),
                _ => None,
            },
            _ => None,
        }
    }

    /// Reads the operand of a load or store. `behind` are the bytes that follow it.
    fn array_access(reader: &mut BinaryReader<'_>, behind: usize) -> Option<Self> {
        let flags = reader.read_var_u32().ok()?;
        if flags & (flags::ARRAY | flags::MEMORY | flags::ORDERED) != flags::ARRAY {
            return None;
        }
        reader.read_var_u32().ok()?;
        reader.read_var_u64().ok()?;
        reader.read_bytes(behind).ok()?;
        Some(Self::ArrayAccess)
    }

    /// Reads the operand of an atomic instruction. `acquire_release` is the ordering of this name; 0 is the strictest.
    fn ordered(reader: &mut BinaryReader<'_>, acquire_release: u8) -> Option<Self> {
        let at = reader.original_position();
        let flags = reader.read_var_u32().ok()?;
        if flags & flags::ORDERED == 0 {
            return None;
        }
        if flags & flags::MEMORY != 0 {
            reader.read_var_u32().ok()?;
        }
        let ordering = reader.original_position();
        if ![0, acquire_release].contains(&reader.read_u8().ok()?) {
            return None;
        }
        reader.read_var_u64().ok()?;
        Some(Self::Ordered { flags: at, ordering })
    }
}

/// Goes past one instruction that the parser can read. Whether blocks are closed in the right order is up to the validator.
struct Skip {
    opcode: u8,
}

impl FrameStack for Skip {
    fn current_frame(&self) -> Option<FrameKind> {
        const ELSE: u8 = 0x05;
        const CATCH: u8 = 0x07;
        const DELEGATE: u8 = 0x18;
        const CATCH_ALL: u8 = 0x19;
        Some(match self.opcode {
            ELSE => FrameKind::If,
            CATCH | DELEGATE | CATCH_ALL => FrameKind::LegacyTry,
            _ => FrameKind::Block,
        })
    }
}

macro_rules! define_skip {
    ($(@$proposal:ident $op:ident $({ $($arg:ident: $ty:ty),* })? => $visit:ident ($($ann:tt)*))*) => {
        $(fn $visit(&mut self $($(, _: $ty)*)?) {})*
    };
}

impl<'a> VisitOperator<'a> for Skip {
    type Output = ();

    fn simd_visitor(&mut self) -> Option<&mut dyn VisitSimdOperator<'a, Output = ()>> {
        Some(self)
    }

    wasmparser::for_each_visit_operator!(define_skip);
}

impl VisitSimdOperator<'_> for Skip {
    wasmparser::for_each_visit_simd_operator!(define_skip);
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A module without these instructions, with `nop` where they are longer than what stands in their place; and the
    /// module with them.
    fn pair(text: &str, changes: &[(&[u8], &[u8])]) -> [Vec<u8>; 2] {
        let plain = wat::parse_str(text).unwrap();
        let mut newer = plain.clone();
        for (from, to) in changes {
            assert_eq!(from.len(), to.len());
            let at = newer.windows(from.len()).position(|bytes| bytes == *from).unwrap_or_else(|| panic!("{from:x?}"));
            newer[at..at + to.len()].copy_from_slice(to);
        }
        [plain, newer]
    }

    /// Every kind of instruction with an ordering, in blocks of every kind.
    fn orderings() -> [Vec<u8>; 2] {
        pair(
            "(module (memory 1) (memory 1)
               (func (param i32) (result i32)
                 (if (local.get 0)
                   (then i32.const 0 i32.const 7 i32.atomic.store offset=200 nop)
                   (else (drop (v128.load (i32.const 0))) nop nop))
                 try (atomic.fence) catch_all end
                 local.get 0 i32.atomic.load 1 offset=8 nop
                 i32.const 1 i32.atomic.rmw.add offset=4 nop
                 (i32.atomic.rmw.sub offset=16 (i32.const 1))
                 local.get 0 i64.const 1 i64.atomic.rmw8.add_u nop drop))",
            &[
                (&[0xFE, 0x17, 0x02, 0xC8, 0x01, 0x01], &[0xFE, 0x17, 0x12, 0x01, 0xC8, 0x01]),
                (&[0x01, 0x01], &[0xFE, 0x04]),
                (&[0xFE, 0x03, 0x00], &[0xFE, 0x03, 0x01]),
                (&[0xFE, 0x10, 0x42, 0x01, 0x08, 0x01], &[0xFE, 0x10, 0x52, 0x01, 0x01, 0x08]),
                (&[0xFE, 0x1E, 0x02, 0x04, 0x01], &[0xFE, 0x1E, 0x12, 0x11, 0x04]),
                (&[0xFE, 0x22, 0x00, 0x00, 0x01], &[0xFE, 0x22, 0x10, 0x00, 0x00]),
            ],
        )
    }

    /// Loads and stores of every kind, to arrays.
    fn array_accesses() -> [Vec<u8>; 2] {
        pair(
            "(module (type $bytes (array (mut i8)))
               (func (param (ref $bytes)) (result i32)
                 (block local.get 0 i32.const 0 i64.const 0 unreachable nop nop nop nop)
                 (block local.get 0 i32.const 0 v128.const i64x2 0 0 unreachable nop nop nop nop nop)
                 local.get 0 i32.const 0 unreachable nop nop nop))",
            &[
                (&[0x00, 0x01, 0x01, 0x01, 0x01, 0x0B], &[0x37, 0x23, 0x00, 0x80, 0x01, 0x0B]),
                (&[0x00, 0x01, 0x01, 0x01, 0x01, 0x01], &[0xFD, 0x58, 0x20, 0x00, 0x00, 0x03]),
                (&[0x00, 0x01, 0x01, 0x01], &[0x28, 0x22, 0x00, 0x00]),
            ],
        )
    }

    /// A module that needs one of these proposals and not the other.
    pub(in super::super) fn specimen(name: &str) -> Vec<u8> {
        let [_, wasm] = match name {
            "acquire-release atomics" => orderings(),
            "multibyte array access" => array_accesses(),
            other => panic!("{other}: add a specimen"),
        };
        wasm
    }

    /// A module with an instruction of these proposals, and with an operand of the wrong type.
    pub(in super::super) fn invalid() -> Vec<u8> {
        let text = "(module (memory 1) (func nop nop i32.const 0 i64.eqz drop))";
        let [_, wasm] = pair(text, &[(&[0x01, 0x01], &[0xFE, 0x04])]);
        wasm
    }

    #[test]
    fn each_instruction_is_replaced_by_one_that_the_parser_reads() {
        for (proposal, [plain, newer]) in
            [(ACQUIRE_RELEASE_ATOMICS, orderings()), (MULTIBYTE_ARRAY_ACCESS, array_accesses())]
        {
            let (proposals, without) = replaced(&newer).unwrap();
            assert_eq!(proposals, [proposal]);
            assert_eq!(without, plain, "{proposal}");
            assert_eq!(replaced(&plain), None, "{proposal}");
        }
    }

    #[test]
    fn what_no_proposal_allows_stays_as_it_is() {
        let load = |bytes: [u8; 5]| {
            let text = "(module (memory 1) (func i32.const 0 i32.atomic.load nop drop))";
            let [_, wasm] = pair(text, &[(&[0xFE, 0x10, 0x02, 0x00, 0x01], &bytes)]);
            replaced(&wasm)
        };
        assert!(load([0xFE, 0x10, 0x12, 0x01, 0x00]).is_some(), "the check itself");
        assert_eq!(load([0xFE, 0x10, 0x12, 0x11, 0x00]), None, "the ordering of another kind of instruction");
        assert_eq!(load([0xFE, 0x10, 0x12, 0x02, 0x00]), None, "an ordering that there is not");
        assert_eq!(load([0x28, 0x12, 0x01, 0x00, 0x01]), None, "an instruction that is not atomic");
        assert_eq!(load([0x28, 0x62, 0x00, 0x00, 0x01]), None, "an array and a memory");
    }
}
