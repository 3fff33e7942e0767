//! The write barrier: every store marks the part of memory that it writes, so that a restore copies back only these parts.
//!
//! [`cards`](crate::cards) describes the card table, what a mark stands for, and what a host does with the marks. Card marking is the
//! technique by which generational garbage collectors find old objects that point to young ones.
//!
//! The pass leaves out the marks that are not needed, see [`Elisions`]:
//!
//! - Stores to constant addresses, if they write few bytes: every restore copies these bytes back
//!   ([`Barrier::always`]).
//! - A store near an earlier one through the same base that has always happened before, or between two such stores. The
//!   pass puts a mark where it serves most of the stores to come.
//! - The same for stores into the function's own frame of the shadow stack, whose base is the stack pointer.
//!
//! If the host reads and clears marks while a call runs, fewer marks can be left out, see [`BarrierOptions::read_in_calls`].
//!
//! `memory.fill`, `memory.copy` and `memory.init` mark the cards at both ends of their range. If the range is longer than a
//! card, an added function marks the cards between.
//!
//! Before:
//!
//! ```wat
#![doc = include_str!("../samples/barrier.before.wat")]
//! ```
//!
//! After:
//!
//! ```wat
#![doc = include_str!("../samples/barrier.after.wat")]
//! ```

// `values` knows where addresses come from, `sites` finds the stores, `scopes` knows which marks hold where, `body`
// decides on marks, and `emit` writes their code.
mod body;
mod emit;
mod scopes;
mod sites;
#[cfg(test)]
mod tests;
mod values;

use std::ops::Range;

use wasm_encoder::{ExportKind, ValType};
use wasmparser::{FuncValidatorAllocations, Parser, ValidPayload, Validator};

use super::{Context, Pass};
use crate::cards::Geometry;
use crate::changes::Changes;
use crate::error::PrepareError;
use crate::module_info::{ENGINE_FEATURES, ModuleInfo};
use crate::names::CARDS_EXPORT;
use emit::MarkingCode;
use scopes::Write;
use sites::{Site, Sites};

/// Up to this many bytes of statics every restore copies back, so that stores to them need no mark.
const MOST_ALWAYS: u32 = 1024;

/// Up to this many bytes between two such statics a restore copies both as one range: to copy the bytes between costs less
/// than another range.
const GAP: u32 = 256;

/// The marks to leave out where the pass can show that they are unnecessary. A restore puts back the same bytes with and
/// without them.
///
/// ```
/// use guest_prepare::Elisions;
///
/// let constants_only = Elisions::NONE.with_constants(true);
/// assert_eq!(constants_only.with_repeated(true).with_frames(true), Elisions::ALL);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Elisions {
    /// Marks of stores to constant addresses. Every restore copies their bytes back instead.
    pub constants: bool,
    /// Marks of stores near earlier ones through the same base.
    pub repeated: bool,
    /// Marks of stores near earlier ones in the function's own frame of the shadow stack.
    pub frames: bool,
}

impl Elisions {
    /// Leaves out every unnecessary mark.
    pub const ALL: Self = Self { constants: true, repeated: true, frames: true };
    /// Leaves out no mark.
    pub const NONE: Self = Self { constants: false, repeated: false, frames: false };

    crate::setters! {
        /// Sets [`Self::constants`].
        with_constants(constants: bool);
        /// Sets [`Self::repeated`].
        with_repeated(repeated: bool);
        /// Sets [`Self::frames`].
        with_frames(frames: bool);
    }
}

/// How to make the write barrier.
///
/// ```
/// use guest_prepare::{BarrierOptions, PrepareOptions};
///
/// let barrier = BarrierOptions::default().with_card_size(512);
/// let options = PrepareOptions::default().with_barrier(Some(barrier));
/// # assert_eq!(options.barrier.map(|barrier| barrier.card_size), Some(512));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct BarrierOptions {
    /// Bytes of a card: a power of two from 256 to 4096.
    pub card_size: u32,
    /// Marks to leave out.
    pub elisions: Elisions,
    /// Whether the host reads and clears marks in its functions, and not only when it restores. Then no store relies on a mark
    /// from before a call of a function, stores to constant addresses mark too, and each mark stands for a write no further than
    /// [`SLACK`](crate::cards::SLACK) from its card. Default: false.
    pub read_in_calls: bool,
}

