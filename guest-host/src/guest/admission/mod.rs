//! Whether and how a module can be run and restored, decided at load, with reasons.
//!
//! Two questions are answered apart. The *contract*: is this a guest that the harness can feed and invoke
//! ([`ContractError`])? The *restore*: may its instances be put back in place, and by which strategies ([`Refusal`])?
//! A module that is refused in place still runs: it is re-instantiated, unless the refusal says otherwise
//! ([`Instead`]).
//!
//! This module decides once what follows from the guest's module. Which allocator keeps the control block, and its claims,
//! are known only in an instance: [`check_control_block`] and [`check_bump_reset`] check them after instantiation.

mod blocks;
mod contract;
mod refusal;
mod run_time;
mod wasi;

use crate::restore::policy::RestoreStrategy;
use guest_prepare::module_info::{MemoryLayout, ModuleInfo, Occurrences, Tracked, ValueType};

pub use blocks::block_imports;
pub use contract::{
    BareContract, Contract, ContractError, ExtTinyGoContract, KnownImport, NativeContract, UnknownImport,
    exttinygo_imports, known_imports, native_imports,
};
pub use refusal::{Instead, NoWriteBarrier, Refusal, Site};
pub use run_time::{check_bump_reset, check_control_block};
pub use wasi::wasi_imports;

/// The findings of admission about a module.
///
/// ```
/// use guest_host::RestoreStrategy;
/// use guest_host::admission::{Admission, Refusal};
/// use guest_host::module_info::ModuleInfo;
///
/// # let wasm = wat::parse_str(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/shop.wat")))?;
/// let admission = Admission::of(&ModuleInfo::analyse(&wasm)?);
/// assert_eq!(admission.contract.as_ref().unwrap().functions(), ["count_up", "refuse", "spin"]);
/// // Every module that can be restored in place can be restored by a full copy; a reset asks for more.
/// assert!(admission.admits(RestoreStrategy::FullCopy).is_ok());
/// let reasons: Vec<Refusal> = admission.admits(RestoreStrategy::BumpReset).unwrap_err();
/// assert!(reasons.contains(&Refusal::NoControlBlock));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Admission {
    /// Why instances cannot be restored in place. Empty: a full copy restores them exactly.
    pub in_place: Vec<Refusal>,
    /// Further reasons against the strategies that follow the allocator. If this and [`Self::in_place`] are empty, the
    /// control block decides at run time.
    pub allocator: Vec<Refusal>,
    /// Where stack, statics and heap lie, if the module tells.
    pub layout: Option<MemoryLayout>,
    /// Address of the allocator's control block, if the module has one.
    pub control_block: Option<u32>,
    /// The contract that the module keeps, or why it keeps none.
    pub contract: Result<Contract, Vec<ContractError>>,
}

impl Admission {
    /// Judges a module against the contract that it speaks and the imports that this names.
    #[must_use]
    pub fn of(info: &ModuleInfo) -> Self {
        Self::with_imports(info, &known_imports(info.contract()))
    }

    /// Judges a module against the contract that it speaks when the host offers these imports, for instance
    /// [`known_imports`] and some of its own.
    #[must_use]
    pub fn with_imports(info: &ModuleInfo, offered: &[KnownImport]) -> Self {
        let mut allocator = Vec::new();
        let control_block = info.control_block_address();
        if control_block.is_none() {
            allocator.push(Refusal::NoControlBlock);
        }
        let layout = info.layout().map_err(|reason| allocator.push(Refusal::LayoutUnknown { reason })).ok();
        Self { in_place: in_place(info), allocator, layout, control_block, contract: contract::judge(info, offered) }
    }

    /// Whether a full copy restores instances exactly.
    ///
    /// # Errors
    /// The refusals, all of them.
    pub fn full_copy(&self) -> Result<(), Vec<Refusal>> {
        none_or(self.in_place.clone())
    }

    /// Whether strategies that follow the allocator (watermark, and as far as the module can tell bump-reset) restore
    /// instances; [`check_control_block`] and [`check_bump_reset`] have the last word.
    ///
    /// These strategies take the guest's word for where its heap begins and how far it reached. A guest that lies
    /// harms only itself: what one of its calls left behind, a later call may find.
    ///
    /// # Errors
    /// The refusals, all of them.
    pub fn allocator_aware(&self) -> Result<(), Vec<Refusal>> {
        none_or(self.in_place.iter().chain(&self.allocator).cloned().collect())
    }

