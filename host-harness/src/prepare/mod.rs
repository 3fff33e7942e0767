//! Preparing a module at load, so that its instances can be restored exactly.
//!
//! A module is rewritten in steps, one file for each:
//!
//! 1. `globals`: every mutable global that is not exported gets an export under a reserved name, so that a restore
//!    reaches the shadow-stack pointer too.
//! 2. `growth`: `memory.grow` and `memory.size` work on a logical size, kept in an added global. A restore puts the
//!    logical size back, which it cannot do with the physical one; so memory cannot creep from restore to restore.
//! 3. `barrier`, where it is asked for: every store notes which part of memory it wrote, so that a restore copies back
//!    no more.
//! 4. `stack`, where it is asked for and there is no barrier, which does the same by itself: the lowest value that the
//!    shadow-stack pointer was given is kept, so that a restore cleans the dead stack no further down.
//! 5. `calls`: every extension function gets a second entrance that leaves the globals as the snapshot has them.
//! 6. `allocations`: calls of the functions of an allocator without a control block are counted; `allocators` knows which
//!    those are.
//!
//! A step plans; `splice` carries all plans out in one pass over the module's bytes. Everything that a step adds is
//! appended, a body that something takes the place of is moved to an appended function, so that indices stay what they were, and bytes that no step changes are copied as they stand: custom
//! sections, names, data, and every function body without one of the replaced instructions. That is why the module is
//! not decoded and encoded anew as a whole: encoders write numbers in their shortest form, linkers often do not, so
//! every offset into the code would move.
//!
//! Custom sections are copied too, and those that hold offsets into the code (DWARF's `.debug_*`, branch hints) go on
//! describing the *original* code. [`Prepared::offsets`] translates an offset in the prepared module, as a trap
//! reports it, to the original one.
//!
//! What a guest can observe of a prepared module: the pages between logical and physical end are zeros where a fresh
//! instance would trap; `memory.grow` and calls of counted functions take a few more instructions, and fuel.

mod allocations;
mod allocators;
mod barrier;
mod calls;
mod globals;
mod growth;
mod offsets;
mod splice;
mod stack;

use crate::module_info::{GlobalType, ModuleInfo};

pub(crate) use allocations::tells_allocations;
pub use allocations::{
    ALLOCATIONS_EXPORT, CountedFunction, FREES_EXPORT, REALLOCATIONS_EXPORT, REFUSED_BYTES_EXPORT,
    REQUESTED_BYTES_EXPORT, UNDER_WAY_EXPORT,
};
pub use allocators::{CountedAs, FoundBy};
pub use barrier::{Barrier, BarrierOptions, Elisions, SLACK, StoreCounts};
pub use offsets::OffsetMap;
pub(crate) use stack::RED_ZONE;

/// Exports whose name begins with this are the harness's.
pub const RESERVED_PREFIX: &str = "__harness_";

/// Exports of globals that the module does not export itself: this, and the global's index.
pub const GLOBAL_EXPORT_PREFIX: &str = "__harness_global_";

/// Export of the mutable `i32` global that holds the memory's logical size, in pages of 64 KiB.
pub const LOGICAL_PAGES_EXPORT: &str = "__harness_logical_pages";

/// Export of the memory that holds the card table of the write barrier.
pub const CARDS_EXPORT: &str = "__harness_cards";

/// Exports of the entrances that leave the globals as the snapshot has them: this, and the function's name.
pub const CALL_EXPORT_PREFIX: &str = "__harness_call_";

/// Exports of the globals that hold the saved values for those entrances: this, and the saved global's index.
pub const SAVED_EXPORT_PREFIX: &str = "__harness_saved_";

/// Which steps to take. Exporting globals is not optional: every restore in place needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PrepareOptions {
    /// Whether `memory.grow` and `memory.size` work on a logical size that a restore can put back.
    pub virtual_growth: bool,
    /// Whether and how stores note what they write. A [`Guest`](crate::Guest) is prepared without a barrier at first,
    /// and a second time with one when a strategy needs it; this says how that one is made.
    pub barrier: Option<BarrierOptions>,
    /// Whether the lowest value of the shadow-stack pointer is kept in the control block, where there is one and no
    /// barrier. A [`Guest`](crate::Guest) is prepared so when a strategy needs it, and not otherwise.
    pub lowest_stack: bool,
    /// Whether calls of the allocator's functions are counted, in a module whose allocator keeps no control block. It is how
    /// the harness knows what such a guest allocates, and that it ran out of memory.
    pub count_allocations: bool,
    /// Bytes that the prepared module may have. How long it takes to compile, and how much memory that needs, grows with
    /// them; who loads modules of strangers sets it lower than the default, [`PrepareOptions::SIZE_LIMIT`].
    pub size_limit: u64,
}

impl PrepareOptions {
    /// Bytes that a prepared module may have unless it is told otherwise: many times what compilers make, and what is
    /// compiled in minutes rather than hours.
    pub const SIZE_LIMIT: u64 = 256 << 20;
}

impl Default for PrepareOptions {
    fn default() -> Self {
        let (barrier, size_limit) = (None, Self::SIZE_LIMIT);
        Self { virtual_growth: true, barrier, lowest_stack: false, count_allocations: true, size_limit }
    }
}

/// A mutable global and the export through which the host reaches it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ExportedGlobal {
    /// Its index.
    pub index: u32,
    /// Its type.
    pub ty: GlobalType,
    /// Name of its export: the module's own (the first, if there are several), or one under
    /// [`GLOBAL_EXPORT_PREFIX`].
    pub export_name: String,
}

