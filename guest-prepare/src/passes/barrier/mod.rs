//! Step 3: the write barrier. Every store notes which part of memory it wrote, so that a restore copies back no more.
//!
//! Memory is divided into *cards* of some hundred bytes, and a second linear memory, the *card table*, holds a byte for
//! each. A store marks the card of its address; the host, when it restores, copies back the marked cards and clears
//! the marks. Card marking is what generational garbage collectors do to find old objects that point to young ones.
//!
//! A dirty card is restored with [`SLACK`] bytes on either side, around the end of the address space as well. So a store
//! that straddles two cards marks one, and so does a group of stores through one base.
//!
//! Marks that are not needed are left out, see [`Elisions`] and the modules `values`, which knows where addresses come from, `sites`, which finds the
//! stores, and `body`, which decides:
//!
//! - Stores to constant addresses, where the bytes that they write are few: those are copied back by every restore
//!   ([`Barrier::always`]).
//! - A store near an earlier one through the same base that has always happened before, or between two such. A mark is
//!   put where it serves most of the stores to come.
//! - The same for stores into the function's own frame of the shadow stack, whose base is the stack pointer.
//!
//! `memory.fill`, `memory.copy` and `memory.init` mark the cards of both ends and, of what is longer than a card, those
//! between by an added function.

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

use crate::error::PrepareError;
use crate::module_info::{ENGINE_FEATURES, ModuleInfo};
use crate::names::CARDS_EXPORT;
use crate::splice::{Additions, Insertions};
use emit::CardTable;
use scopes::Write;
use sites::{Site, Sites};

/// Bytes on either side with which a dirty card is restored.
///
/// At least 16, since a store of so many bytes marks the card of its first only. More lets more stores do without a
/// mark of their own.
pub const SLACK: u32 = 64;

/// Bytes of statics that may be copied back by every restore so that stores to them need no mark.
const MOST_ALWAYS: u32 = 1024;

/// Bytes between two such statics up to which they are copied in one go: copying these costs less than one range more.
const GAP: u32 = 256;

/// Which marks to leave out where they can be shown to be unnecessary. What is restored is the same with and without.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Elisions {
    /// Those of stores to constant addresses, whose bytes every restore then copies back.
    pub constants: bool,
    /// Those of stores near earlier ones through the same base.
    pub repeated: bool,
    /// Those of stores near earlier ones in the function's own frame of the shadow stack.
    pub frames: bool,
}

impl Elisions {
    /// Every mark that can be left out is.
    pub const ALL: Self = Self { constants: true, repeated: true, frames: true };
    /// Every store marks.
    pub const NONE: Self = Self { constants: false, repeated: false, frames: false };
}

/// How the write barrier is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BarrierOptions {
    /// Bytes of a card: a power of two from 256 to 4096.
    pub card_size: u32,
    /// Marks to leave out.
    pub elisions: Elisions,
}

impl BarrierOptions {
    crate::setters! {
        /// Sets [`Self::card_size`].
        with_card_size(card_size: u32);
        /// Sets [`Self::elisions`].
        with_elisions(elisions: Elisions);
    }
}

impl Default for BarrierOptions {
    /// Cards of 1 KiB, which measured best: the table of a memory of 1 MiB is scanned in some ten nanoseconds, and a
    /// card is copied in as many.
    fn default() -> Self {
        Self { card_size: 1024, elisions: Elisions::ALL }
    }
}

/// The write barrier of a prepared module: what a restore has to know of it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Barrier {
    /// Bytes of a card.
    pub card_size: u32,
    /// Cards in the table, which begins at address 0 of the memory exported as [`CARDS_EXPORT`]; they cover 4 GiB.
    pub cards: u32,
    /// Bytes that every restore must copy back, as stores to them are not marked.
    pub always: Vec<Range<u32>>,
    /// What became of the stores.
    pub stores: StoreCounts,
}

impl Barrier {
    /// Bytes of the memory that holds the table.
    #[must_use]
    pub fn table_size(&self) -> usize {
        table_pages(self.cards) * guest_abi::names::PAGE_SIZE as usize
    }
}

