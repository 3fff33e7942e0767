//! Why a state file was not loaded, or a value not read.

use std::fmt;
use std::path::PathBuf;

/// Why a state file was not loaded.
#[derive(Debug)]
#[non_exhaustive]
pub enum StateFileError {
    /// The file cannot be read.
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason, or that the file is no file or too large.
        source: std::io::Error,
    },
    /// The file is text in another encoding, or no text.
    NotUtf8 {
        /// The file.
        path: PathBuf,
        /// Line of the first byte that is wrong, from 1.
        line: usize,
        /// The problem there.
        found: String,
    },
    /// Not JSON, or not an array of records.
    Syntax {
        /// The file.
        path: PathBuf,
        /// Line of the error, from 1.
        line: usize,
        /// Column of the error in characters, from 1.
        column: usize,
        /// The problem there.
        reason: String,
    },
    /// A record that the value model has no place for.
    Record {
        /// The file.
        path: PathBuf,
        /// Line of what is wrong with the record, from 1.
        line: usize,
        /// Column of what is wrong, in characters, from 1.
        column: usize,
        /// Number of the record in the array, from 0.
        index: usize,
        /// The record's storage.
        storage: String,
        /// The problem with it.
        reason: String,
    },
}

const EXAMPLE: &str = r#"[{"storage": "sys.View", "key": {"Year": 2023}, "value": {"Amount": 1}}]"#;

impl fmt::Display for StateFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read { path, source } => write!(f, "cannot read the state file {}: {source}", path.display()),
            Self::NotUtf8 { path, line, found } => {
                write!(f, "{}:{line}: {found}; save the state file as UTF-8", path.display())
            }
            Self::Syntax { path, line, column, reason } => write!(
                f,
                "{}:{line}:{column}: {reason}; a state file is a JSON array of records such as {EXAMPLE}",
                path.display()
            ),
            Self::Record { path, line, column, index, storage, reason } => {
                write!(f, "{}:{line}:{column}: record {index} (storage `{storage}`): {reason}", path.display())
            }
        }
    }
}

impl std::error::Error for StateFileError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Read { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// Why JSON is not a value of the value model.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct JsonValueError {
    /// Line of the error, from 1.
    pub line: usize,
    /// Column of the error in characters, from 1.
    pub column: usize,
    /// The problem there.
    pub reason: String,
}

impl fmt::Display for JsonValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, column, reason } = self;
        write!(f, "line {line}, column {column}: {reason}")
    }
}

impl std::error::Error for JsonValueError {}
