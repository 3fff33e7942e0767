//! Copies back what was written, as the write barrier marked it.

use std::ops::Range;

use guest_prepare::Barrier;

use super::{Promise, Restore, RestoreError, Restored, Target, copy_back, zero};
use crate::restore::policy::Residue;
use crate::restore::snapshot::{RegionKind, Snapshot};

/// Exact, for every guest that can be restored in place, at the cost of what a call wrote.
///
/// A restore scans the card table as far as memory physically reaches: one byte for each card. It knows to the byte what
/// the host wrote into the exchange region, and copies back just that.
#[derive(Debug, Clone)]
pub struct DirtyCards {
    barrier: Barrier,
}

impl DirtyCards {
    pub(crate) fn new(barrier: Barrier) -> Self {
        Self { barrier }
    }
}

impl Restore for DirtyCards {
    fn name(&self) -> &'static str {
        "dirty-cards"
    }

    fn promise(&self, _region: RegionKind, _residue: Residue) -> Promise {
        Promise::Exact
    }

    fn restore(&mut self, target: &mut Target<'_>) -> Result<Restored, RestoreError> {
        let Some((memory, mut cards, footprint, snapshot)) = target.written() else {
            return Err(RestoreError::NoBarrier);
        };
        let grown = memory.len() != snapshot.memory.len();
        let mut restoring = Restoring { memory, snapshot, bytes: 0 };
        cards.take(restoring.memory.len(), |range| restoring.range(range));
        for range in footprint.named() {
            restoring.range(range.clone());
        }
        for range in &self.barrier.always {
            restoring.range(range.start as usize..range.end as usize);
        }
        let bytes = restoring.bytes;
        target.restore_globals_after(grown)?;
        Ok(Restored { bytes })
    }
}

struct Restoring<'a> {
    memory: &'a mut [u8],
    snapshot: &'a Snapshot,
    bytes: u64,
}

impl Restoring<'_> {
    /// Puts back what of the range lies in memory: from the snapshot, or with zeros where it was grown since.
    fn range(&mut self, range: Range<usize>) {
        let end = range.end.min(self.memory.len());
        let saved = self.snapshot.memory.len().clamp(range.start.min(end), end);
        if range.start < saved {
            self.bytes += copy_back(self.memory, self.snapshot, range.start..saved);
        }
        if saved < end {
            self.bytes += zero(self.memory, saved..end);
        }
    }
}
