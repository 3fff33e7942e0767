//! Copies statics and the snapshotted heap back and zeroes what the allocator really used.

use super::{Promise, Restore, RestoreError, Restored, Target, copy_back, zero};
use crate::restore::policy::Residue;
use crate::restore::snapshot::RegionKind;

/// Exact, at the cost of the bytes in use; needs an allocator that maintains the control block.
///
/// It takes the allocator's word for what was handed out, and the guest's for what it wrote into the exchange region, as
/// the contract has it. Memory that the guest grew behind the allocator's back is zeroed as well, as far as the guest saw
/// it. The shadow stack is cleaned down to where calls took its pointer: what unsafe code writes below that, through
/// pointers of its own making, stays. [`DirtyCards`](super::DirtyCards) and [`FullCopy`](super::FullCopy) find it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Watermark;

impl Restore for Watermark {
    fn name(&self) -> &'static str {
        "watermark"
    }

    fn promise(&self, region: RegionKind, residue: Residue) -> Promise {
        match (region, residue) {
            (RegionKind::ShadowStack, Residue::Keep) => Promise::Residue,
            _ => Promise::Exact,
        }
    }

    fn restore(&mut self, target: &mut Target<'_>) -> Result<Restored, RestoreError> {
        let residue = target.residue();
        let (physical, snapshot) = target.memory();
        let (grown, saved) = (physical.len() != snapshot.memory.len(), snapshot.memory.len());
        // To ask takes longer than the rest where a call did little.
        let logical = if grown { target.logical_size() } else { saved };
        let mut used = target.used()?;
        let snapshot = used.snapshot;

        let heap_end = (used.heap.saved.image.effective_high_water() as usize).min(saved);
        // Who grew memory without the allocator may have written up to the end of what it saw.
        let adopted = (used.heap.adopted as usize).max(saved);
        let grown_unseen = logical.saturating_sub(adopted) > SATURATION;
        let used_end = if grown_unseen { logical } else { used.heap.high_water as usize };
        let used_end = used_end.min(used.memory.len());

        let mut bytes = used.restore_exchange();
        for range in &snapshot.in_use {
            bytes += copy_back(used.memory, snapshot, range.clone());
        }
        if used_end > heap_end {
            bytes += zero(used.memory, heap_end..used_end);
        }
        if residue == Residue::Scrub {
            bytes += copy_back(used.memory, snapshot, used.stack);
        }
        Ok(Restored { bytes })
    }
}

/// What `limit` loses when it saturates at the end of the address space.
const SATURATION: usize = 16;
