//! Trace files.

use std::path::{Path, PathBuf};

use alloc_trace::{Numbering, ParseError, Problem, Trace};

use guest_state::input;

/// A trace, and what reports call it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceFile {
    /// Its name.
    pub name: String,
    /// Its requests.
    pub trace: Trace,
}

impl TraceFile {
    /// Reads a trace from a file; reports call it by the file's name without its ending.
    ///
    /// # Errors
    /// [`TraceError`] with file and line.
    pub fn load(path: &Path, numbering: Numbering) -> Result<Self, TraceError> {
        let text = input::read(path).map_err(|source| TraceError::Read { path: path.to_owned(), source })?;
        let trace = Trace::parse(&text, numbering).map_err(|error| TraceError::of(path, numbering, error))?;
        if trace.operations().is_empty() {
            return Err(TraceError::Empty(path.to_owned()));
        }
        let name = path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        Ok(Self { name, trace })
    }
}

/// Why a trace cannot be replayed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TraceError {
    /// The file cannot be read.
    #[error("cannot read the trace {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason, or that the file is no file or too large.
        source: std::io::Error,
    },
    /// A line is wrong.
    #[error("{}:{}:{}: {}{}", path.display(), error.line, error.column, error.problem, counting(*counted))]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, and what is wrong with it.
        error: ParseError,
        /// The numbering that the trace seems to have, if it is not the one that it was read with.
        counted: Option<Numbering>,
    },
    /// The file has no operation.
    #[error("{}: the trace has no operation; a line looks like `Alloc(24),` or `Free(0),`", .0.display())]
    Empty(PathBuf),
}

impl TraceError {
    fn of(path: &Path, numbering: Numbering, error: ParseError) -> Self {
        let counted = match (&error.problem, numbering) {
            // The last allocation of a trace that counts from 1 has the number of how many there were.
            (Problem::NeverAllocated { number, made, .. }, Numbering::FromZero)
                if *made > 0 && *number == made.to_string() =>
            {
                Some(Numbering::FromOne)
            }
            (Problem::NeverAllocated { number, .. }, Numbering::FromOne) if number == "0" => Some(Numbering::FromZero),
            _ => None,
        };
        Self::Line { path: path.to_owned(), error, counted }
    }
}

/// The guess that ends the message.
fn counting(counted: Option<Numbering>) -> String {
    counted.map_or_else(String::new, |numbering| format!("; the trace may count from {}", numbering.first()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str, numbering: Numbering) -> Result<TraceFile, TraceError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("some.trace");
        std::fs::write(&path, text).unwrap();
        TraceFile::load(&path, numbering)
    }

    #[test]
    fn a_file_is_called_by_its_name() {
        let file = load("Alloc(8),\nFree(0),\n", Numbering::FromZero).unwrap();
        assert_eq!((file.name.as_str(), file.trace.operations().len()), ("some", 2));
    }

    #[test]
    fn errors_name_file_line_and_what_was_expected_and_guess_the_numbering() {
        let told = |text, numbering| load(text, numbering).unwrap_err().to_string();
        let from_one = told("Alloc(8),\nFree(1),\n", Numbering::FromZero);
        assert!(from_one.contains("some.trace:2:6: allocation 1 was never made: expected"), "{from_one}");
        assert!(from_one.ends_with("; the trace may count from 1"), "{from_one}");
        let from_zero = told("Alloc(8),\nFree(0),\n", Numbering::FromOne);
        assert!(from_zero.ends_with("; the trace may count from 0"), "{from_zero}");
        let neither = told("Alloc(8),\nFree(7),\n", Numbering::FromZero);
        assert!(neither.ends_with("expected a number from 0 to 0"), "{neither}");
        assert!(told("// nothing\n", Numbering::FromZero).contains("has no operation"));
        let missing = TraceFile::load(Path::new("no/such.trace"), Numbering::FromZero).unwrap_err().to_string();
        assert!(missing.starts_with("cannot read the trace no/such.trace: "), "{missing}");
    }
}
