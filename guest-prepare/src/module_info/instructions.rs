//! The instructions of a module that matter to a restore: how often they occur, and where first.

use std::collections::BTreeSet;

use wasmparser::Operator;

/// Kinds of instruction that matter to a restore.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
#[repr(usize)]
pub enum Tracked {
    /// `memory.size`.
    MemorySize,
    /// `memory.grow`.
    MemoryGrow,
    /// `memory.copy`.
    MemoryCopy,
    /// `memory.fill`.
    MemoryFill,
    /// `memory.init`.
    MemoryInit,
    /// `data.drop`.
    DataDrop,
    /// `elem.drop`.
    ElemDrop,
    /// `table.set`.
    TableSet,
    /// `table.grow`.
    TableGrow,
    /// `table.fill`.
    TableFill,
    /// `table.copy`.
    TableCopy,
    /// `table.init`.
    TableInit,
    /// A store of an integer or a float.
    Store,
    /// A store of a vector or of one of its lanes.
    VectorStore,
    /// Any instruction of the threads proposal.
    Atomic,
}

impl Tracked {
    /// All kinds.
    pub const ALL: [Self; 15] = [
        Self::MemorySize,
        Self::MemoryGrow,
        Self::MemoryCopy,
        Self::MemoryFill,
        Self::MemoryInit,
        Self::DataDrop,
        Self::ElemDrop,
        Self::TableSet,
        Self::TableGrow,
        Self::TableFill,
        Self::TableCopy,
        Self::TableInit,
        Self::Store,
        Self::VectorStore,
        Self::Atomic,
    ];

    /// The kinds that change a table.
    pub const TABLE_MUTATIONS: [Self; 5] =
        [Self::TableSet, Self::TableGrow, Self::TableFill, Self::TableCopy, Self::TableInit];

    /// The instruction's name in the text format, or a name for the group of instructions.
    #[must_use]
    pub const fn mnemonic(self) -> &'static str {
        match self {
            Self::MemorySize => "memory.size",
            Self::MemoryGrow => "memory.grow",
            Self::MemoryCopy => "memory.copy",
            Self::MemoryFill => "memory.fill",
            Self::MemoryInit => "memory.init",
            Self::DataDrop => "data.drop",
            Self::ElemDrop => "elem.drop",
            Self::TableSet => "table.set",
            Self::TableGrow => "table.grow",
            Self::TableFill => "table.fill",
            Self::TableCopy => "table.copy",
            Self::TableInit => "table.init",
            Self::Store => "store",
            Self::VectorStore => "v128.store",
            Self::Atomic => "atomic",
        }
    }

    fn of(operator: &Operator<'_>, proposal: &'static str) -> Option<Self> {
        Some(match operator {
            Operator::MemorySize { .. } => Self::MemorySize,
            Operator::MemoryGrow { .. } => Self::MemoryGrow,
            Operator::MemoryCopy { .. } => Self::MemoryCopy,
            Operator::MemoryFill { .. } => Self::MemoryFill,
            Operator::MemoryInit { .. } => Self::MemoryInit,
            Operator::DataDrop { .. } => Self::DataDrop,
            Operator::ElemDrop { .. } => Self::ElemDrop,
            Operator::TableSet { .. } => Self::TableSet,
            Operator::TableGrow { .. } => Self::TableGrow,
            Operator::TableFill { .. } => Self::TableFill,
            Operator::TableCopy { .. } => Self::TableCopy,
            Operator::TableInit { .. } => Self::TableInit,
            Operator::I32Store { .. }
            | Operator::I64Store { .. }
            | Operator::F32Store { .. }
            | Operator::F64Store { .. }
            | Operator::I32Store8 { .. }
            | Operator::I32Store16 { .. }
            | Operator::I64Store8 { .. }
            | Operator::I64Store16 { .. }
            | Operator::I64Store32 { .. } => Self::Store,
            Operator::V128Store { .. }
            | Operator::V128Store8Lane { .. }
            | Operator::V128Store16Lane { .. }
            | Operator::V128Store32Lane { .. }
            | Operator::V128Store64Lane { .. } => Self::VectorStore,
            _ if proposal == "threads" => Self::Atomic,
            _ => return None,
        })
    }
}

