//! SQL over files with functions of WebAssembly modules: the program behind `host-harness query`.
//!
//! Data goes to standard output, progress and errors to standard error. Exit status: 0 fine, 1 the query failed while it ran,
//! 2 wrong usage, unreadable input or wrong SQL, 130 after Ctrl-C.

mod arguments;
mod error;
mod modules;
mod output;
mod progress;
mod query;
mod table;
mod values;

use std::process::ExitCode;

use clap::Parser as _;

use arguments::Arguments;

fn main() -> ExitCode {
    match query::run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => error.report(),
    }
}
