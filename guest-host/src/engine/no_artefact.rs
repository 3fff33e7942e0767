//! Without the feature `artefacts` every module is compiled: nothing here has a value that tells anything.

use wasmtime::Module;

use super::{ARTEFACT_MAGIC, Engine};

/// Whether bytes begin as an artefact does.
pub(crate) fn is_artefact(bytes: &[u8]) -> bool {
    bytes.starts_with(&ARTEFACT_MAGIC)
}

/// Code that was compiled ahead of time, of which there is none.
#[derive(Debug, Default)]
pub(crate) struct TrustedCode(());

/// There is no code.
pub(crate) struct ArtefactError;

/// Where a guest's machine code comes from.
#[derive(Debug, Clone)]
pub(crate) enum CodeOrigin {
    Compiled,
}

impl TrustedCode {
    #[expect(clippy::unused_self, reason = "with the feature there may be code")]
    pub(crate) fn module(&self, _engine: &Engine, _prepared: &[u8]) -> Result<Module, ArtefactError> {
        Err(ArtefactError)
    }

    #[expect(clippy::unused_self, reason = "with the feature there may be code")]
    pub(crate) fn for_engine(&self, _compiled: &Module, _prepared: &[u8], _engine: &Engine) -> Self {
        Self::default()
    }
}
