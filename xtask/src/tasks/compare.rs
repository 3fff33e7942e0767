//! `compare`: the measured and verified table of allocators on the shop guest.

use anyhow::{Context, Result};

use guest_build::Allocator;

use super::{guests, setup};
use crate::cargo::cargo;
use crate::console::Console;
use crate::folders;

/// The guest that is compared.
const GUEST: &str = "shop";

/// Calls for each row of a quick table.
const QUICK_CALLS: u64 = 1_000;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Calls to measure for each row.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) calls: Option<u64>,
    /// Measure few calls: takes seconds, and the times vary more.
    #[arg(long, conflicts_with = "calls")]
    pub(super) quick: bool,
    /// Further arguments for `host-harness compare`.
    #[arg(last = true, value_name = "ARGUMENT")]
    pub(super) more: Vec<String>,
}

/// Does all set-up, builds the harness, and has it build, measure and verify the guest.
pub(super) fn run(console: &Console, arguments: &Arguments) -> Result<()> {
    console.begin("setup");
    let toolchain = setup::toolchain(console)?;
    console.begin("harness, and what all builds of the guest share");
    let mut harness = cargo();
    harness.args(["build", "--profile", "compare", "--package", "host-harness-cli"]);
    // Neither of the two keeps all processors busy to its end. The harness builds the guest with each allocator itself:
    // what remains to be compiled then is the guest.
    std::thread::scope(|scope| {
        let shared = scope.spawn(|| guests::build_one(console, &toolchain, GUEST, Allocator::System));
        let built = console.run(&mut harness);
        let shared = shared.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        built.and(shared.map(drop))
    })?;
    // From here on the harness shows its own progress.
    console.end();

    let report = folders::report();
    std::fs::create_dir_all(&report).with_context(|| format!("making {}", report.display()))?;
    let (json, html) = (report.join("report.json"), report.join("report.html"));
    let mut harness = cargo();
    harness
        .args(["run", "--quiet", "--profile", "compare", "--package", "host-harness-cli", "--", "compare"])
        .arg("--manifest-path")
        .arg(folders::root().join("guests").join(GUEST).join("Cargo.toml"))
        .arg("--export-json")
        .arg(&json)
        .arg("--export-html")
        .arg(&html);
    if let Some(calls) = arguments.calls.or(arguments.quick.then_some(QUICK_CALLS)) {
        harness.arg("--calls").arg(calls.to_string());
    }
    harness.args(&arguments.more);
    console.pass_through(&mut harness)?;
    console.say(&format!("written: {} and {}", json.display(), html.display()));
    Ok(())
}
