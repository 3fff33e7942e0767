//! `bench`: the benchmarks of every package that has some, and the recorded counts of instructions.

use anyhow::{Result, bail};
use cargo_metadata::MetadataCommand;
use guest_build::{Allocator, GuestBuild, Toolchain};

use super::{guests, setup};
use crate::cargo::{cargo, in_engines, in_stores};
use crate::console::Console;
use crate::folders;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Count instructions instead, and write benches/instructions.json.
    ///
    /// `test` compares every scenario with the counts in that file, within 2%. Prints the changes.
    #[arg(long, conflicts_with = "more")]
    pub(super) instructions: bool,
    /// Compare typed functions with arrow-udf-runtime, and with functions in Rust in queries of DataFusion, instead.
    ///
    /// These benchmarks have a workspace of their own, benches/engines, which compiles two versions of wasmtime, and DataFusion.
    #[arg(long, conflicts_with = "instructions")]
    pub(super) engines: bool,
    /// Compare embedded stores under the load of sleeping tenants instead: redb, and fjall.
    ///
    /// This benchmark has a workspace of its own, benches/stores, as nothing else needs fjall.
    #[arg(long, conflicts_with_all = ["instructions", "engines"])]
    pub(super) stores: bool,
    /// Arguments for the benchmarks, such as a filter.
    #[arg(last = true, value_name = "ARGUMENT")]
    pub(super) more: Vec<String>,
}

/// Builds the guests and runs the benchmarks on them.
pub(super) fn run(console: &Console, arguments: &Arguments) -> Result<()> {
    if arguments.instructions {
        return record_instructions(console);
    }
    if arguments.engines {
        return compare_engines(console, &arguments.more);
    }
    if arguments.stores {
        let mut run = in_stores(cargo());
        return console.pass_through(run.args(["run", "--release", "--"]).args(&arguments.more));
    }
    let metadata = MetadataCommand::new().manifest_path(folders::root().join("Cargo.toml")).no_deps().exec()?;
    let packages: Vec<_> = metadata
        .workspace_packages()
        .into_iter()
        .filter(|package| package.targets.iter().any(cargo_metadata::Target::is_bench))
        .map(|package| package.name.to_string())
        .collect();
    if packages.is_empty() {
        bail!("no package of the workspace has a benchmark");
    }
    build_guests(console, &guests::Arguments::default())?;
    if arguments.more.is_empty() {
        // Each benchmark replaces its own ratios; those of one that is no more would stay for ever.
        let _ = std::fs::remove_file(folders::benches().join("ratios.json"));
    }
    let mut bench = cargo();
    bench.args(["bench", "--benches"]);
    for package in &packages {
        bench.args(["--package", package]);
    }
    bench.arg("--").args(&arguments.more);
    console.pass_through(&mut bench)
}

fn build_guests(console: &Console, asked: &guests::Arguments) -> Result<Toolchain> {
    console.begin("setup");
    let toolchain = setup::toolchain(console)?;
    guests::build(console, &toolchain, asked)?;
    console.end();
    Ok(toolchain)
}

/// Builds both guests and runs the benchmarks of the workspace `benches/engines`.
fn compare_engines(console: &Console, more: &[String]) -> Result<()> {
    let ours = guests::Arguments { guest: vec!["functions".to_owned()], allocator: vec![Allocator::Leaking] };
    let toolchain = build_guests(console, &ours)?;
    console.begin("guest of arrow-udf");
    // Into its own target folder: its flags are not those of the other guests.
    GuestBuild::new(folders::engines().join("guest/Cargo.toml"))
        .profile("guest")
        .target_dir(folders::target().join("engines"))
        .toolchain(toolchain)
        .progress(console.progress())
        .build()?;
    console.end();
    console.pass_through(in_engines(cargo()).args(["bench", "--"]).args(more))
}

/// Counts the instructions of every scenario and records them. The build for tests will do: what is counted are the
/// guests' instructions.
fn record_instructions(console: &Console) -> Result<()> {
    build_guests(console, &guests::Arguments::default())?;
    console.pass_through(cargo().args(["run", "--quiet", "--package", "benches", "--bin", "instructions"]))
}
