//! Copies back what was written, as the write barrier marked it.

use super::{Promise, Restore, RestoreError, Restored, Target};
use crate::restore::policy::Residue;
use crate::restore::snapshot::RegionKind;

/// Exact, for every guest that can be restored in place, at the cost of what a call wrote.
///
/// A restore scans the card table as far as memory physically reaches: one byte for each card. It knows to the byte what
/// the host wrote into the exchange region, and copies back just that.
#[derive(Debug, Clone, Copy, Default)]
pub struct DirtyCards;

impl Restore for DirtyCards {
    fn name(&self) -> &'static str {
        "dirty-cards"
    }

    fn promise(&self, _region: RegionKind, _residue: Residue) -> Promise {
        Promise::Exact
    }

    fn restore(&mut self, target: &mut Target<'_>) -> Result<Restored, RestoreError> {
        let written = target.written().ok_or(RestoreError::NoBarrier)?;
        Ok(Restored { bytes: written.put_back() })
    }

    fn wants_marks(&self) -> bool {
        true
    }
}