/// How often a kind of instruction occurs, and where first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Occurrences {
    /// The number of occurrences.
    pub count: u32,
    /// Index of the first function that contains it.
    pub first_function: Option<u32>,
}

/// The instructions of a module, as far as they matter to a restore.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InstructionUse {
    occurrences: [Occurrences; Tracked::ALL.len()],
    data_segments_read: BTreeSet<u32>,
    proposals: BTreeSet<&'static str>,
}

impl InstructionUse {
    /// How often this kind of instruction occurs, and where first.
    #[must_use]
    pub fn of(&self, kind: Tracked) -> Occurrences {
        self.occurrences.get(kind as usize).copied().unwrap_or_default()
    }

    /// How often this kind of instruction occurs.
    #[must_use]
    pub fn count(&self, kind: Tracked) -> u32 {
        self.of(kind).count
    }

    /// Whether this kind of instruction occurs.
    #[must_use]
    pub fn any(&self, kind: Tracked) -> bool {
        self.count(kind) != 0
    }

    /// Indices of the data segments that `memory.init` reads.
    #[must_use]
    pub fn data_segments_read(&self) -> &BTreeSet<u32> {
        &self.data_segments_read
    }

    /// The proposals whose instructions occur, by their names in `wasmparser`, for instance `bulk_memory` or `simd`. The set
    /// leaves out `mvp`.
    #[must_use]
    pub fn proposals(&self) -> &BTreeSet<&'static str> {
        &self.proposals
    }

    pub(super) fn record(&mut self, function: u32, operator: &Operator<'_>) {
        let proposal = proposal(operator);
        if proposal != "mvp" {
            self.proposals.insert(proposal);
        }
        if let Operator::MemoryInit { data_index, .. } = operator {
            self.data_segments_read.insert(*data_index);
        }
        if let Some(kind) = Tracked::of(operator, proposal) {
            let occurrences = &mut self.occurrences[kind as usize];
            occurrences.count += 1;
            occurrences.first_function.get_or_insert(function);
        }
    }
}

macro_rules! define_proposal {
    ($(@$proposal:ident $op:ident $({ $($arg:ident: $ty:ty),* })? => $visit:ident ($($ann:tt)*))*) => {
        /// The proposal that an instruction belongs to.
        fn proposal(operator: &Operator<'_>) -> &'static str {
            match operator {
                $(Operator::$op { .. } => stringify!($proposal),)*
                _ => "unknown",
            }
        }
    };
}
wasmparser::for_each_operator!(define_proposal);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_own_slot() {
        for (slot, kind) in Tracked::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, slot, "{kind:?}");
        }
    }

    #[test]
    fn occurrences_are_counted_and_remember_the_first_function() {
        let mut uses = InstructionUse::default();
        uses.record(3, &Operator::MemoryGrow { mem: 0 });
        uses.record(4, &Operator::MemoryGrow { mem: 0 });
        uses.record(4, &Operator::MemoryInit { data_index: 7, mem: 0 });
        uses.record(5, &Operator::I8x16Swizzle);
        uses.record(5, &Operator::AtomicFence);
        assert_eq!(uses.of(Tracked::MemoryGrow), Occurrences { count: 2, first_function: Some(3) });
        assert_eq!(uses.count(Tracked::Atomic), 1);
        assert!(!uses.any(Tracked::Store));
        assert!(uses.data_segments_read().contains(&7));
        assert_eq!(uses.proposals().iter().copied().collect::<Vec<_>>(), ["bulk_memory", "simd", "threads"]);
    }
}
