//! A prepared module, and how to reach what was added to it.

use crate::offsets::OffsetMap;
use crate::passes::allocations::CountedFunction;
use crate::passes::barrier::Barrier;
use crate::passes::entrances::Entrance;
use crate::passes::globals::ExportedGlobal;

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
