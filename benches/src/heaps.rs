//! The allocators alone: what is asked of each, by guests that differ in nothing else.
//!
//! The guests are `guests/replay` with each allocator of this workspace, and those of `guests/baselines` with others.

use anyhow::{Context, Result};
use guest_host::{Engine, Guest, Instance, InstanceConfig, MemoryState, Residue, RestorePolicy, RestoreStrategy};
use guest_prepare::module_info::ContractKind;
use host_harness::replay::{TraceFile, trace_state};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use alloc_trace::{Numbering, Operation, Trace};

use crate::guests;

/// An allocator, and the module of the guest that has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heap {
    /// Its name in reports.
    pub name: &'static str,
    /// The module's name.
    pub module: &'static str,
}

/// Every allocator: ours first, then Rust's default, then others.
pub const HEAPS: [Heap; 10] = [
    Heap { name: "leaking", module: "replay-leaking" },
    Heap { name: "bump-reset", module: "replay-bump-reset" },
    Heap { name: "freelist", module: "replay-freelist" },
    Heap { name: "wee", module: "replay-wee" },
    Heap { name: "system", module: "replay-system" },
    Heap { name: "talc", module: "replay-talc-system" },
    Heap { name: "rlsf", module: "replay-rlsf-system" },
    Heap { name: "lol_alloc", module: "replay-lol-alloc-system" },
    Heap { name: "mini-alloc", module: "replay-mini-alloc-system" },
    Heap { name: "wee_alloc 0.4", module: "replay-wee-alloc-system" },
];

/// What an allocator is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workload {
    /// Random allocations, reallocations and frees.
    Random,
    /// Vectors that grow side by side.
    Vectors,
    /// Strings that are made and dropped.
    Strings,
    /// A list of records, none of which is freed.
    Kept,
    /// A trace of this workspace, by its name.
    Trace(&'static str),
}

impl Workload {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Random,
        Self::Vectors,
        Self::Strings,
        Self::Kept,
        Self::Trace("json"),
        Self::Trace("markdown"),
        Self::Trace("regex"),
        Self::Trace("rust-parser"),
        Self::Trace("template"),
    ];

    /// Its name in reports.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Random => "random".to_owned(),
            Self::Vectors => "vectors".to_owned(),
            Self::Strings => "strings".to_owned(),
            Self::Kept => "kept".to_owned(),
            Self::Trace(name) => format!("traces/{name}"),
        }
    }

    /// The guest's function.
    #[must_use]
    pub fn function(self) -> &'static str {
        match self {
            Self::Vectors => "vectors",
            Self::Strings => "strings",
            Self::Kept => "kept",
            Self::Random | Self::Trace(_) => "serve",
        }
    }

    /// The function that does the same without the allocator, where that can be done.
    #[must_use]
    pub fn without_allocator(self) -> Option<&'static str> {
        matches!(self, Self::Random | Self::Trace(_)).then_some("walk")
    }

    /// An instance of a guest that is ready to run it. It is restored when its user says so.
    ///
    /// # Errors
    /// The guest has not been built, or the trace is not there.
    pub fn instance(self, engine: &Engine, heap: Heap) -> Result<Instance> {
        self.of_guest(&guests::load(engine, heap.module)?)
    }

    /// The same of a guest that has been loaded.
    ///
    /// # Errors
    /// The trace is not there, or the guest cannot be instantiated.
    pub fn of_guest(self, guest: &Guest) -> Result<Instance> {
        let mut config = guests::config(RestoreStrategy::FullCopy, RestorePolicy::Never, Residue::Keep);
        config.count = true;
        let state = self.state(&config)?;
        guest.instantiate(&config, state).with_context(|| format!("an instance of {}", guest.name()))
    }

    fn state(self, config: &InstanceConfig) -> Result<MemoryState> {
        let trace = match self {
            Self::Random => random(),
            Self::Trace(name) => {
                let path = guests::root().join("traces").join(name).with_extension("trace");
                TraceFile::load(&path, Numbering::FromZero)?.trace
            }
            _ => return Ok(MemoryState::new()),
        };
        Ok(trace_state(&trace, config.exchange_size(ContractKind::Native))?)
    }
}

/// Random actions.
const ACTIONS: usize = 10_000;

/// Blocks that are alive at one time, once there are as many.
const BLOCKS: usize = 500;

/// The same actions each time: a third each of allocations, reallocations and frees, of blocks that are mostly small.
fn random() -> Trace {
    let mut random = ChaCha8Rng::seed_from_u64(3);
    let (mut alive, mut made, mut operations) = (Vec::new(), 0, Vec::new());
    while operations.len() < ACTIONS {
        // As many sizes between 8 and 16 bytes as between 4 and 8 KiB.
        let size = (1_u32 << random.random_range(2..12)) * random.random_range(256..512) / 256;
        let chosen = random.random_range(0..BLOCKS.max(alive.len()));
        operations.push(match alive.get(chosen) {
            None => {
                alive.push(made);
                made += 1;
                Operation::Alloc { size }
            }
            Some(_) if random.random_bool(0.5) => Operation::Free { allocation: alive.swap_remove(chosen) },
            Some(allocation) => Operation::Realloc { allocation: *allocation, size },
        });
    }
    Trace::new(operations).expect("only blocks that are alive are freed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_actions_are_the_same_each_time_and_of_every_kind() {
        let trace = random();
        assert_eq!(trace.operations(), random().operations());
        let summary = trace.summary();
        for kind in [summary.allocations, summary.frees, summary.reallocations] {
            assert!(kind > 2_000, "{summary:?}");
        }
        assert!((100..=500).contains(&summary.peak_live_blocks), "{summary:?}");
    }

    #[test]
    fn names_are_told_apart() {
        let mut names: Vec<_> = Workload::ALL.map(Workload::name).to_vec();
        names.extend(HEAPS.map(|heap| heap.name.to_owned()));
        names.sort();
        names.dedup();
        assert_eq!(names.len(), Workload::ALL.len() + HEAPS.len());
    }
}