impl BarrierOptions {
    crate::setters! {
        /// Sets [`Self::card_size`].
        with_card_size(card_size: u32);
        /// Sets [`Self::elisions`].
        with_elisions(elisions: Elisions);
        /// Sets [`Self::read_in_calls`].
        with_read_in_calls(read_in_calls: bool);
    }
}

impl Default for BarrierOptions {
    /// Cards of 1 KiB, which measured best: the table of a memory of 1 MiB is scanned in some ten nanoseconds, and a
    /// card is copied in as many.
    fn default() -> Self {
        Self { card_size: 1024, elisions: Elisions::ALL, read_in_calls: false }
    }
}

/// The write barrier of a prepared module, as a host that restores must know it.
///
/// ```
/// use guest_prepare::{BarrierOptions, ModuleInfo, PrepareOptions, prepare};
///
/// let wasm = wat::parse_str(
///     r#"(module (memory 1) (func (param i32)
///         (i32.store (local.get 0) (i32.const 1))
///         (i32.store offset=4 (local.get 0) (i32.const 2))
///         (i32.store (i32.const 0x100) (i32.const 3))))"#,
/// )?;
/// let options = PrepareOptions::default().with_barrier(Some(BarrierOptions::default()));
/// let prepared = prepare(&wasm, &ModuleInfo::analyse(&wasm)?, options)?;
/// let barrier = prepared.barrier.expect("the module has a memory");
///
/// // Two stores share a mark, and every restore copies back what the third one writes.
/// assert_eq!((barrier.stores.stores, barrier.stores.marked), (3, 1));
/// assert_eq!(barrier.always, [0x100..0x104]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Barrier {
    /// Export of the memory that holds the card table, which begins at address 0 of that memory.
    pub export_name: &'static str,
    /// How the table divides memory into cards.
    pub cards: Geometry,
    /// Bytes that every restore must copy back, because stores to them do not mark. Ranges in ascending order.
    pub always: Vec<Range<u32>>,
    /// How the stores of the module mark.
    pub stores: StoreCounts,
}

/// How many of the stores in a module's code mark, and why the others do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct StoreCounts {
    /// Store instructions, vector stores among them.
    pub stores: u32,
    /// Stores that mark.
    pub marked: u32,
    /// Stores to constant addresses that every restore puts back.
    pub constants: u32,
    /// Stores near earlier ones through the same base.
    pub repeated: u32,
    /// Stores near earlier ones in the function's own frame.
    pub frames: u32,
    /// Bulk instructions, which mark their whole range.
    pub bulk: u32,
}

impl StoreCounts {
    fn add(&mut self, other: &Self) {
        self.stores += other.stores;
        self.marked += other.marked;
        self.constants += other.constants;
        self.repeated += other.repeated;
        self.frames += other.frames;
        self.bulk += other.bulk;
    }
}

/// The rules that are the same for all function bodies.
#[derive(Debug)]
struct Rules {
    marking: MarkingCode,
    elisions: Elisions,
    /// Whether each mark is near a write.
    read_in_calls: bool,
    /// The ranges that every restore copies back: in ascending order, without overlap.
    always: Vec<Range<u32>>,
}

impl Rules {
    /// Whether every restore copies back what this writes.
    fn is_always(&self, write: Write) -> bool {
        write.constant_range().is_some_and(|written| {
            let behind = self.always.partition_point(|range| range.start <= written.start);
            self.always[..behind].last().is_some_and(|range| written.end <= range.end)
        })
    }
}

/// Adds a write barrier. Reports what a host must know of it.
///
/// Does nothing if the module's memory is not one 32-bit memory of its own.
pub(crate) struct WriteBarrier(pub(crate) BarrierOptions);

impl Pass for WriteBarrier {
    type Report = Option<Barrier>;

