//! Where the bytes of a guest's memory go, beside a budget that a host would give it.
//!
//! The regions are those of a pristine instance, the sizes of statics are the module's. A guest fits if an instance can be
//! made within the budget and no function that was called on one ran out of memory.

mod advice;
mod parts;

use guest_abi::names::PAGE_SIZE;
use guest_host::{Cause, Guest, Instance, InstanceConfig, LoadError, MemoryState, RestorePolicy, RestoreStrategy};
use guest_prepare::module_info::{ModuleInfo, Placement};
use serde::{Deserialize, Serialize};

use crate::functions::{arguments_of, select};
pub(crate) use advice::advice;
pub use parts::{Part, PartKind};

/// Data segments that are listed at most.
const MOST_SEGMENTS: usize = 5;

/// A guest's memory beside a budget. All sizes are bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Budget {
    /// The budget.
    pub budget: u64,
    /// Whether an instance can be made within the budget, and no function that was called on one ran out of memory.
    pub fits: bool,
    /// Bytes by which the budget is too small: 0 if the guest fits, null if no memory limit is known to be enough.
    pub missing: Option<u64>,
    /// The smallest memory in which an instance could be made; null if none could be made.
    pub needed: Option<u64>,
    /// The memory that the module declares as its minimum.
    pub declared: u64,
    /// The parts of the memory. Their sum is the budget if an instance can be made within it, and otherwise `needed`. If none can be
    /// made, they are what the module alone tells.
    pub parts: Vec<Part>,
    /// Bytes of the shadow stack that initialisation or a successful call wrote at most; null if no call succeeded, or if the
    /// stack is not known.
    pub stack_used: Option<u64>,
    /// The largest data segments, the largest first.
    pub segments: Vec<Segment>,
    /// Functions that were called once, each on a pristine instance.
    pub calls: Vec<BudgetCall>,
}

/// A data segment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Segment {
    /// Its name: `.rodata` or `.data`, or that of a static if the linker did not merge segments; null if the module has none.
    pub name: Option<String>,
    /// Its first address; null if it is known only at instantiation.
    pub address: Option<u64>,
    /// Its bytes.
    pub bytes: u64,
}

/// A call of a function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct BudgetCall {
    /// The function.
    pub function: String,
    /// A word for the cause if the call failed, see [`Cause::kind`].
    pub failure: Option<String>,
    /// Bytes of the shadow stack that it wrote; null if it failed, or if the stack is not known.
    pub stack: Option<u64>,
    /// Bytes of heap up to the highest that was allocated; null if it failed, or without a control block.
    pub heap: Option<u64>,
    /// Bytes of memory after the call.
    pub memory: u64,
    /// Whether the call ran out of memory within the budget.
    pub out_of_memory: bool,
    /// Bytes of memory with which the call succeeded if it ran out of memory within the budget; null if no memory was enough.
    pub needed: Option<u64>,
}

impl Budget {
    /// The memory of a guest beside a budget of so many bytes.
    #[must_use]
    pub fn of(guest: &Guest, budget: u64, config: &InstanceConfig, state: &MemoryState) -> Self {
        let info = guest.info();
        let within = Within { guest, config, state };
        let declared = info.memories.first().map_or(0, |memory| in_bytes(memory.ty.minimum));
        let ample = config.memory_limit.max(budget);
        let (needed, instance) = match within.instance(budget) {
            Ok(instance) => (Some(in_bytes(instance.physical_pages())), Some(instance)),
            Err(_) => within.smallest(declared.max(budget), ample),
        };
        let starts = needed.is_some_and(|needed| needed <= budget);
        let limit = if starts { budget } else { ample };
        let mut calls = if instance.is_some() { within.calls(limit) } else { Vec::new() };
        for call in calls.iter_mut().filter(|call| call.out_of_memory) {
            let again = within.call(&call.function, ample).filter(|again| !again.out_of_memory && limit < ample);
            call.needed = again.map(|again| again.memory);
            call.out_of_memory = starts;
        }
        let started = instance.as_ref().and_then(stack_used);
        let overflows = calls.iter().filter(|call| call.out_of_memory);
        // Nothing is known to be enough if one of these is not known.
        let enough = overflows.map(|call| call.needed).fold(needed, |most, call| Some(most?.max(call?)));
        let fits = starts && calls.iter().all(|call| !call.out_of_memory);
        Self {
            budget,
            fits,
            missing: if fits { Some(0) } else { enough.map(|enough| enough.saturating_sub(budget)) },
            needed,
            declared,
            parts: parts::parts(info, instance.as_ref(), budget),
            stack_used: calls.iter().filter_map(|call| call.stack).max().max(started).filter(|_| any_succeeded(&calls)),
            segments: segments(info),
            calls,
        }
    }

    /// Bytes of a kind of part.
    #[must_use]
    pub fn bytes(&self, kind: PartKind) -> u64 {
        self.parts.iter().filter(|part| part.kind == kind).map(|part| part.bytes).sum()
    }
}

/// How instances and calls are made.
struct Within<'a> {
    guest: &'a Guest,
    config: &'a InstanceConfig,
    state: &'a MemoryState,
}

