//! The reasons that a pipeline does not run.

use std::io;
use std::path::{Path, PathBuf};

use guest_host::{InputError, LoadError};

/// The reason that a pipeline does not run, or does not come to its end. Calls that fail are in the report: see
/// [`StageReport::failure`](super::StageReport::failure).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PipeError {
    /// A file that cannot be read: the pipeline's, or that of the source.
    #[error("{}: cannot be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A module in the place of the file of a pipeline.
    #[error(
        "{} is a WebAssembly module, and no pipeline: give a TOML file whose stages name modules; `verify` and `run` take a module",
        path.display()
    )]
    Module {
        /// The file.
        path: PathBuf,
    },
    /// A file that is not TOML, or that has an unknown key or a wrong value.
    #[error("{}:{line}:{column}: {message}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// In characters, from 1.
        column: usize,
        /// The fault.
        message: String,
    },
    /// A pipeline without stages.
    #[error("the pipeline has no stages; add a table `[[stage]]` with `module` and `function`")]
    NoStages,
    /// A stage without a name.
    #[error("a stage has an empty `name`; leave it out for the name of the function, or give it one")]
    EmptyName,
    /// Two stages of the same name.
    #[error("two stages have the name `{name}`; give one of them another `name`")]
    DuplicateName {
        /// The name.
        name: String,
    },
    /// A stage with the name of the source.
    #[error("`source` is the name of the source; give the stage another `name`")]
    ReservedName,
    /// A stage that takes from one that is not before it.
    #[error(
        "the stage `{stage}` takes from `{from}`, and no stage before it has this name; `from` is one of: {}",
        known.join(", ")
    )]
    UnknownFrom {
        /// The stage.
        stage: String,
        /// The name that it takes from.
        from: String,
        /// The names that it may take from.
        known: Vec<String>,
    },
    /// A module that cannot be loaded, or of which no instance can be made.
    #[error("the stage `{stage}`: {source}{}", hint(source))]
    Load {
        /// The stage.
        stage: String,
        /// The reason.
        source: Box<LoadError>,
    },
    /// A module without the function.
    #[error("the stage `{stage}`: {} has no stage `{function}`; {}", module.display(), stages(known))]
    NoFunction {
        /// The stage.
        stage: String,
        /// The module.
        module: PathBuf,
        /// The function.
        function: String,
        /// The functions of the module that are stages.
        known: Vec<String>,
    },
    /// An error in the file of a pipeline.
    #[error("{}: {source}", path.display())]
    InFile {
        /// The file.
        path: PathBuf,
        /// The error.
        source: Box<PipeError>,
    },
}

impl PipeError {
    /// The error, beginning with the file of the pipeline.
    #[must_use]
    pub fn in_file(self, path: &Path) -> Self {
        Self::InFile { path: path.to_owned(), source: Box::new(self) }
    }

    /// The error of a module, if it is one.
    #[must_use]
    pub fn load_error(&self) -> Option<&LoadError> {
        match self {
            Self::Load { source, .. } => Some(source),
            Self::InFile { source, .. } => source.load_error(),
            _ => None,
        }
    }
}

fn hint(error: &LoadError) -> &'static str {
    match error {
        LoadError::InFile { source, .. } => hint(source),
        LoadError::Input(InputError::Read(error)) if error.kind() == io::ErrorKind::NotFound => {
            "; `module` is a path relative to the folder of the pipeline's file"
        }
        _ => "",
    }
}

fn stages(known: &[String]) -> String {
    match known {
        [] => "it has no stages at all: in Rust, put `#[stage]` of `guest-sdk` before a function that takes a block"
            .to_owned(),
        known => format!("`function` is one of: {}", known.join(", ")),
    }
}