    fn plan(self, module: &Context<'_>, changes: &mut Changes) -> Result<Self::Report, PrepareError> {
        let Self(BarrierOptions { card_size, elisions, read_in_calls }) = self;
        let elisions = elisions.with_constants(elisions.constants && !read_in_calls);
        let cards = Geometry::new(card_size).ok_or(PrepareError::CardSize { given: card_size })?;
        let [memory] = module.info.memories.as_slice() else {
            return Ok(None);
        };
        if memory.imported || memory.ty.memory64 || memory.ty.shared {
            return Ok(None);
        }
        // For all of 4 GiB, whatever the memory's maximum: code marks before it stores, and the store may trap.
        let table = changes.memory(cards.table_pages());
        changes.export(CARDS_EXPORT, ExportKind::Memory, table);
        let mut marking = MarkingCode { table, cards, mark_range: 0 };
        marking.mark_range = changes.function(&[ValType::I32, ValType::I32], &[], &marking.mark_range_body());

        let bodies = bodies(module.wasm, stack_pointer(module.info), read_in_calls)?;
        let always = if elisions.constants { always(&bodies) } else { Vec::new() };
        let rules = Rules { marking, elisions, read_in_calls, always };
        let mut stores = StoreCounts::default();
        for (defined, sites) in bodies.iter().enumerate() {
            let decided = body::decide(&rules, sites);
            stores.add(&decided.stores);
            changes.locals(defined, decided.locals);
            for (offset, code) in decided.code {
                changes.insert(offset, code);
            }
        }
        Ok(Some(Barrier { export_name: CARDS_EXPORT, cards, always: rules.always, stores }))
    }
}

/// The global that is taken for the shadow-stack pointer. If it is another global, the counts change, and the marks are
/// right all the same.
fn stack_pointer(info: &ModuleInfo) -> Option<u32> {
    info.layout().ok().and_then(|layout| layout.stack_pointer).map(|found| found.global)
}

/// The needs of one function body.
#[derive(Default)]
struct Decided {
    /// Locals to declare behind its own.
    locals: Vec<ValType>,
    /// Code, and the offset of the instruction before which it goes.
    code: Vec<(usize, Vec<u8>)>,
    stores: StoreCounts,
}

/// The sites of all function bodies, with calls among them if these matter. A validator counts operands and blocks.
fn bodies(wasm: &[u8], stack_pointer: Option<u32>, with_calls: bool) -> Result<Vec<Sites>, PrepareError> {
    let mut parser = Parser::new(0);
    parser.set_features(ENGINE_FEATURES);
    let mut validator = Validator::new_with_features(ENGINE_FEATURES);
    let mut allocations = FuncValidatorAllocations::default();
    let mut bodies = Vec::new();
    for payload in parser.parse_all(wasm) {
        if let ValidPayload::Func(function, body) = validator.payload(&payload?)? {
            let mut validator = function.into_validator(allocations);
            bodies.push(Sites::of(stack_pointer, with_calls, &mut validator, &body)?);
            allocations = validator.into_allocations();
        }
    }
    Ok(bodies)
}

/// The bytes that stores to constant addresses write, if these are few.
fn always(bodies: &[Sites]) -> Vec<Range<u32>> {
    let stores = bodies.iter().flat_map(|body| &body.sites).filter(|site| matches!(site, Site::Store { .. }));
    let mut written: Vec<_> = stores.filter_map(Write::of_site).filter_map(Write::constant_range).collect();
    let always = joined(&mut written);
    let bytes: u32 = always.iter().map(|range| range.end - range.start).sum();
    if bytes <= MOST_ALWAYS { always } else { Vec::new() }
}

/// The same bytes in fewer ranges.
fn joined(ranges: &mut [Range<u32>]) -> Vec<Range<u32>> {
    ranges.sort_unstable_by_key(|range| range.start);
    let mut joined: Vec<Range<u32>> = Vec::new();
    for range in ranges.iter() {
        match joined.last_mut() {
            Some(last) if range.start <= last.end.saturating_add(GAP) => last.end = last.end.max(range.end),
            _ => joined.push(range.clone()),
        }
    }
    joined
}
