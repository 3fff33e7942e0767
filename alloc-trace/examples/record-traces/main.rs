//! Records the traces of this workspace again.
//!
//! ```sh
//! cargo run --release -p alloc-trace --example record-traces            # writes traces/*.trace
//! cargo run --release -p alloc-trace --example record-traces -- --check # says whether they would be the same
//! ```
//!
//! Each program is a library as applications use it, on input that [`input`] makes, on one thread. What a library
//! allocates depends on its version, which `Cargo.lock` fixes, and a little on the standard library's.

mod input;
mod programs;

use std::alloc::System;
use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

use alloc_trace::{RecordingAllocator, Trace};

#[global_allocator]
static ALLOCATOR: RecordingAllocator<System> = RecordingAllocator::new(System);

/// A program that is recorded.
struct Program {
    /// Name of its trace.
    name: &'static str,
    /// Makes its input, which is not recorded.
    input: fn() -> String,
    /// Works on the input; returns a number that depends on all of its work.
    run: fn(&str) -> Result<usize, Box<dyn Error>>,
}

const PROGRAMS: [Program; 5] = [
    Program { name: "json", input: || input::orders(220), run: programs::json },
    Program { name: "markdown", input: || input::document(300), run: programs::markdown },
    Program { name: "regex", input: || input::log(200), run: programs::regex },
    Program { name: "rust-parser", input: || input::source(5), run: programs::rust_parser },
    Program { name: "template", input: || input::orders(40), run: programs::template },
];

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let check = std::env::args().any(|argument| argument == "--check");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../traces");
    let mut status = ExitCode::SUCCESS;
    for program in &PROGRAMS {
        let trace = program.record()?;
        let path = folder.join(program.name).with_extension("trace");
        let text = trace.to_string();
        println!("{}: {} bytes, {:?}", program.name, text.len(), trace.summary());
        if !check {
            std::fs::write(&path, text)?;
        } else if std::fs::read_to_string(&path)? != text {
            println!("{}: {} is another", program.name, path.display());
            status = ExitCode::FAILURE;
        }
    }
    Ok(status)
}

impl Program {
    /// Records the second run: the first also made what libraries keep for later.
    fn record(&self) -> Result<Trace, Box<dyn Error>> {
        let input = (self.input)();
        let first = (self.run)(&input)?;
        let (second, trace) = ALLOCATOR.record(|| (self.run)(&input))?;
        assert_eq!(first, second?, "a program does the same each time");
        Ok(trace)
    }
}
