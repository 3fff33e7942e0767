//! The command line.

use clap::{Parser, Subcommand, ValueEnum};
use guest_build::{Allocator, Way};

use crate::tasks::test::Check;

/// The tasks of this workspace.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version, about, max_term_width = 100)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) task: Task,
}

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
    Setup(Setup),
    /// Build every guest with every allocator, in Rust and in C, into target/guests/.
    Guests(Guests),
    /// Measure and verify the shop guest with every allocator, and print the table.
    ///
    /// Does all set-up by itself. Writes target/report/report.json and target/report/report.html, and prints the table to
    /// standard output.
    Compare(Compare),
    /// Write the tables of the front page and the book from the results of `compare` and `bench`.
    ///
    /// Reads target/report/report.json and target/benches/. Writes between the marks in README.md, and into
    /// docs/src/generated/.
    Tables,
    /// Run everything that must pass.
    Test(Test),
    /// Build the book into target/book/.
    ///
    /// Uses an installed mdbook, or first compiles one into target/tools/.
    Docs(Docs),
    /// Run the example service with the shop guest.
    ///
    /// Builds both, keeps records in target/service/records.redb, and listens on http://127.0.0.1:8080 until Ctrl-C.
    Serve(Serve),
    /// Run the benchmarks.
    Bench(Bench),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Setup {
    /// The toolchain to use, now and in later runs; `auto` forgets an earlier choice.
    #[arg(long, value_enum, default_value = "auto")]
    pub(crate) way: WayChoice,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum WayChoice {
    /// The first that works.
    Auto,
    /// The target in the active toolchain; rustup adds it if it is missing.
    Target,
    /// The active toolchain's library source.
    RustSource,
    /// Debian's toolchain with its library source; apt-get installs it if it is missing.
    Debian,
}

impl WayChoice {
    /// The ways it stands for; `None` for all.
    pub(crate) fn ways(self) -> Option<&'static [Way]> {
        match self {
            Self::Auto => None,
            Self::Target => Some(&[Way::TargetInstalled, Way::TargetAdded]),
            Self::RustSource => Some(&[Way::RustSource]),
            Self::Debian => Some(&[Way::DebianSource, Way::DebianPackages]),
        }
    }
}

#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Guests {
    /// Build only this guest; can be repeated.
    #[arg(long, value_name = "NAME")]
    pub(crate) guest: Vec<String>,
    /// Build only with this allocator (system, leaking, bump-reset, freelist, wee); can be repeated. For guests in C, system
    /// is wasi-libc's allocator.
    #[arg(long, value_name = "NAME")]
    pub(crate) allocator: Vec<Allocator>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Compare {
    /// Calls to measure for each row.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) calls: Option<u64>,
    /// Measure few calls: takes seconds, and the times vary more.
    #[arg(long, conflicts_with = "calls")]
    pub(crate) quick: bool,
    /// Further arguments for `host-harness compare`.
    #[arg(last = true, value_name = "ARGUMENT")]
    pub(crate) more: Vec<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Test {
    /// Run only this step; can be repeated.
    #[arg(long, value_enum, value_name = "STEP")]
    pub(crate) only: Vec<Check>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Docs {
    /// Open the book in a browser afterwards.
    #[arg(long)]
    pub(crate) open: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Serve {
    /// Options for the service, such as `--listen 127.0.0.1:9000`; `-- --help` lists them.
    #[arg(last = true, value_name = "ARGUMENT")]
    pub(crate) more: Vec<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Bench {
    /// Count instructions instead, and write benches/instructions.json.
    ///
    /// `test` compares every scenario with the counts in that file, within 2%. Prints the changes.
    #[arg(long, conflicts_with = "more")]
    pub(crate) instructions: bool,
    /// Arguments for the benchmarks, such as a filter.
    #[arg(last = true, value_name = "ARGUMENT")]
    pub(crate) more: Vec<String>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn steps_and_allocators_are_read() {
        let parse = |line: &str| Arguments::try_parse_from(line.split(' '));
        let Task::Test(test) = parse("xtask test --only fmt --only features").unwrap().task else {
            panic!("not a test");
        };
        assert_eq!(test.only, [Check::Fmt, Check::Features]);
        let Task::Guests(guests) = parse("xtask guests --allocator bump-reset").unwrap().task else {
            panic!("not guests");
        };
        assert_eq!(guests.allocator, [Allocator::BumpReset]);
        let told = parse("xtask guests --allocator slab").unwrap_err().to_string();
        assert!(told.contains("freelist"), "{told}");
        let Task::Serve(serve) = parse("xtask serve -- --listen 127.0.0.1:0").unwrap().task else {
            panic!("not serve");
        };
        assert_eq!(serve.more, ["--listen", "127.0.0.1:0"]);
        assert!(parse("xtask compare --calls 5 --quick").is_err());
        assert!(parse("xtask compare --calls 0").is_err());
        assert!(parse("xtask bench --instructions").is_ok());
        assert!(parse("xtask bench --instructions -- allocators").is_err());
    }
}
