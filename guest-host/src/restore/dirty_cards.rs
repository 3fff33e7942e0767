//! Copies back what was written, as the write barrier marked it.

use std::ops::Range;

use super::{Promise, Restore, RestoreError, Restored, Target, copy_back, zero};
use crate::restore::policy::Residue;
use crate::restore::snapshot::RegionKind;

/// Exact, for every guest that can be restored in place, at the cost of what a call wrote.
///
/// A restore scans the card table as far as memory physically reaches: one byte for each card. It knows to the byte what
/// the host wrote into the exchange region, and copies back just that.
#[derive(Debug, Clone, Copy, Default)]
pub struct DirtyCards;

/// Out of line, as few calls write to memory that was grown.
#[cold]
#[inline(never)]
fn zero_grown(memory: &mut [u8], range: Range<usize>) -> u64 {
    zero(memory, range)
}

impl Restore for DirtyCards {
    fn name(&self) -> &'static str {
        "dirty-cards"
    }

    fn promise(&self, _region: RegionKind, _residue: Residue) -> Promise {
        Promise::Exact
    }

    fn restore(&mut self, target: &mut Target<'_>) -> Result<Restored, RestoreError> {
        let written = target.written().ok_or(RestoreError::NoBarrier)?;
        let mut bytes = 0;
        // From the snapshot, or with zeros where memory was grown since.
        written.take(|memory, snapshot, range| {
            let saved = snapshot.memory.len().clamp(range.start, range.end);
            if range.start < saved {
                bytes += copy_back(memory, snapshot, range.start..saved);
            }
            if saved < range.end {
                bytes += zero_grown(memory, saved..range.end);
            }
        });
        Ok(Restored { bytes })
    }

    fn wants_marks(&self) -> bool {
        true
    }
}
