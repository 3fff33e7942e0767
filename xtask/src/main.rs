//! The tasks of this workspace: `cargo xtask --help`.

mod cli;
mod console;
#[cfg(test)]
mod dependencies;
mod folders;
#[cfg(test)]
mod layers;
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
            ExitCode::from(if error.is::<Usage>() { 2 } else { 1 })
        }
    }
}

/// What was asked for makes no sense here; the exit status is that of wrong usage.
#[derive(Debug)]
struct Usage(String);

impl std::fmt::Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}
