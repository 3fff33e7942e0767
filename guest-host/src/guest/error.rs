//! Errors of loading a guest and of making an instance: an enum for each phase, and [`LoadError`] around them.

use std::path::{Path, PathBuf};

use crate::engine::EngineError;
#[cfg(feature = "artefacts")]
use crate::engine::artefact::ArtefactError;
use crate::failure::{Cause, Failure};
use crate::guest::admission::{ContractError, Refusal};
use guest_blocks::JoinError;
use guest_prepare::PrepareError;
use guest_prepare::module_info::ModuleError;

/// Error of loading a guest or of making an instance. Its variants are the phases, in their order:
///
/// | phase | error | typical remedy |
/// |---|---|---|
/// | reading the bytes | [`InputError`] | give another file |
/// | admission | [`AdmissionError`] | build the guest otherwise, or use another strategy |
/// | preparing and compiling | [`CompileError`] | raise a limit, or build the guest without a proposal |
/// | checking the configuration | [`ConfigError`] | change the configuration |
/// | starting an instance | [`StartError`] | mend the guest |
/// | joining a ring of memory blocks | [`JoinError`] | offer storage for it, or use `dirty-cards` |
///
/// The message of each error is complete and includes that of its [source](std::error::Error::source): print the outermost
/// error alone. A phase adds no link to the chain of sources.
///
/// wasmtime's own error type does not implement [`std::error::Error`], so errors hold its text.
///
/// ```
/// use guest_host::{Engine, EngineConfig, Guest, InputError, LoadError, PrepareOptions};
///
/// let engine = Engine::new(&EngineConfig::default())?;
/// let error = Guest::load(&engine, "text", b"no module", PrepareOptions::default()).unwrap_err();
/// assert!(matches!(error, LoadError::Input(InputError::Module(_))));
/// # Ok::<_, guest_host::EngineError>(())
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// Another of these errors, of the guest in this file.
    #[error("{}: {source}", path.display())]
    InFile {
        /// The file.
        path: PathBuf,
        /// The error of the guest in it.
        source: Box<LoadError>,
    },
    /// The bytes cannot be read, or are no guest.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The host refuses the module.
    #[error(transparent)]
    Admission(#[from] AdmissionError),
    /// The module could not be prepared or compiled.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// The configuration of the instance does not fit the guest.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The guest did not become an instance.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The instance cannot join a ring of memory blocks.
    #[error(transparent)]
    Ring(#[from] JoinError),
    /// A function of the guest that does not exist.
    #[error(transparent)]
    Function(Cause),
    /// The engine could not be made, or failed in a way that has nothing to do with the guest.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// Error of reading the bytes of a guest.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InputError {
    /// The system's reason not to read the file, or that it is no file or too large. It stands in [`LoadError::InFile`].
    #[error("cannot be read: {0}")]
    Read(#[source] std::io::Error),
    /// Bytes that are no module.
    #[error(transparent)]
    Module(#[from] ModuleError),
    /// An artefact without a usable module.
    #[cfg(feature = "artefacts")]
    #[error("the artefact cannot be used: {0}")]
    Artefact(#[from] ArtefactError),
    /// An artefact in a program that is built without the feature `artefacts`.
    #[error("this is an artefact, and this program reads modules alone: build guest-host with the feature `artefacts`")]
    NoArtefacts,
}

/// Error of admission: the host cannot run the module, or not restore it as the configuration asks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AdmissionError {
    /// The module follows none of the host's contracts.
    #[error("{}", join(.0))]
    Contract(Vec<ContractError>),
    /// The module cannot be run, whatever the strategy.
    #[error("{}", join(.0))]
    NotRunnable(Vec<Refusal>),
    /// The strategy cannot restore the guest, according to its module or to the allocator that a new instance has.
    #[error("strategy `{strategy}` cannot restore this guest: {}", join(.reasons))]
    Strategy {
        /// The strategy.
        strategy: &'static str,
        /// The reasons.
        reasons: Vec<Refusal>,
    },
}

/// Error of preparing or compiling a module.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompileError {
    /// The module could not be prepared.
    #[error("cannot prepare the module: {0}")]
    Prepare(#[from] PrepareError),
    /// The engine's reason not to compile the prepared module.
    #[error("cannot compile the module: {0}")]
    Compile(String),
    /// The engine's reason not to give the code out for an artefact.
    #[cfg(feature = "artefacts")]
    #[error("cannot make an artefact: {0}")]
    Serialise(String),
}

/// Error in a configuration of instances, as far as it depends on the guest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A memory limit below the minimum that the module declares.
    #[error(
        "the memory limit of {limit} bytes is below the {minimum} bytes that the module declares as its minimum; raise \
         the memory limit"
    )]
    LimitBelowMinimum {
        /// The limit, in bytes.
        limit: u64,
        /// The minimum that the module declares, in bytes.
        minimum: u64,
    },
    /// A limit of instructions on an engine that does not count them.
    #[error("calls are limited to {limit} instructions, which this engine does not count; make an engine with `fuel`")]
    NotCounting {
        /// The limit.
        limit: u64,
    },
    /// A memory limit too small for the exchange buffer of a guest of the exttinygo contract.
    #[error(
        "the memory limit of {limit} bytes must exceed 170% of the exchange buffer's {size} bytes; raise the memory limit or \
         make the buffer smaller"
    )]
    BufferAboveLimit {
        /// Bytes of the buffer.
        size: u32,
        /// The limit, in bytes.
        limit: u64,
    },
    /// Arguments of a function that it does not take.
    #[error("the arguments of `{function}` do not fit: {reason}")]
    Arguments {
        /// The function.
        function: String,
        /// The reason.
        reason: String,
    },
    /// An argument or an environment variable that WASI cannot pass on.
    #[error("the WASI configuration is invalid: {reason}")]
    Wasi {
        /// The argument or variable, and its fault.
        reason: String,
    },
}

