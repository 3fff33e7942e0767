//! Why an engine could not be made.

#[cfg(feature = "compile")]
use std::path::PathBuf;

/// Why an [`Engine`](crate::Engine) could not be made.
///
/// wasmtime's own error type does not implement [`std::error::Error`], so its text is wrapped here.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The machine refuses what the configuration asks for.
    #[error("cannot make the engine: {0}")]
    Refused(String),
    /// The folder for compiled code cannot be used.
    #[cfg(feature = "compile")]
    #[error("cannot keep compiled code in {}: {message}", folder.display())]
    CompileCache {
        /// The folder.
        folder: PathBuf,
        /// Why not.
        message: String,
    },
    /// The thread of the deadline clock could not be started.
    #[error("cannot start the deadline clock: {0}")]
    Ticker(#[source] std::io::Error),
}

impl EngineError {
    pub(crate) fn refused(error: &wasmtime::Error) -> Self {
        Self::Refused(format!("{error:#}"))
    }
}
