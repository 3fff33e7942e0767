//! Copies the whole snapshot back: right for every guest that can be restored in place, and as dear as memory is large.

use super::{Promise, Restore, RestoreError, Restored, Target, put_back};
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
        // The whole tail as well, not only what the guest saw of it: a wild store may have gone beyond.
        let whole = 0..memory.len();
        let bytes = put_back(memory, snapshot, whole);
        Ok(Restored { bytes })
    }
}
