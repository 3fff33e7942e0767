//! The tasks, one file each, with their arguments.

mod bench;
mod browser;
mod compare;
mod docs;
mod features;
mod guests;
mod licences;
mod nats;
mod package;
mod registries;
mod serve;
mod setup;
mod tables;
mod test;

use anyhow::Result;
use clap::Subcommand;

use crate::console::Console;

#[derive(Debug, Subcommand)]
pub(crate) enum Task {
    /// Find or install a compiler for wasm32, and print which one.
    ///
    /// Tries in this order: the target in the active toolchain; `rustup target add`; a toolchain with its library source
    /// (rustup's rust-src, or Debian's), with which cargo builds the standard library; Debian's packages, if it runs as root
    /// on Debian. Every other task does this by itself. Tasks remember failed attempts until you run `setup`.
    ///
    /// For the guests in C it tries: wasi-sdk in WASI_SDK_PATH or /opt/wasi-sdk; clang, wasi-libc and a linker of the system;
    /// Debian's packages, if it runs as root on Debian.
    Setup(setup::Arguments),
    /// Build every guest with every allocator into target/guests/.
    ///
    /// The guests in AssemblyScript, Zig and Go need compilers of packages: npm and pip install them into target/tools/. If a
    /// compiler cannot be installed, its guests are left out, and a warning names the command that installs it.
    Guests(guests::Arguments),
    /// Measure and verify the shop guest with every allocator, and print the table.
    ///
    /// Does all set-up by itself. Writes target/report/report.json and target/report/report.html, and prints the table to
    /// standard output.
    Compare(compare::Arguments),
    /// Write the tables of the front page and the book from the results of `compare` and `bench`.
    ///
    /// Copies what pages show of target/report/report.json and target/benches/ to docs/measured/. From there it writes the
    /// tables between the marks in README.md and in the pages of docs/src/.
    Tables,
    /// Run everything that must pass.
    Test(test::Arguments),
    /// Build the book into target/book/.
    ///
    /// Uses an installed mdbook, or first compiles one into target/tools/.
    Docs(docs::Arguments),
    /// Run the example service with the shop guest.
    ///
    /// Builds both, keeps records in target/service/records.redb, and listens on http://127.0.0.1:8080 until Ctrl-C.
    Serve(serve::Arguments),
    /// Run the benchmarks.
    Bench(bench::Arguments),
}

/// Runs a task; `false` where it ran and something in it failed, of which it has told.
pub(crate) fn run(task: Task) -> Result<bool> {
    let console = Console::new();
    let result = match task {
        Task::Setup(arguments) => setup::run(&console, &arguments).map(|()| true),
        Task::Guests(arguments) => guests::run(&console, &arguments).map(|()| true),
        Task::Compare(arguments) => compare::run(&console, &arguments).map(|()| true),
        Task::Tables => tables::run(&console).map(|()| true),
        Task::Test(arguments) => test::run(&console, &arguments),
        Task::Docs(arguments) => docs::run(&console, &arguments).map(|()| true),
        Task::Serve(arguments) => serve::run(&console, &arguments).map(|()| true),
        Task::Bench(arguments) => bench::run(&console, &arguments).map(|()| true),
    };
    console.end();
    result
}