impl Within<'_> {
    /// A pristine instance with so much memory at most.
    fn instance(&self, limit: u64) -> Result<Instance, LoadError> {
        // Every guest can be restored like this; what a call leaves stays to be looked at.
        let config =
            self.config.clone().with_strategy(RestoreStrategy::Reinstantiate).with_policy(RestorePolicy::Never);
        let arguments = arguments_of(self.guest, &config.arguments);
        let config = config.with_memory_limit(limit).with_arguments(arguments).with_count(true);
        self.guest.instantiate(&config, self.state.clone())
    }

    /// The smallest memory from `least` to `most` in which an instance can be made, and the instance.
    fn smallest(&self, least: u64, most: u64) -> (Option<u64>, Option<Instance>) {
        let Ok(mut found) = self.instance(most) else { return (None, None) };
        // An allocator may take more at once where it gets more.
        let (mut below, mut enough) = (least / u64::from(PAGE_SIZE), found.physical_pages());
        while below < enough {
            let pages = below.midpoint(enough);
            match self.instance(in_bytes(pages)) {
                Ok(instance) => (found, enough) = (instance, pages),
                Err(_) => below = pages + 1,
            }
        }
        (Some(in_bytes(enough)), Some(found))
    }

    /// Calls each function that needs no arguments, or has them.
    fn calls(&self, limit: u64) -> Vec<BudgetCall> {
        let arguments = arguments_of(self.guest, &self.config.arguments);
        let selected = select(self.guest, &[], &arguments).unwrap_or_default();
        selected.functions.iter().filter_map(|function| self.call(function, limit)).collect()
    }

    /// Calls a function on a pristine instance; `None` if there is none.
    fn call(&self, function: &str, limit: u64) -> Option<BudgetCall> {
        let handle = self.guest.function(function).ok()?;
        let mut instance = self.instance(limit).ok()?;
        let failure = instance.invoke(handle).err().map(|failure| failure.cause);
        // Of a call that failed nothing is left to look at.
        let left = Some(&instance).filter(|_| failure.is_none());
        Some(BudgetCall {
            function: function.to_owned(),
            stack: left.and_then(stack_used),
            heap: left.and_then(heap_used),
            memory: in_bytes(instance.physical_pages().max(instance.last_stats().pages)),
            out_of_memory: matches!(failure, Some(Cause::OutOfMemory { .. })),
            failure: failure.map(|cause| cause.kind().to_owned()),
            needed: None,
        })
    }
}

fn any_succeeded(calls: &[BudgetCall]) -> bool {
    calls.iter().any(|call| call.failure.is_none())
}

fn in_bytes(pages: u64) -> u64 {
    pages.saturating_mul(PAGE_SIZE.into())
}

/// Bytes from the lowest that is not zero to the end of the shadow stack, which begins as zeros and grows down.
fn stack_used(instance: &Instance) -> Option<u64> {
    let (memory, snapshot) = instance.memory()?;
    let stack = snapshot.regions().shadow_stack();
    let bytes = memory.get(stack).filter(|stack| !stack.is_empty())?;
    let lowest = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len());
    Some((bytes.len() - lowest) as u64)
}

/// Bytes from the heap's base to the highest address that the allocator has handed out.
fn heap_used(instance: &Instance) -> Option<u64> {
    let (memory, snapshot) = instance.memory()?;
    let block = snapshot.control_block()?;
    let image = guest_abi::ControlBlockImage::parse(memory.get(block.address..)?).ok()?;
    Some(image.effective_high_water().saturating_sub(image.heap_base).into())
}

/// The name of a segment, with that of a static as its language writes it.
fn readable(name: &str) -> String {
    // The linker prefixes names of statics with the section that they would be merged into.
    let of_static = [".rodata.", ".data.", ".bss."].iter().find_map(|section| name.strip_prefix(section));
    format!("{:#}", rustc_demangle::demangle(of_static.unwrap_or(name)))
}

/// The largest data segments.
fn segments(info: &ModuleInfo) -> Vec<Segment> {
    let segment = |(index, data): (u32, &guest_prepare::module_info::DataSegment)| Segment {
        name: info.data_segment_name(index).map(readable),
        address: match data.placement {
            Placement::At(address) => Some(address),
            _ => None,
        },
        bytes: data.length,
    };
    let mut segments: Vec<Segment> = (0..).zip(&info.data_segments).map(segment).collect();
    segments.sort_by_key(|segment| std::cmp::Reverse(segment.bytes));
    segments.truncate(MOST_SEGMENTS);
    segments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statics_have_the_names_of_their_language() {
        assert_eq!(readable(".rodata"), ".rodata");
        assert_eq!(readable(".rodata.lookup"), "lookup");
        let mangled = ".rodata._RNvNtNtNtCsgXGp5Oqx2Ny_4core7unicode12unicode_data15grapheme_extend7OFFSETS";
        assert_eq!(readable(mangled), "core::unicode::unicode_data::grapheme_extend::OFFSETS");
    }
}