/// Error of starting an instance. The cause lies in the guest.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The engine's reason not to instantiate the module, or a part that the instance lacks.
    #[error("cannot instantiate the module: {0}")]
    Instantiate(String),
    /// A failure of the guest's own code while the guest was initialised.
    #[error("initialisation failed: {0}")]
    Initialise(#[source] Box<Failure>),
    /// The guest could not allocate its exchange region.
    #[error(
        "the guest could not allocate an exchange region of {size} bytes; raise the memory limit or make the exchange \
         region smaller"
    )]
    NoExchange {
        /// The size that the host asked for, in bytes.
        size: u32,
    },
    /// An exchange region that does not lie in the guest's memory.
    #[error("the guest's exchange region of {size} bytes at address {address:#x} is outside its memory")]
    ExchangeOutOfBounds {
        /// The size that the host asked for, in bytes.
        size: u32,
        /// The address that the guest gave.
        address: u32,
    },
}

impl LoadError {
    /// The error, saying in which file the guest is; one that says so already stays as it is.
    #[must_use]
    pub fn in_file(self, path: &Path) -> Self {
        match self {
            Self::InFile { .. } => self,
            error => Self::InFile { path: path.to_owned(), source: Box::new(error) },
        }
    }

    pub(crate) fn engine(error: wasmtime::Error) -> Self {
        Self::Engine(EngineError::refused(&error))
    }

    /// That a module could not be instantiated.
    pub(crate) fn instantiate(error: &wasmtime::Error) -> Self {
        Self::Start(StartError::Instantiate(format!("{error:#}")))
    }
}

fn join<T: std::fmt::Display>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;
    use crate::failure::InvalidData;

    /// The messages of an error and of its sources, outermost first.
    fn chain(error: &LoadError) -> Vec<String> {
        let mut messages = vec![error.to_string()];
        let mut next = error.source();
        while let Some(source) = next {
            messages.push(source.to_string());
            next = source.source();
        }
        messages
    }

    #[test]
    fn a_message_includes_those_of_its_sources_and_a_phase_is_no_link() {
        let failure = Failure {
            function: "__sdk_init".to_owned(),
            cause: Cause::InvalidGuestData(InvalidData::FailureWithoutError),
            backtrace: Vec::new(),
            retried: false,
        };
        let failed = LoadError::from(StartError::Initialise(Box::new(failure)));
        let read = InputError::Read(std::io::Error::other("no such disk"));
        let prepare = CompileError::Prepare(PrepareError::TooLarge { module: 1, prepared: 3, limit: 2 });
        let cases = [
            // The file, the start, the failure, its cause and the invalid data.
            (failed.in_file(Path::new("guest.wasm")), 5),
            (LoadError::from(read).in_file(Path::new("guest.wasm")), 3),
            (LoadError::from(prepare), 2),
            (LoadError::from(ConfigError::LimitBelowMinimum { limit: 1, minimum: 2 }), 1),
        ];
        for (error, links) in cases {
            let messages = chain(&error);
            assert_eq!(messages.len(), links, "{messages:#?}");
            for pair in messages.windows(2) {
                assert!(pair[0].ends_with(&pair[1]), "{messages:#?}");
            }
        }
    }

    #[test]
    fn a_file_is_named_once() {
        let error = LoadError::from(InputError::NoArtefacts).in_file(Path::new("a.wasm")).in_file(Path::new("b.wasm"));
        assert!(error.to_string().starts_with("a.wasm: this is an artefact"), "{error}");
        assert!(!error.to_string().contains("b.wasm"), "{error}");
    }
}
