//! Errors and their exit status.

use std::fmt;
use std::io::Write as _;
use std::process::ExitCode;

use guest_datafusion::guest_functions::guest_host::text::printable_lines;

/// Why there is no result, or no whole one.
#[derive(Debug)]
pub enum Error {
    /// Wrong usage, input that cannot be read, or wrong SQL.
    Input(anyhow::Error),
    /// The query failed while it ran.
    Failed(anyhow::Error),
    /// The user ended it.
    Interrupted,
    /// Nobody reads the results any more.
    Unread,
}

impl Error {
    /// That the query failed.
    pub fn failed(error: impl Into<anyhow::Error>) -> Self {
        Self::Failed(error.into())
    }

    /// Prints the error, and returns the exit status.
    pub fn report(&self) -> ExitCode {
        let status = match self {
            Self::Unread => return ExitCode::SUCCESS,
            Self::Failed(_) => 1,
            Self::Input(_) => 2,
            // As shells number an interrupt.
            Self::Interrupted => 130,
        };
        // Nobody may be there to read it.
        let _ = writeln!(std::io::stderr(), "error: {}", printable_lines(&self.to_string()));
        ExitCode::from(status)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // DataFusion's errors show their sources themselves.
            Self::Input(error) | Self::Failed(error) => error.fmt(f),
            Self::Interrupted => f.write_str("interrupted"),
            Self::Unread => f.write_str("nobody reads the results"),
        }
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::BrokenPipe => Self::Unread,
            _ => Self::Failed(anyhow::Error::new(error).context("cannot write the results")),
        }
    }
}
