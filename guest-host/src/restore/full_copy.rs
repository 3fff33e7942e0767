//! Copies the whole snapshot back: right for every guest that can be restored in place, and as dear as memory is large.

use super::{Promise, Restore, RestoreError, Restored, Target, copy_back, zero};
use crate::restore::policy::Residue;
use crate::restore::snapshot::RegionKind;

/// Copies the whole snapshot back and zeroes what was grown since.
#[derive(Debug, Clone, Copy, Default)]
pub struct FullCopy;

impl Restore for FullCopy {
    fn name(&self) -> &'static str {
        "full-copy"
    }

    fn promise(&self, _region: RegionKind, _residue: Residue) -> Promise {
        Promise::Exact
    }

    fn restore(&mut self, target: &mut Target<'_>) -> Result<Restored, RestoreError> {
        let (memory, snapshot) = target.memory();
        let saved = snapshot.memory.len();
        let mut bytes = copy_back(memory, snapshot, 0..saved);
        // The whole tail, not only what the guest saw of it: a wild store may have gone beyond.
        bytes += zero(memory, saved..memory.len());
        Ok(Restored { bytes })
    }
}
