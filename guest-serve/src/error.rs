//! Errors of the server and of its guests. Each says what to do.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use guest_functions::FunctionError;
use guest_host::{ConfigError, EngineError, LoadError, StartError};

/// A place in a file of text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub path: Arc<Path>,
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
}

impl Place {
    /// The error of this place.
    #[must_use]
    pub fn error(&self, message: impl Into<String>) -> ServeError {
        ServeError::File { place: self.clone(), message: message.into() }
    }
}

/// Why the server does not start, or a guest is not served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// A fault in `guest.toml` or `secrets.toml`.
    #[error("{}:{}:{}: {message}", place.path.display(), place.line, place.column)]
    File {
        /// Where.
        place: Place,
        /// The fault, and the text to write.
        message: String,
    },
    /// A file or a folder that cannot be read or written.
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        /// The operation, such as `read`.
        what: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why it cannot.
        source: io::Error,
    },
    /// The folder of guests is none.
    #[error("{} is not a folder; name the folder that contains the folders of the guests", path.display())]
    NoFolder {
        /// The path.
        path: PathBuf,
    },
    /// Another server serves the folder.
    #[error("another server serves {}; stop it, or serve another folder", folder.display())]
    Served {
        /// The folder.
        folder: PathBuf,
    },
    /// A name that no guest can have.
    #[error("`{0}` is not a guest's name: use 1 to 64 of the characters a-z, 0-9 and `-`, and begin with a letter")]
    Name(String),
    /// There is no such guest.
    #[error("there is no guest `{name}` in {}; the folder of a guest has a file guest.toml", folder.display())]
    NoGuest {
        /// The name.
        name: String,
        /// The folder of guests.
        folder: PathBuf,
    },
    /// The module that `guest.toml` names does not exist.
    #[error(
        "{}:{}:{}: there is no module {}; put it there, or name another by `module`",
        place.path.display(), place.line, place.column, module.display()
    )]
    NoModule {
        /// Where `guest.toml` names it, or the beginning of the file.
        place: Place,
        /// The module.
        module: PathBuf,
    },
    /// The module cannot be loaded, or not with the limits of `guest.toml`.
    #[error("{}: {source}{}", path.display(), hint(source))]
    Module {
        /// The module.
        path: PathBuf,
        /// Why.
        source: Box<FunctionError>,
    },
    /// Another guest has the mount.
    #[error(
        "the guests `{name}` and `{other}` have the mount {mount}, and `{other}` is served there; give `{name}` another `mount`"
    )]
    Mount {
        /// The guest that is refused.
        name: String,
        /// The guest that has the mount.
        other: String,
        /// The mount.
        mount: String,
    },
    /// Nobody can listen on the address.
    #[error("cannot listen on {address}: {source}; choose another address by {option}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The option that says which.
        option: &'static str,
        /// Why it cannot.
        source: io::Error,
    },
    /// The file of the token has none.
    #[error("{} has no token: write at least {least} characters without spaces, or remove the file and a token is made", path.display())]
    Token {
        /// The file.
        path: PathBuf,
        /// Characters that a token has at least.
        least: usize,
    },
    /// The engine cannot be made.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Something that the process needs of the system, such as a thread.
    #[error("cannot {what}: {source}")]
    System {
        /// The operation.
        what: &'static str,
        /// Why it cannot.
        source: io::Error,
    },
}

impl ServeError {
    /// An error of a file or folder.
    pub fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { what, path, source }
    }
}

/// The key of `guest.toml` that helps with a module that cannot be loaded.
fn hint(error: &FunctionError) -> &'static str {
    match error {
        FunctionError::Load(
            LoadError::Config(ConfigError::LimitBelowMinimum { .. } | ConfigError::BufferAboveLimit { .. })
            | LoadError::Start(StartError::NoExchange { .. }),
        ) => "; `memory` in `[limits]` of guest.toml sets the limit",
        _ => "",
    }
}
