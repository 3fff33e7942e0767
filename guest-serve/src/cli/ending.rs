//! How a program ends: the status that it leaves, and the line that says why.

use std::process::ExitCode;

use clap::error::ErrorKind;
use guest_host::text::printable;

/// The status of a server that did not stop in order, or of a client whose work was not done.
pub const FAILED: u8 = 1;

/// The status after wrong usage, or input that cannot be used.
pub const BAD_INPUT: u8 = 2;

/// Prints what is wrong, and returns the status.
#[must_use]
pub fn fail(message: &str, status: u8) -> ExitCode {
    eprintln!("error: {}", printable(message));
    ExitCode::from(status)
}

/// Prints the usage, or what is wrong with the words of a command line, and returns the status.
#[must_use]
pub fn usage(error: &clap::Error) -> ExitCode {
    // Nobody may be there to read it.
    let _ = error.print();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => ExitCode::SUCCESS,
        _ => ExitCode::from(BAD_INPUT),
    }
}
