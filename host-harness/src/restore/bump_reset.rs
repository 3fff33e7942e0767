//! Copies statics back and so returns the heap pointer to its mark.

use super::{Promise, Restore, RestoreError, Restored, Target, Used, copy_back, write_high_water, zero};
use crate::policy::Residue;
use crate::snapshot::RegionKind;

/// As cheap as statics are small; needs `alloc-bump-reset`.
///
/// Heap that was in use when the snapshot was taken is copied back with the statics, since a call may have changed it.
/// Under [`Residue::Keep`] the heap above the mark keeps what earlier calls left there. The allocator's high-water
/// mark says how far, so that zeroed allocations are filled.
///
/// Under [`Residue::Scrub`] it cleans what the guest's allocator and its stack pointer say was used, and of the exchange
/// region what was named; as [`Watermark`](super::Watermark), it takes their word.
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
        let mut used = target.used()?;
        let snapshot = used.snapshot;
        let high_water = used.heap.high_water.max(used.heap.saved.image.effective_high_water());
        let grown = used.memory.len() != snapshot.memory.len();
        let [statics, above_exchange] = &snapshot.reset;
        let mut bytes = copy_back(used.memory, snapshot, statics.clone());
        if !above_exchange.is_empty() {
            bytes += copy_back(used.memory, snapshot, above_exchange.clone());
        }
        match residue {
            // Copying the statics has put `top` back to the mark, and the high-water mark with it.
            Residue::Keep => write_high_water(used.memory, used.heap.saved.address, high_water),
            Residue::Scrub => bytes += scrub(&mut used, high_water as usize),
        }
        target.restore_globals_after(grown)?;
        Ok(Restored { bytes })
    }
}

/// Puts back what a reset leaves alone: the heap above the mark as far as it was used, and what was used of the exchange
/// region and of the shadow stack.
#[inline]
fn scrub(used: &mut Used<'_>, high_water: usize) -> u64 {
    let mut bytes = used.restore_exchange();
    let (memory, snapshot) = (&mut *used.memory, used.snapshot);
    let high_water = high_water.min(memory.len());
    let above = (used.heap.saved.image.top as usize).min(high_water);
    let saved_above = above..high_water.min(snapshot.memory.len()).max(above);
    bytes += copy_back(memory, snapshot, saved_above.clone());
    bytes += zero(memory, saved_above.end..high_water.max(saved_above.end));
    bytes + copy_back(memory, snapshot, used.stack.clone())
}
