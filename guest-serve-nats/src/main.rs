//! The program behind `host-harness serve-nats`.

use std::process::ExitCode;

fn main() -> ExitCode {
    guest_serve_nats::cli::main(std::env::args_os())
}
