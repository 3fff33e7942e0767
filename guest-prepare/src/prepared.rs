//! A prepared module, and how a host reaches its additions.

use crate::offsets::OffsetMap;
use crate::passes::allocations::{CountedFunction, CounterExports};
use crate::passes::barrier::Barrier;
use crate::passes::entrances::Entrance;
use crate::passes::globals::ExportedGlobal;

/// A prepared module, and how a host reaches its additions.
///
/// ```
/// use guest_prepare::{ModuleInfo, PrepareOptions, prepare};
///
/// let wasm = wat::parse_str(
///     r#"(module (memory (export "memory") 1)
///         (global $pointer (mut i32) (i32.const 1024))
///         (func (export "run") (result i64) (i64.const 0)))"#,
/// )?;
/// let prepared = prepare(&wasm, &ModuleInfo::analyse(&wasm)?, PrepareOptions::default())?;
///
/// // The host reads and writes this global when it takes a snapshot and when it restores.
/// assert_eq!(prepared.globals[0].export_name, "__harness_global_0");
/// // Or it calls this export instead of `run`, and writes the saved value once.
/// assert_eq!(prepared.entrances[0].export_name, "__harness_call_run");
/// assert_eq!(prepared.saved_exports, ["__harness_saved_0"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Prepared {
    /// The rewritten module.
    pub wasm: Vec<u8>,
    /// Export of the memory that a restore puts back: the module's own, or else one that the preparation adds. A module without
    /// a memory has an empty one.
    pub memory_export: String,
    /// Every mutable global of the module's own, by index. The list leaves out imported globals, which belong to the module
    /// that provides them, and all globals that the preparation adds.
    pub globals: Vec<ExportedGlobal>,
    /// Entrances that put [`Self::globals`] back by themselves when the function returns. Empty if a global is no number.
    pub entrances: Vec<Entrance>,
    /// Exports of the mutable globals from which the entrances take the values: one for each of [`Self::globals`], in their
    /// order. The host writes the values once. Empty if there are no entrances.
    pub saved_exports: Vec<String>,
    /// Export of the mutable `i32` global that holds the logical size of the memory, in pages of 64 KiB. `None` if growth
    /// is not virtual: the options leave it out, the module never grows its memory, or its memory is not one 32-bit memory
    /// of its own. Then the physical size is also the logical size.
    pub logical_pages_export: Option<&'static str>,
    /// The write barrier, if the module has one.
    pub barrier: Option<Barrier>,
    /// Whether the module keeps the lowest value of the shadow-stack pointer in its control block.
    pub lowest_stack: bool,
    /// The functions whose calls are counted, by index. Empty if the options leave the counts out, if the guest counts by
    /// itself, and if no function is known to allocate.
    pub counted: Vec<CountedFunction>,
    /// The counters of these calls. `None` if [`Self::counted`] is empty.
    pub counters: Option<CounterExports>,
    /// Where the original module has the code of the prepared one.
    pub offsets: OffsetMap,
}
