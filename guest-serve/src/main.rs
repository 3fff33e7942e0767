//! The program behind `host-harness serve`.

use std::process::ExitCode;

fn main() -> ExitCode {
    guest_serve::cli::main(std::env::args_os())
}
