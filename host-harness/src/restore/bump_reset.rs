//! Copies statics back and so returns the heap pointer to its mark.

use super::{Promise, Restore, RestoreError, Restored, Target, copy_back, write_high_water, zero};
use crate::policy::Residue;
use crate::snapshot::{RegionKind, Snapshot};

/// As cheap as statics are small; needs `alloc-bump-reset`.
///
/// Heap that was in use when the snapshot was taken is copied back with the statics, since a call may have changed it.
/// Under [`Residue::Keep`] the heap above the mark keeps what earlier calls left there. The allocator's high-water
/// mark says how far, so that zeroed allocations are filled.
#[derive(Debug, Clone, Copy, Default)]
pub struct BumpReset;

impl Restore for BumpReset {
    fn name(&self) -> &'static str {
        "bump-reset"
    }

    fn promise(&self, region: RegionKind, residue: Residue) -> Promise {
        match (residue, region) {
            (Residue::Scrub, _) => Promise::Exact,
            (Residue::Keep, RegionKind::ControlBlock) => Promise::ExactButHighWater,
            (Residue::Keep, RegionKind::Statics | RegionKind::SnapshotHeap) => Promise::Exact,
            (Residue::Keep, _) => Promise::Residue,
        }
    }

    fn restore(&mut self, target: &mut Target<'_>) -> Result<Restored, RestoreError> {
        let residue = target.residue();
        let (memory, snapshot, heap) = target.heap()?;
        let used = heap.high_water.max(heap.saved.image.effective_high_water());
        let grown = memory.len() != snapshot.memory.len();
        let [statics, above_exchange] = &snapshot.reset;
        let mut bytes = copy_back(memory, snapshot, statics.clone());
        if !above_exchange.is_empty() {
            bytes += copy_back(memory, snapshot, above_exchange.clone());
        }
        match residue {
            // Copying the statics has put `top` back to the mark, and the high-water mark with it.
            Residue::Keep => write_high_water(memory, heap.saved.address, used),
            Residue::Scrub => bytes += scrub(memory, snapshot, heap.saved.image.top as usize, used as usize),
        }
        target.restore_globals_after(grown)?;
        Ok(Restored { bytes })
    }
}

/// Puts back what a reset leaves alone: the heap above the mark as far as it was used, the exchange region, and the dead
/// part of the shadow stack.
#[inline(never)]
fn scrub(memory: &mut [u8], snapshot: &Snapshot, mark: usize, used: usize) -> u64 {
    let used = used.min(memory.len());
    let above = mark.min(used);
    let saved_above = above..used.min(snapshot.memory.len()).max(above);
    let mut bytes = copy_back(memory, snapshot, saved_above.clone());
    bytes += zero(memory, saved_above.end..used.max(saved_above.end));
    bytes += copy_back(memory, snapshot, snapshot.regions.exchange());
    bytes + copy_back(memory, snapshot, snapshot.regions.shadow_stack())
}
