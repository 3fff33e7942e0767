//! The restore of an instance that may have memory blocks.

use super::{Promise, Restore, RestoreError, Restored, Target};
use crate::contract::blocks;
use crate::restore::policy::Residue;
use crate::restore::snapshot::RegionKind;

/// Ends all attachments before another strategy restores memory, so that it finds all bytes of theirs among those that were written.
///
/// A strategy around the other one, so that restores of guests without blocks do not ask.
#[derive(Debug)]
pub(crate) struct WithBlocks(pub(crate) Box<dyn Restore>);

impl Restore for WithBlocks {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn promise(&self, region: RegionKind, residue: Residue) -> Promise {
        self.0.promise(region, residue)
    }

    fn restore(&mut self, target: &mut Target<'_>) -> Result<Restored, RestoreError> {
        let apart = blocks::restore(target.store).map_err(|violation| {
            let reason = violation.to_string();
            RestoreError::GaveUp { reason }
        })?;
        if apart.is_empty() {
            return self.0.restore(target);
        }
        // Only instances that are restored by their marks join rings.
        let written = target.written().ok_or(RestoreError::NoBarrier)?;
        Ok(Restored { bytes: written.put_back_around(&apart) })
    }

    fn wants_marks(&self) -> bool {
        self.0.wants_marks()
    }

    #[cfg(feature = "specimens")]
    fn forgotten_globals(&self) -> super::ForgottenGlobals {
        self.0.forgotten_globals()
    }
}