/// Pages of a memory with so many cards.
const fn table_pages(cards: u32) -> usize {
    (cards as usize).div_ceil(guest_abi::names::PAGE_SIZE as usize)
}

/// What became of the stores in a module's code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct StoreCounts {
    /// Store instructions, vector stores among them.
    pub stores: u32,
    /// Those that mark.
    pub marked: u32,
    /// Those whose address is constant and whose bytes are always restored.
    pub constants: u32,
    /// Those near earlier ones through the same base.
    pub repeated: u32,
    /// Those near earlier ones in the function's own frame.
    pub frames: u32,
    /// Bulk instructions, which mark what they write at both ends and between.
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

/// What holds for all bodies.
#[derive(Debug)]
struct Plan {
    table: CardTable,
    elisions: Elisions,
    /// What every restore copies back, sorted, none in another.
    always: Vec<Range<u32>>,
}

impl Plan {
    /// Whether every restore copies back what is written there.
    fn is_always(&self, write: Write) -> bool {
        write.constant_range().is_some_and(|written| {
            let behind = self.always.partition_point(|range| range.start <= written.start);
            self.always[..behind].last().is_some_and(|range| written.end <= range.end)
        })
    }
}

/// Plans the step, and adds what it needs. `None` where the module has no 32-bit memory of its own that alone a store
/// could mean, in which case admission refuses a restore in place anyway.
pub(crate) fn plan(
    wasm: &[u8],
    info: &ModuleInfo,
    options: BarrierOptions,
    additions: &mut Additions,
) -> Result<Option<(Barrier, Vec<Insertions>)>, PrepareError> {
    const ADDRESS_BITS: u32 = 32;
    if !options.card_size.is_power_of_two() || !(256..=4096).contains(&options.card_size) {
        return Err(PrepareError::CardSize { given: options.card_size });
    }
    let [memory] = info.memories.as_slice() else {
        return Ok(None);
    };
    if memory.imported || memory.ty.memory64 || memory.ty.shared {
        return Ok(None);
    }
    // For all of 4 GiB, whatever the memory's maximum: a mark is made before its store, which may trap.
    let shift = options.card_size.ilog2();
    let cards = 1 << (ADDRESS_BITS - shift);

    let index = additions.memory(info, table_pages(cards) as u64);
    additions.export(CARDS_EXPORT, ExportKind::Memory, index);
    let mut table = CardTable { memory: index, shift, mark_range: 0 };
    table.mark_range = additions.function(info, &[ValType::I32, ValType::I32], &[], &table.mark_range_body());

    // Whether it is one changes what is counted, not what is right.
    let stack_pointer = info.layout().ok().and_then(|layout| layout.stack_pointer).map(|found| found.global);
    let bodies = bodies(wasm, stack_pointer)?;
    let always = if options.elisions.constants { always(&bodies) } else { Vec::new() };
    let plan = Plan { table, elisions: options.elisions, always };
    let (mut stores, mut insertions) = (StoreCounts::default(), Vec::new());
    for sites in bodies {
        let decided = body::decide(&plan, &sites);
        stores.add(&decided.stores);
        insertions.push(decided.insertions);
    }
    let barrier = Barrier { card_size: options.card_size, cards, always: plan.always, stores };
    Ok(Some((barrier, insertions)))
}

/// What was decided on one function body.
struct Decided {
    insertions: Insertions,
    stores: StoreCounts,
}

/// The sites of all function bodies. The validator keeps count of operands and blocks.
fn bodies(wasm: &[u8], stack_pointer: Option<u32>) -> Result<Vec<Sites>, PrepareError> {
    let mut parser = Parser::new(0);
    parser.set_features(ENGINE_FEATURES);
    let mut validator = Validator::new_with_features(ENGINE_FEATURES);
    let mut allocations = FuncValidatorAllocations::default();
    let mut bodies = Vec::new();
    for payload in parser.parse_all(wasm) {
        if let ValidPayload::Func(function, body) = validator.payload(&payload?)? {
            let mut validator = function.into_validator(allocations);
            bodies.push(Sites::of(stack_pointer, &mut validator, &body)?);
            allocations = validator.into_allocations();
        }
    }
    Ok(bodies)
}

/// What stores to constant addresses write, where that is little.
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
