//! The tasks of this workspace: `cargo xtask --help`.

mod cli;
mod console;
mod folders;
mod steps;
mod tasks;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let arguments = cli::Arguments::parse();
    match tasks::run(arguments.task) {
        Ok(true) => ExitCode::SUCCESS,
        // What failed has been told in the summary.
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