    /// Whether the engine can run the module at all.
    ///
    /// # Errors
    /// The refusals that leave nothing else ([`Instead::Nothing`]).
    pub fn runnable(&self) -> Result<(), Vec<Refusal>> {
        none_or(self.in_place.iter().filter(|refusal| refusal.instead() == Instead::Nothing).cloned().collect())
    }

    /// Whether the module alone allows the strategy. `Auto` picks one that does.
    ///
    /// # Errors
    /// The refusals, all of them.
    pub fn admits(&self, strategy: RestoreStrategy) -> Result<(), Vec<Refusal>> {
        match strategy {
            RestoreStrategy::Auto | RestoreStrategy::Reinstantiate => self.runnable(),
            RestoreStrategy::FullCopy | RestoreStrategy::DirtyCards => self.full_copy(),
            RestoreStrategy::Watermark | RestoreStrategy::BumpReset => self.allocator_aware(),
        }
    }
}

fn none_or(refusals: Vec<Refusal>) -> Result<(), Vec<Refusal>> {
    if refusals.is_empty() { Ok(()) } else { Err(refusals) }
}

/// Every reason against putting instances of the module back in place.
fn in_place(info: &ModuleInfo) -> Vec<Refusal> {
    let mut refusals = Vec::new();
    if let Some(message) = &info.engine_refusal {
        refusals.push(Refusal::EngineFeature { message: message.clone() });
    }
    memories(info, &mut refusals);
    globals(info, &mut refusals);
    tables(info, &mut refusals);
    segments(info, &mut refusals);
    refusals
}

fn memories(info: &ModuleInfo, refusals: &mut Vec<Refusal>) {
    match info.memories.as_slice() {
        [] | [_] => {}
        several => refusals.push(Refusal::SeveralMemories { count: several.len() }),
    }
    if info.memories.iter().any(|memory| memory.imported) {
        refusals.push(Refusal::ImportedMemory);
    }
    if info.memories.iter().any(|memory| memory.ty.shared) {
        refusals.push(Refusal::SharedMemory);
    }
    if info.memories.iter().any(|memory| memory.ty.memory64) {
        refusals.push(Refusal::Memory64);
    }
    let atomics = info.instructions.of(Tracked::Atomic);
    if atomics.count > 0 {
        refusals.push(Refusal::Threads { at: site(info, Tracked::Atomic, atomics) });
    }
}

fn globals(info: &ModuleInfo, refusals: &mut Vec<Refusal>) {
    for global in info.globals.iter().filter(|global| global.ty.mutable) {
        let called = global.name.clone().or_else(|| global.exports.first().cloned());
        if global.imported {
            refusals.push(Refusal::ImportedGlobal { index: global.index, name: called });
        } else if let ValueType::Ref(ty) = &global.ty.value {
            refusals.push(Refusal::ReferenceGlobal { index: global.index, name: called, ty: ty.clone() });
        }
    }
}

fn tables(info: &ModuleInfo, refusals: &mut Vec<Refusal>) {
    if info.tables.iter().any(|table| table.imported) {
        refusals.push(Refusal::ImportedTable);
    }
    for kind in Tracked::TABLE_MUTATIONS {
        let found = info.instructions.of(kind);
        if found.count > 0 {
            refusals.push(Refusal::TableMutation { at: site(info, kind, found) });
        }
    }
}

fn segments(info: &ModuleInfo, refusals: &mut Vec<Refusal>) {
    for kind in [Tracked::DataDrop, Tracked::ElemDrop] {
        let found = info.instructions.of(kind);
        if found.count > 0 {
            refusals.push(Refusal::SegmentDropped { at: site(info, kind, found) });
        }
    }
    let found = info.instructions.of(Tracked::MemoryInit);
    if let Some(segment) = info.instructions.data_segments_read().first() {
        refusals.push(Refusal::SegmentRead { segment: *segment, at: site(info, Tracked::MemoryInit, found) });
    }
}

fn site(info: &ModuleInfo, kind: Tracked, found: Occurrences) -> Site {
    Site {
        instruction: kind.mnemonic(),
        count: found.count,
        first_function: found.first_function.map(|index| info.function_name(index)).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests;
