//! Copies statics back and so returns the heap pointer to its mark.

use super::{Promise, Restore, RestoreError, Restored, Target, Used, copy_back, zero};
use crate::host::control_block::write_high_water;
use crate::restore::policy::Residue;
use crate::restore::snapshot::{RegionKind, Snapshot};

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
            (Residue::Keep, RegionKind::Statics | RegionKind::ControlBlock | RegionKind::SnapshotHeap) => {
                Promise::Exact
            }
            (Residue::Keep, _) => Promise::Residue,
        }
    }

    fn restore(&mut self, target: &mut Target<'_>) -> Result<Restored, RestoreError> {
        let bytes = match target.residue() {
            Residue::Keep => {
                let Used { memory, snapshot, heap, .. } = target.used()?;
                let high_water = heap.high_water.max(heap.saved.image.effective_high_water());
                let bytes = reset(memory, snapshot);
                // Copying the statics has put `top` back to the mark, and the high-water mark with it.
                write_high_water(memory, heap.saved.address, high_water);
                bytes
            }
            Residue::Scrub => {
                let mut used = target.used()?;
                let bytes = reset(used.memory, used.snapshot);
                bytes + scrub(&mut used)
            }
        };
        Ok(Restored { bytes })
    }
}

/// Copies back statics and the heap below the mark.
#[inline]
fn reset(memory: &mut [u8], snapshot: &Snapshot) -> u64 {
    let [statics, above_exchange] = &snapshot.reset;
    let bytes = copy_back(memory, snapshot, statics.clone());
    if above_exchange.is_empty() { bytes } else { bytes + copy_back(memory, snapshot, above_exchange.clone()) }
}

/// Puts back what a reset leaves alone: the heap above the mark as far as it was used, and what was used of the exchange
/// region and of the shadow stack.
#[inline]
fn scrub(used: &mut Used<'_>) -> u64 {
    let mut bytes = used.restore_exchange();
    let (memory, snapshot, saved) = (&mut *used.memory, used.snapshot, used.heap.saved.image);
    // Above what was ever handed out before the snapshot there were zeros.
    let was_used = (saved.effective_high_water() as usize).min(snapshot.memory.len()).min(memory.len());
    let is_used = (used.heap.high_water as usize).clamp(was_used, memory.len());
    bytes += copy_back(memory, snapshot, (saved.top as usize).min(was_used)..was_used);
    bytes += zero(memory, was_used..is_used);
    bytes + copy_back(memory, snapshot, used.stack.clone())
}
