//! Copies statics and the snapshotted heap back and zeroes what the allocator really used.

use super::{Promise, Restore, RestoreError, Restored, Target, copy_back, zero};
use crate::policy::Residue;
use crate::snapshot::RegionKind;

/// Exact, at the cost of the bytes in use; needs an allocator that maintains the control block.
///
/// It takes the allocator's word for what was handed out. Memory that the guest grew behind the allocator's back is
/// zeroed as well, as far as the guest saw it.
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
        let logical = target.logical_size();
        let (memory, snapshot, heap) = target.heap()?;
        let regions = &snapshot.regions;

        let heap_end = (heap.saved.image.effective_high_water() as usize).min(snapshot.memory.len());
        // Who grew memory without the allocator may have written up to the end of what it saw.
        let adopted = (heap.adopted as usize).max(snapshot.memory.len());
        let grown_unseen = logical.saturating_sub(adopted) > SATURATION;
        let used = if grown_unseen { logical } else { heap.high_water as usize };
        let used = used.min(memory.len());

        let mut bytes = copy_back(memory, snapshot, regions.statics().start..heap_end);
        if used > heap_end {
            bytes += zero(memory, heap_end..used);
        }
        if residue == Residue::Scrub {
            bytes += copy_back(memory, snapshot, regions.shadow_stack());
        }
        target.restore_globals()?;
        Ok(Restored { bytes })
    }
}

/// What `limit` loses when it saturates at the end of the address space.
const SATURATION: usize = 16;
