//! Why a guest could not be loaded or an instance could not be made.

use std::path::{Path, PathBuf};

use crate::engine::EngineError;
#[cfg(feature = "artefacts")]
use crate::engine::artefact::ArtefactError;
use crate::failure::{Cause, Failure};
use crate::guest::admission::{ContractError, Refusal};
use guest_prepare::PrepareError;
use guest_prepare::module_info::ModuleError;

/// Why a guest could not be loaded or an instance could not be made.
///
/// wasmtime's own error type does not implement [`std::error::Error`], so its text is wrapped here.
///
/// ```
/// use guest_host::{Engine, EngineConfig, Guest, LoadError, PrepareOptions};
///
/// let engine = Engine::new(&EngineConfig::default())?;
/// let error = Guest::load(&engine, "empty", b"", PrepareOptions::default()).unwrap_err();
/// assert!(matches!(error, LoadError::Module(_)), "{error}");
/// # Ok::<(), guest_host::EngineError>(())
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The file cannot be read.
    #[error("{}: cannot be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason, or that the file is no file or too large.
        source: std::io::Error,
    },
    /// Another of these errors, of the guest in this file.
    #[error("{}: {error}", path.display())]
    InFile {
        /// The file.
        path: PathBuf,
        /// The error of the guest in it.
        error: Box<LoadError>,
    },
    /// The bytes are an artefact, and this program reads none.
    #[error("this is an artefact, and this program reads modules alone: build guest-host with the feature `artefacts`")]
    NoArtefacts,
    /// The bytes are an artefact without a module that could be used.
    #[cfg(feature = "artefacts")]
    #[error("the artefact cannot be used: {0}")]
    Artefact(#[from] ArtefactError),
    /// The code could not be put into an artefact.
    #[cfg(feature = "artefacts")]
    #[error("cannot make an artefact: {0}")]
    MakeArtefact(String),
    /// The bytes are not a module.
    #[error(transparent)]
    Module(#[from] ModuleError),
    /// The module speaks no contract of this host's.
    #[error("{}", join(.0))]
    Contract(Vec<ContractError>),
    /// The module cannot be run at all.
    #[error("{}", join(.0))]
    NotRunnable(Vec<Refusal>),
    /// The module cannot be restored by the strategy that was asked for.
    #[error("strategy `{strategy}` cannot restore this guest: {}", join(.reasons))]
    Strategy {
        /// The strategy.
        strategy: &'static str,
        /// Why not.
        reasons: Vec<Refusal>,
    },
    /// The module could not be prepared.
    #[error("cannot prepare the module: {0}")]
    Prepare(#[from] PrepareError),
    /// There is no such extension function.
    #[error(transparent)]
    Function(Cause),
    /// The engine could not be made, or refused what it was asked for.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The engine refused the module.
    #[error("cannot compile the module: {0}")]
    Compile(String),
    /// The memory limit is below what the module declares.
    #[error(
        "the memory limit of {limit} bytes is below the {minimum} bytes that the module declares as its minimum; raise \
         the memory limit"
    )]
    LimitBelowMinimum {
        /// The limit.
        limit: u64,
        /// The minimum that the module declares, in bytes.
        minimum: u64,
    },
    /// The module could not be instantiated.
    #[error("cannot instantiate the module: {0}")]
    Instantiate(String),
    /// An argument or a variable for the guest that WASI cannot pass on.
    #[error("the WASI configuration is invalid: {reason}")]
    Wasi {
        /// Which one, and why not.
        reason: String,
    },
    /// The guest failed while it was being initialised.
    #[error("initialisation failed: {0}")]
    Initialise(#[source] Box<Failure>),
    /// The guest gave no exchange region.
    #[error(
        "the guest could not allocate an exchange region of {size} bytes; raise the memory limit or make the exchange \
         region smaller"
    )]
    Exchange {
        /// Bytes that were asked for.
        size: u32,
    },
    /// A guest of the exttinygo contract needs more memory than its buffer.
    #[error(
        "the memory limit of {limit} bytes must exceed 170% of the exchange buffer's {size} bytes; raise the memory limit or \
         make the buffer smaller"
    )]
    BufferAboveLimit {
        /// Bytes of the buffer.
        size: u32,
        /// The limit.
        limit: u64,
    },
    /// The guest's exchange region does not lie in its memory.
    #[error("the guest's exchange region of {size} bytes at address {address:#x} is outside its memory")]
    ExchangeOutOfMemory {
        /// Bytes that were asked for.
        size: u32,
        /// Where the guest says it is.
        address: u32,
    },
    /// The in-place restore that was asked for is not supported by the allocator that was found at run time.
    #[error("strategy `{strategy}` cannot restore this guest: {reason}")]
    Allocator {
        /// The strategy.
        strategy: &'static str,
        /// Why not.
        reason: Refusal,
    },
}

impl LoadError {
    /// The error, saying in which file the guest is; one that says so already stays as it is.
    #[must_use]
    pub fn in_file(self, path: &Path) -> Self {
        match self {
            Self::Read { .. } | Self::InFile { .. } => self,
            error => Self::InFile { path: path.to_owned(), error: Box::new(error) },
        }
    }

    pub(crate) fn engine(error: wasmtime::Error) -> Self {
        Self::Engine(EngineError::refused(&error))
    }
}

fn join<T: std::fmt::Display>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
