//! The reasons against a way of restoring, each with the alternative.

use std::fmt;

use guest_abi::control_block::ParseError;

use guest_prepare::PrepareError;
use guest_prepare::module_info::LayoutUnknown;

/// The alternative if a way of restoring is refused. They are in ascending order of the strategies that remain: if several
/// reasons refuse a way, the smallest of their alternatives is the one to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Instead {
    /// None: the engine cannot run the module.
    Nothing,
    /// A new instance in the place of the old one.
    Reinstantiate,
    /// Copying back the whole memory.
    FullCopyOnly,
    /// Copying back the written cards, or the whole memory.
    FullCopy,
    /// Copying back statics and the snapshot's heap, and zeroing the rest up to the high-water mark.
    Watermark,
}

impl fmt::Display for Instead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "the module cannot be run",
            Self::Reinstantiate => "use strategy `reinstantiate`",
            Self::FullCopy => "use strategy `dirty-cards` or `full-copy`",
            Self::FullCopyOnly => "use strategy `full-copy`",
            Self::Watermark => "use strategy `watermark`",
        })
    }
}

/// Where an instruction occurs.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Site {
    /// The instruction, as the text format writes it; of a group of instructions, the group's name.
    pub instruction: &'static str,
    /// How often it occurs.
    pub count: u32,
    /// The first function that contains it.
    pub first_function: String,
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` in `{}`", self.instruction, self.first_function)?;
        match self.count {
            0 | 1 => Ok(()),
            2 => f.write_str(" and 1 other place"),
            count => write!(f, " and {} other places", count - 1),
        }
    }
}

/// Why a module cannot have a write barrier.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum NoWriteBarrier {
    /// An error of the preparation.
    Prepare(PrepareError),
    /// The engine's reason not to compile the prepared module.
    Compile(String),
}

impl fmt::Display for NoWriteBarrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Prepare(error) => error.fmt(f),
            Self::Compile(reason) => f.write_str(reason),
        }
    }
}

/// A reason against a way of restoring. Displays as the reason and, after a semicolon, the alternative;
/// [`Self::reason`] is the first half alone, for lists.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// The module needs a proposal that the engine is built without.
    EngineFeature {
        /// The validator's message.
        message: String,
    },
    /// A memory is shared between threads.
    SharedMemory,
    /// The module uses instructions of the threads proposal.
    Threads {
        /// Where.
        at: Site,
    },
    /// A memory has 64-bit addresses.
    Memory64,
    /// There is more than one memory.
    SeveralMemories {
        /// How many.
        count: usize,
    },
    /// A memory comes from outside.
    ImportedMemory,
    /// A mutable global comes from outside.
    ImportedGlobal {
        /// Its index.
        index: u32,
        /// Its name, if it has one.
        name: Option<String>,
    },
    /// A table comes from outside.
    ImportedTable,
    /// A mutable global holds a reference.
    ReferenceGlobal {
        /// Its index.
        index: u32,
        /// Its name, if it has one.
        name: Option<String>,
        /// Type of the reference.
        ty: String,
    },
    /// A table is changed.
    TableMutation {
        /// By which instruction, and where.
        at: Site,
    },
    /// A data or element segment is dropped.
    SegmentDropped {
        /// By which instruction, and where.
        at: Site,
    },
    /// A data segment is read at run time.
    SegmentRead {
        /// Index of the first such segment.
        segment: u32,
        /// By which instruction, and where.
        at: Site,
    },
    /// The module has no allocator that keeps a control block.
    NoControlBlock,
    /// The module cannot have a write barrier.
    NoWriteBarrier {
        /// Why.
        reason: NoWriteBarrier,
    },
    /// Nobody knows where stack, statics and heap lie.
    LayoutUnknown {
        /// Why.
        reason: LayoutUnknown,
    },
    /// The address of the control block does not point to one.
    BadControlBlock {
        /// Why.
        reason: ParseError,
    },
    /// The allocator has not run yet, so its control block says nothing.
    AllocatorNotRun,
    /// The control block names an allocator that this version does not know.
    UnknownAllocator {
        /// Its number.
        kind: u16,
    },
    /// The control block contradicts the module or itself.
    InconsistentControlBlock {
        /// In which respect.
        what: &'static str,
        /// The address that the control block claims.
        claimed: u32,
        /// The bound that it violates.
        bound: u64,
    },
    /// The allocator cannot be reset by the host.
    NotBumpReset {
        /// Which allocator it is.
        found: &'static str,
    },
}

impl Refusal {
    /// The alternative.
    #[must_use]
    pub const fn instead(&self) -> Instead {
        match self {
            Self::EngineFeature { .. } | Self::SharedMemory | Self::Threads { .. } => Instead::Nothing,
            Self::NoWriteBarrier { .. } => Instead::FullCopyOnly,
            Self::NoControlBlock
            | Self::LayoutUnknown { .. }
            | Self::BadControlBlock { .. }
            | Self::AllocatorNotRun
            | Self::UnknownAllocator { .. }
            | Self::InconsistentControlBlock { .. } => Instead::FullCopy,
            Self::NotBumpReset { .. } => Instead::Watermark,
            _ => Instead::Reinstantiate,
        }
    }

    /// The reason without the alternative.
    #[must_use]
    pub fn reason(&self) -> String {
        match self {
            Self::EngineFeature { message } => {
                format!("the module needs a WebAssembly proposal that this engine is built without: {message}")
            }
            Self::SharedMemory => "the memory is shared between threads; build the guest without atomics".to_owned(),
            Self::Threads { at } => {
                format!("threads are not supported: {at} is of the threads proposal; build the guest without atomics")
            }
            Self::Memory64 => "the memory has 64-bit addresses, which restores in place do not support".to_owned(),
            Self::SeveralMemories { count } => {
                format!("the module has {count} memories, and a restore in place puts back only one")
            }
            Self::ImportedMemory => "the memory is imported, so others may change it too".to_owned(),
            Self::ImportedGlobal { index, name } => {
                format!("{} is imported and mutable, so others may change it too", global(*index, name.as_deref()))
            }
            Self::ImportedTable => "a table is imported, so others may change it too".to_owned(),
            Self::ReferenceGlobal { index, name, ty } => {
                format!(
                    "{} is mutable and holds a reference ({ty}), which cannot be saved",
                    global(*index, name.as_deref())
                )
            }
            Self::TableMutation { at } => {
                format!("{at} changes a table, and tables cannot be put back in place")
            }
            Self::SegmentDropped { at } => {
                format!("{at} drops a segment, and a dropped segment cannot be put back")
            }
            Self::SegmentRead { segment, at } => {
                format!(
                    "{at} reads data segment {segment} at run time, and a restore cannot put back whether it was dropped"
                )
            }
            Self::NoControlBlock => format!(
                "the module has no allocator of this project (no export `{}`)",
                guest_abi::names::EXPORT_CONTROL_BLOCK
            ),
            Self::NoWriteBarrier { reason } => {
                format!("the module cannot have a write barrier: {reason}")
            }
            Self::LayoutUnknown { reason } => {
                format!("the layout of the module's memory is not known: {reason}")
            }
            Self::BadControlBlock { reason } => {
                format!("the allocator's control block cannot be used: {reason}")
            }
            Self::AllocatorNotRun => {
                "the allocator had not run before the snapshot, so its control block has no addresses".to_owned()
            }
            Self::UnknownAllocator { kind } => {
                format!("the control block names allocator number {kind}, which this version does not know")
            }
            Self::InconsistentControlBlock { what, claimed, bound } => {
                format!("the control block contradicts itself or the module: {what} ({claimed:#x}, bound {bound:#x})")
            }
            Self::NotBumpReset { found } => {
                format!("the guest's allocator is `{found}`, and only `bump-reset` can be reset by the host")
            }
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.reason(), self.instead())
    }
}

impl std::error::Error for Refusal {}

fn global(index: u32, name: Option<&str>) -> String {
    name.map_or_else(|| format!("global {index}"), |name| format!("global {index} (`{name}`)"))
}
