//! The command line of the harness: parses, calls the library and prints.
//!
//! Data goes to standard output, progress and errors to standard error. Exit status: 0 fine, 1 a check failed or the
//! guest did, 2 wrong usage or unreadable input.

mod arguments;
mod command_line;
mod commands;
mod config;
mod gate;
mod output;
mod progress;
mod run;
mod source;
mod values;

fn main() -> std::process::ExitCode {
    run::main()
}
