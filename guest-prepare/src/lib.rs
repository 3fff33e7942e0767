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

mod error;
pub mod module_info;
mod names;
mod offsets;
mod options;
mod passes;
mod prepare;
mod prepared;
mod setters;
mod splice;
#[cfg(test)]
mod tests;

pub use error::PrepareError;
pub use module_info::{ContractKind, ModuleError, ModuleInfo};
pub use names::{
    CALL_EXPORT_PREFIX, CARDS_EXPORT, GLOBAL_EXPORT_PREFIX, LOGICAL_PAGES_EXPORT, RESERVED_PREFIX, SAVED_EXPORT_PREFIX,
};
pub use offsets::OffsetMap;
pub use options::PrepareOptions;
pub use passes::allocations::{
    ALLOCATIONS_EXPORT, CountedFunction, FREES_EXPORT, REALLOCATIONS_EXPORT, REFUSED_BYTES_EXPORT,
    REQUESTED_BYTES_EXPORT, UNDER_WAY_EXPORT, tells_allocations,
};
pub use passes::allocators::{CountedAs, FoundBy};
pub use passes::barrier::{Barrier, BarrierOptions, Elisions, SLACK, StoreCounts};
pub use passes::entrances::Entrance;
pub use passes::globals::ExportedGlobal;
pub use passes::stack::RED_ZONE;
pub use prepare::prepare;
pub use prepared::Prepared;
