//! Whose machine code an engine runs.

#![expect(unsafe_code, reason = "trusting everybody is for the caller to vouch for")]

use std::fmt;
use std::path::{Path, PathBuf};

use guest_state::input;

use super::ArtefactError;
use super::container::Contents;

/// Whose artefacts an engine takes machine code from. Whoever is trusted can do whatever the process can.
///
/// A checksum is part of every artefact, and finds damage; it is no protection against somebody who means harm, since
/// anybody can make one. A seal is: only who knows the key can make it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ArtefactTrust(Trust);

#[derive(Debug, Clone, PartialEq, Eq, Default)]
enum Trust {
    #[default]
    Nobody,
    Key(ArtefactKey),
    Everybody,
}

impl ArtefactTrust {
    /// Nobody: modules in artefacts are compiled anew. The default.
    #[must_use]
    pub const fn nobody() -> Self {
        Self(Trust::Nobody)
    }

    /// Whoever knows this key. Artefacts that the engine's guests are made into are sealed by it.
    #[must_use]
    pub const fn key(key: ArtefactKey) -> Self {
        Self(Trust::Key(key))
    }

    /// Whoever can put an artefact before the engine: the checksum alone is verified.
    ///
    /// # Safety
    /// Every artefact that an engine with this trust is given must be what
    /// [`Guest::to_artefact`](crate::Guest::to_artefact) returned, but for damage that comes about by chance. Nobody who
    /// means harm may be able to write to where artefacts are kept or to change them on their way.
    #[must_use]
    pub const unsafe fn everybody() -> Self {
        Self(Trust::Everybody)
    }

    #[cfg(feature = "compile")]
    pub(crate) fn sealing_key(&self) -> Option<&ArtefactKey> {
        match &self.0 {
            Trust::Key(key) => Some(key),
            Trust::Nobody | Trust::Everybody => None,
        }
    }

    /// Whether code in an artefact with these contents, whose checksum fits, may be run.
    pub(super) fn judge(&self, contents: &Contents<'_>) -> Result<(), ArtefactError> {
        match (&self.0, &contents.seal) {
            (Trust::Everybody, _) => Ok(()),
            (Trust::Nobody, _) => Err(ArtefactError::NotTrusted),
            (Trust::Key(_), None) => Err(ArtefactError::NotSealed),
            // Compared in constant time, as blake3's hashes are.
            (Trust::Key(key), Some(seal)) if key.seal(&contents.digest) == *seal => Ok(()),
            (Trust::Key(_), Some(_)) => Err(ArtefactError::OtherKey),
        }
    }
}

/// A secret by which artefacts are sealed. Keep it where those who may not run code in the process cannot read it.
///
/// ```
/// use guest_host::artefact::{ArtefactKey, ArtefactTrust, CodeOrigin};
/// use guest_host::{Engine, EngineConfig, Guest, PrepareOptions};
///
/// // Keep the secret in a file of its own, and read it by `ArtefactKey::from_file`.
/// let key = ArtefactKey::derive(b"32 random bytes, or more of them")?;
/// let engine = Engine::new(&EngineConfig::default().with_artefact_trust(ArtefactTrust::key(key)))?;
/// # let wasm = wat::parse_str(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/shop.wat")))?;
/// let artefact = Guest::load(&engine, "shop", &wasm, PrepareOptions::default())?.to_artefact()?;
/// let guest = Guest::load(&engine, "shop", &artefact, PrepareOptions::default())?;
/// assert_eq!(guest.code_origin(), &CodeOrigin::Artefact);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct ArtefactKey([u8; 32]);

/// Why a key is none.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The file cannot be read.
    #[error("{}: cannot be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// Too short to be a secret.
    #[error("a key of {given} bytes is too short: use at least {} random bytes", ArtefactKey::LEAST)]
    TooShort {
        /// Bytes that were given.
        given: usize,
    },
}

impl ArtefactKey {
    /// Bytes that a key is at least derived from.
    pub const LEAST: usize = 32;

    /// The key that these bytes stand for. They should be random and serve nothing else.
    ///
    /// # Errors
    /// [`KeyError::TooShort`] for fewer than [`ArtefactKey::LEAST`].
    pub fn derive(secret: &[u8]) -> Result<Self, KeyError> {
        match secret.len() {
            given if given < Self::LEAST => Err(KeyError::TooShort { given }),
            _ => Ok(Self(blake3::derive_key("host-harness 2026-11 seal of ahead-of-time artefacts", secret))),
        }
    }

    /// The key that a file's bytes stand for.
    ///
    /// # Errors
    /// [`KeyError`] when it cannot be read or is too short.
    pub fn from_file(path: &Path) -> Result<Self, KeyError> {
        let secret = input::read(path).map_err(|source| KeyError::Read { path: path.to_owned(), source })?;
        Self::derive(&secret)
    }

    /// The seal of a content with this digest.
    pub(super) fn seal(&self, digest: &blake3::Hash) -> blake3::Hash {
        blake3::keyed_hash(&self.0, digest.as_bytes())
    }
}

impl fmt::Debug for ArtefactKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ArtefactKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_never_shown_and_never_short() {
        let key = ArtefactKey::derive(&[7; 32]).unwrap();
        assert_eq!(format!("{:?}", ArtefactTrust::key(key)), "ArtefactTrust(Key(ArtefactKey(..)))");
        assert!(matches!(ArtefactKey::derive(&[7; 31]), Err(KeyError::TooShort { given: 31 })));
        assert_ne!(ArtefactKey::derive(&[7; 33]).unwrap(), ArtefactKey::derive(&[7; 32]).unwrap());
    }
}
