//! The program: reads the command line and serves.

use std::process::ExitCode;

use clap::Parser as _;
use example_service::arguments::Arguments;

fn main() -> ExitCode {
    match example_service::run::run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", message(&error));
            ExitCode::FAILURE
        }
    }
}

/// The error and its sources in one line. Some errors have the text of their source in their own.
fn message(error: &anyhow::Error) -> String {
    let mut message = String::new();
    for source in error.chain().map(ToString::to_string) {
        if message.is_empty() {
            message = source;
        } else if !message.contains(&source) {
            message = format!("{message}: {source}");
        }
    }
    message
}
