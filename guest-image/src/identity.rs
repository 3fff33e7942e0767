//! Which snapshot a delta belongs to.

use sha2::{Digest as _, Sha256};

use crate::error::ImageError;
use crate::values::GlobalValue;

/// Which snapshot a delta is a difference to.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Identity {
    /// SHA-256 of the module.
    pub module: [u8; 32],
    /// SHA-256 of everything in which instances of one module can begin differently: their contract and its version, the regions,
    /// memory and globals.
    pub snapshot: [u8; 32],
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let start = |hash: &[u8; 32]| u64::from_be_bytes(hash[..8].try_into().unwrap_or_default());
        write!(f, "Identity({:016x}, {:016x})", start(&self.module), start(&self.snapshot))
    }
}

impl Identity {
    /// The identity of the snapshot with this memory and these globals, of the module with the hash `module`. `contract` is
    /// what else tells instances of the module apart.
    #[must_use]
    pub fn of(module: [u8; 32], contract: &[u8], memory: &[u8], globals: &[GlobalValue]) -> Self {
        let mut digest = Sha256::new();
        for part in [contract.len() as u64, memory.len() as u64, globals.len() as u64] {
            digest.update(part.to_le_bytes());
        }
        digest.update(contract);
        digest.update(memory);
        for value in globals {
            let (ty, bits) = value.parts();
            digest.update([ty]);
            digest.update(bits.to_le_bytes());
        }
        Self { module, snapshot: digest.finalize().into() }
    }

    /// Whether a delta of the identity `found` belongs to this one.
    ///
    /// # Errors
    /// [`ImageError::OtherModule`] and [`ImageError::OtherSnapshot`].
    #[inline]
    pub fn check(&self, found: &Self) -> Result<(), ImageError> {
        if self == found {
            return Ok(());
        }
        Err(match self.module == found.module {
            true => ImageError::OtherSnapshot,
            false => ImageError::OtherModule { found: found.module, expected: self.module },
        })
    }
}
