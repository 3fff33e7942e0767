#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

// How the preparation works: the passes in `passes` record their changes in `changes`, and `splice` makes all changes in
// one pass over the module's bytes. Everything that a pass adds is appended, so indices stay what they were. Bytes that
// no pass changes are copied as they stand: custom sections, names, data, and every function body without changes. The
// module is not decoded and encoded anew as a whole: encoders write numbers in their shortest form, linkers often do not,
// so every offset into the code would move.

pub mod cards;
mod changes;
mod error;
pub mod module_info;
mod names;
mod offsets;
mod options;
pub mod passes;
mod prepare;
mod prepared;
mod setters;
mod splice;
#[cfg(test)]
mod tests;

pub use error::PrepareError;
pub use module_info::{ContractKind, ModuleError, ModuleInfo};
pub use offsets::OffsetMap;
pub use options::PrepareOptions;
pub use passes::allocations::{CountedAs, CountedFunction, CounterExports, FoundBy, tells_allocations};
pub use passes::barrier::{Barrier, BarrierOptions, Elisions, StoreCounts};
pub use passes::entrances::Entrance;
pub use passes::globals::ExportedGlobal;
pub use passes::stack::RED_ZONE;
pub use prepare::prepare;
pub use prepared::Prepared;