/// A second entrance to an extension function: one that leaves the globals as the snapshot has them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Entrance {
    /// The function's own export.
    pub function: String,
    /// Export of the entrance.
    pub export_name: String,
}

/// A module that has been prepared.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Prepared {
    /// The rewritten module.
    pub wasm: Vec<u8>,
    /// Every mutable global of the module's own, by index. Imported ones belong to whoever provides them, and the
    /// logical size stands apart, in [`Self::logical_pages_export`].
    pub globals: Vec<ExportedGlobal>,
    /// Entrances that put [`Self::globals`] back by themselves when the function returns, from saved values that the
    /// host writes into the globals exported under [`SAVED_EXPORT_PREFIX`]. Empty where a global is no number.
    pub entrances: Vec<Entrance>,
    /// Name of the global that holds the logical size. `None` where growth is not virtual: it was not asked for, the
    /// module never grows its memory, or it has no 32-bit memory of its own that alone it could mean. The physical
    /// size is the logical one then.
    pub logical_pages_export: Option<&'static str>,
    /// The write barrier, if there is one.
    pub barrier: Option<Barrier>,
    /// Whether the lowest value of the shadow-stack pointer is kept in the control block.
    pub lowest_stack: bool,
    /// The functions whose calls are counted, by index; what was counted is in the globals exported as
    /// [`ALLOCATIONS_EXPORT`] and its like. Empty where that was not asked for, where the guest counts by itself, and where
    /// no function is known to allocate.
    pub counted: Vec<CountedFunction>,
    /// Where the original module had the code of the prepared one.
    pub offsets: OffsetMap,
}

/// Why a module cannot be prepared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PrepareError {
    /// The module uses one of the names under which preparation exports.
    #[error(
        "the module exports `{name}`, and names beginning with `{RESERVED_PREFIX}` are the harness's: give the module \
         as it was built, not one that was prepared before, or rename the export"
    )]
    ReservedName {
        /// The name.
        name: String,
    },
    /// The prepared module would be larger than it may be.
    #[error(
        "the module has {module} bytes and {prepared} once it is prepared, and the limit is {limit} bytes; build it \
         smaller, without debug information for one, or raise `--prepared-limit` (`PrepareOptions::size_limit`)"
    )]
    TooLarge {
        /// Bytes of the module.
        module: u64,
        /// Bytes that it would have.
        prepared: u64,
        /// Bytes that it may have.
        limit: u64,
    },
    /// Cards cannot have this size.
    #[error("cards of {given} bytes are not possible; give a power of two from 256 to 4096")]
    CardSize {
        /// What was given.
        given: u32,
    },
    /// A function has so many locals that the write barrier cannot add its own.
    #[error("a function has {locals} locals, which leaves no room for those of the write barrier")]
    TooManyLocals {
        /// How many.
        locals: u32,
    },
    /// The module could not be read. It was validated before, so the bytes are others than those that were analysed.
    #[error("the module could not be rewritten: {message} (at byte {offset})")]
    Malformed {
        /// What the parser says.
        message: String,
        /// Where, in bytes from the start of the file.
        offset: u64,
    },
}

impl From<wasmparser::Error> for PrepareError {
    fn from(error: wasmparser::Error) -> Self {
        Self::Malformed { message: error.message().to_owned(), offset: error.offset() }
    }
}

/// Prepares a module. `info` is the analysis of the same bytes.
///
/// # Errors
/// [`PrepareError`] when the module exports a reserved name or would become too large, when it cannot be given the write
/// barrier that is asked for, or when `info` is of other bytes.
pub fn prepare(wasm: &[u8], info: &ModuleInfo, options: PrepareOptions) -> Result<Prepared, PrepareError> {
    if let Some(export) = info.exports.iter().find(|export| export.name.starts_with(RESERVED_PREFIX)) {
        return Err(PrepareError::ReservedName { name: export.name.clone() });
    }
    let mut additions = splice::Additions::default();
    let globals = globals::plan(info, &mut additions);
    let growth = options.virtual_growth.then(|| growth::VirtualGrowth::plan(info, &mut additions)).flatten();
    let barrier = match options.barrier {
        Some(options) => barrier::plan(wasm, info, options, &mut additions)?,
        None => None,
    };
    let (barrier, mut insertions) = barrier.map_or_else(Default::default, |(barrier, code)| (Some(barrier), code));
    let stack = if options.lowest_stack && barrier.is_none() { stack::plan(wasm, info)? } else { None };
    let lowest_stack = stack.is_some();
    insertions.extend(stack.into_iter().flatten());
    let entrances = calls::plan(info, &globals, &mut additions);
    let counted = if options.count_allocations { allocations::plan(info, &mut additions) } else { Vec::new() };
    let edits: Vec<&dyn splice::Edit> = growth.iter().map(|growth| growth as &dyn splice::Edit).collect();
    let module = wasm.len() as u64;
    let (wasm, offsets) = splice::splice(wasm, &additions, &edits, &insertions)?;
    let (prepared, limit) = (wasm.len() as u64, options.size_limit);
    if prepared > limit {
        return Err(PrepareError::TooLarge { module, prepared, limit });
    }
    let logical_pages_export = growth.map(|_| LOGICAL_PAGES_EXPORT);
    Ok(Prepared { wasm, globals, entrances, logical_pages_export, barrier, lowest_stack, counted, offsets })
}

#[cfg(test)]
mod tests;
