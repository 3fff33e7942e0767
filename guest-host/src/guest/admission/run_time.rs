//! The part of admission that needs an instance: its control block, read after instantiation and before the snapshot is
//! trusted.

use guest_abi::AllocatorKind;
use guest_abi::control_block::{ControlBlockImage, ParseError};

use super::Refusal;
use guest_prepare::module_info::MemoryLayout;

/// Whether a control block, as read from an instance, allows strategies that follow the allocator.
///
/// `memory_bytes` is the size of the instance's memory. The allocator that keeps the block is returned.
///
/// # Errors
/// The first [`Refusal`]: the block is none, no allocator has run, or it claims addresses that cannot be.
pub fn check_control_block(
    block: Result<ControlBlockImage, ParseError>,
    layout: &MemoryLayout,
    memory_bytes: u64,
) -> Result<AllocatorKind, Refusal> {
    let block = block.map_err(|reason| Refusal::BadControlBlock { reason })?;
    if block.kind == 0 {
        return Err(Refusal::AllocatorNotRun);
    }
    let kind = block.allocator().ok_or(Refusal::UnknownAllocator { kind: block.kind })?;
    let at_least = |what, claimed: u32, bound: u32| {
        let bound = u64::from(bound);
        if u64::from(claimed) < bound {
            Err(Refusal::InconsistentControlBlock { what, claimed, bound })
        } else {
            Ok(())
        }
    };
    let at_most = |what, claimed: u32, bound: u64| {
        if u64::from(claimed) > bound {
            Err(Refusal::InconsistentControlBlock { what, claimed, bound })
        } else {
            Ok(())
        }
    };
    at_least("its heap begins below the end of the statics", block.heap_base, layout.statics.end)?;
    if let Some(stack) = &layout.stack {
        at_least("its heap begins inside the shadow stack", block.heap_base, stack.end)?;
    }
    at_least("its top lies below the heap", block.top, block.heap_base)?;
    at_most("its top is beyond the memory's end", block.top, memory_bytes)?;
    at_most("its high-water mark is beyond the memory's end", block.high_water, memory_bytes)?;
    if block.mark != 0 {
        at_least("its mark lies below the heap", block.mark, block.heap_base)?;
        at_most("its mark lies above its top", block.mark, block.top.into())?;
    }
    Ok(kind)
}

/// Whether a control block, as read from an instance, allows the host to reset the heap.
///
/// # Errors
/// As [`check_control_block`], and [`Refusal::NotBumpReset`] where another allocator keeps the block.
pub fn check_bump_reset(
    block: Result<ControlBlockImage, ParseError>,
    layout: &MemoryLayout,
    memory_bytes: u64,
) -> Result<(), Refusal> {
    match check_control_block(block, layout, memory_bytes)? {
        AllocatorKind::BumpReset => Ok(()),
        other => Err(Refusal::NotBumpReset { found: other.name() }),
    }
}
