//! The tasks of this workspace: `cargo xtask --help`.

mod ahead;
mod cargo;
mod cli;
mod console;
#[cfg(test)]
mod dependencies;
mod folders;
#[cfg(test)]
mod layers;
mod steps;
mod tasks;
mod usage;

use std::process::ExitCode;

use clap::Parser;

use crate::usage::Usage;

fn main() -> ExitCode {
    let arguments = cli::Arguments::parse();
    match tasks::run(arguments.task) {
        Ok(true) => ExitCode::SUCCESS,
        // What failed has been told in the summary.
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(if error.is::<Usage>() { 2 } else { 1 })
        }
    }
}
