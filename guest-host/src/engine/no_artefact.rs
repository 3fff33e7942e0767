//! Without the feature `artefacts` every module is compiled.

use wasmtime::Module;

use super::Engine;

/// The first bytes of every artefact.
const MAGIC: [u8; 8] = *b"\x89guest\r\n";

/// Whether bytes begin as an artefact does.
pub(crate) fn is_artefact(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC)
}

/// Code that was compiled ahead of time, of which there is none.
#[derive(Debug, Default)]
pub(crate) struct TrustedCode(());

/// There is no code.
pub(crate) struct ArtefactError;

/// Where a guest's machine code comes from.
pub(crate) struct CodeOrigin;

/// It was compiled from a module.
pub(crate) const COMPILED: CodeOrigin = CodeOrigin;

impl TrustedCode {
    #[expect(clippy::unused_self, reason = "with the feature there may be code")]
    pub(crate) fn module(&self, _engine: &Engine, _prepared: &[u8]) -> Result<Module, ArtefactError> {
        Err(ArtefactError)
    }
}
