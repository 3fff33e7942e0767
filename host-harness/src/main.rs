//! The command line of the harness: parses, calls the library and prints.

mod cli;

fn main() -> std::process::ExitCode {
    cli::main()
}
