//! Machine code that was found trustworthy, and the one place where an engine takes it over.

#![expect(unsafe_code, reason = "machine code is loaded that was compiled earlier")]

use std::fmt;
#[cfg(feature = "compile")]
use std::hash::{Hash as _, Hasher};
use std::sync::Arc;

use wasmtime::Module;

use super::container::Contents;
use super::{ArtefactError, maker};
use crate::engine::Engine;

/// Everything that an engine's code depends on, but for the module: version, configuration, features of the processor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fingerprint(pub(super) [u8; 32]);

impl Fingerprint {
    /// The fingerprint of an engine, if it can be known: without a compiler the engine does not tell its settings.
    #[cfg(feature = "compile")]
    fn known(engine: &wasmtime::Engine) -> Option<Self> {
        Some(Self::of(engine))
    }

    #[cfg(not(feature = "compile"))]
    fn known(_engine: &wasmtime::Engine) -> Option<Self> {
        None
    }

    #[cfg(feature = "compile")]
    pub(super) fn of(engine: &wasmtime::Engine) -> Self {
        let mut digest = Digest(blake3::Hasher::new());
        engine.precompile_compatibility_hash().hash(&mut digest);
        Self(*digest.0.finalize().as_bytes())
    }
}

/// Lets blake3 be fed by what can be hashed.
#[cfg(feature = "compile")]
struct Digest(blake3::Hasher);

#[cfg(feature = "compile")]
impl Hasher for Digest {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let mut first = [0; 8];
        first.copy_from_slice(&self.0.finalize().as_bytes()[..8]);
        u64::from_le_bytes(first)
    }
}

/// Machine code for one engine, made by somebody whom it trusts; a piece for each way of preparing the module. Without a
/// compiler the engine's fingerprint is unknown: there may be pieces for other engines too, which the engine refuses.
#[derive(Default, Clone)]
pub(crate) struct TrustedCode {
    /// Digest of the prepared module, and its code.
    pieces: Vec<([u8; 32], Arc<[u8]>)>,
}

impl TrustedCode {
    /// The code for `engine` in an artefact whose checksum fits, if it is trusted.
    pub(super) fn of(contents: &Contents<'_>, engine: &Engine) -> Result<Self, ArtefactError> {
        engine.config().artefact_trust.judge(contents)?;
        let own = Fingerprint::known(engine.wasmtime());
        let entries = contents.entries.iter().filter(|entry| own.is_none_or(|own| entry.engine == own.0));
        let pieces: Vec<_> = entries.map(|entry| (entry.prepared, Arc::from(entry.code))).collect();
        match pieces.is_empty() {
            false => Ok(Self { pieces }),
            true => Err(Self::foreign(contents, engine)),
        }
    }

    /// How the engine differs from the one that made an artefact's code.
    #[cfg(not(feature = "compile"))]
    #[cold]
    fn foreign(contents: &Contents<'_>, _engine: &Engine) -> ArtefactError {
        ArtefactError::Foreign { made_by: contents.made_by.to_owned(), this: maker() }
    }

    /// How the engine differs from the one that made an artefact's code.
    #[cfg(feature = "compile")]
    #[cold]
    fn foreign(contents: &Contents<'_>, engine: &Engine) -> ArtefactError {
        let made_by_such = |other: &wasmtime::Engine| {
            let other = Fingerprint::of(other).0;
            contents.entries.iter().any(|entry| entry.engine == other)
        };
        match engine.counting_otherwise() {
            Ok(other) if made_by_such(&other) => ArtefactError::Counting { code_counts: !engine.config().fuel },
            _ => ArtefactError::Foreign { made_by: contents.made_by.to_owned(), this: maker() },
        }
    }

    /// The code of a guest for another engine of this process: without a compiler, this code, which that engine checks.
    #[cfg(not(feature = "compile"))]
    pub(crate) fn for_engine(&self, _compiled: &Module, _prepared: &[u8], _engine: &Engine) -> Self {
        self.clone()
    }

    /// The code of a guest for another engine of this process, from its compiled module; no code if that engine compiles
    /// with other settings.
    #[cfg(feature = "compile")]
    #[expect(clippy::unused_self, reason = "without a compiler it is all there is")]
    pub(crate) fn for_engine(&self, compiled: &Module, prepared: &[u8], engine: &Engine) -> Self {
        if Fingerprint::of(compiled.engine()) != Fingerprint::of(engine.wasmtime()) {
            return Self::default();
        }
        match compiled.serialize() {
            Ok(code) => Self { pieces: vec![(blake3::hash(prepared).into(), code.into())] },
            Err(_) => Self::default(),
        }
    }

    /// The compiled form of a prepared module.
    pub(crate) fn module(&self, engine: &Engine, prepared: &[u8]) -> Result<Module, ArtefactError> {
        let digest = blake3::hash(prepared);
        let mut refused = ArtefactError::NotPreparedSo;
        for (_, code) in self.pieces.iter().filter(|(of, _)| digest == *of) {
            // SAFETY: the engine demands bytes that it serialised itself, unchanged. `of` and `for_engine` alone put any into
            // this value. `for_engine` takes what `Module::serialize` has just returned, or copies such a value. `of` takes
            // bytes whose checksum fits, and that either were sealed by a holder of the key, which is the embedder by its own
            // word and seals in `Guest::to_artefact` alone, only what `Module::serialize` returned; or for which the embedder
            // vouches by calling `ArtefactTrust::everybody`, which is unsafe. Whether the engine is one for which the code was
            // made, the fingerprint tells where it is known, and the engine itself checks it again.
            let module = unsafe { Module::deserialize(engine.wasmtime(), code) };
            match module {
                Ok(module) => return Ok(module),
                Err(error) => refused = ArtefactError::Engine(format!("{error:#}")),
            }
        }
        Err(refused)
    }
}

impl fmt::Debug for TrustedCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrustedCode").field("pieces", &self.pieces.len()).finish()
    }
}
