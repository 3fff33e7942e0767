//! The program: reads the command line and serves.

use std::process::ExitCode;

use clap::Parser as _;
use example_service::arguments::Arguments;

fn main() -> ExitCode {
    match example_service::run::run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
