//! `test`: everything that must pass, in steps that can be run alone.

use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use guest_build::{TARGET, Toolchain};

use super::{browser, docs, features, guests, licences, nats, package, setup};
use crate::ahead::Ahead;
use crate::cargo::{DENY_WARNINGS, cargo, in_browser_tests, in_engines, in_guests, in_query, in_stores};
use crate::console::{self, Console};
use crate::steps::Steps;

/// A step of `test`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Check {
    /// Formatting of every workspace.
    Fmt,
    /// Licences of all dependencies, against deny.toml.
    Licences,
    /// Clippy for the host, with every warning an error.
    Clippy,
    /// Every guest with every allocator.
    Guests,
    /// Clippy for wasm32, with every warning an error.
    ClippyWasm,
    /// All tests: native ones, and those on the built guests.
    Tests,
    /// Examples in the documentation of the code.
    Doctests,
    /// Every combination of features, for the host and for wasm32, and the refusal of two allocators at once.
    Features,
    /// The published packages: each one packs, and the content of its archive compiles.
    Package,
    /// The query engine's workspace: clippy, tests, documentation and packages.
    Query,
    /// The documentation of the code, with every warning an error.
    Rustdoc,
    /// The book.
    Docs,
    /// The HTML reports and the book in headless Chromium.
    Browser,
}

impl Check {
    const fn name(self) -> &'static str {
        match self {
            Self::Fmt => "fmt",
            Self::Licences => "licences",
            Self::Clippy => "clippy",
            Self::Guests => "guests",
            Self::ClippyWasm => "clippy-wasm",
            Self::Tests => "tests",
            Self::Doctests => "doctests",
            Self::Features => "features",
            Self::Package => "package",
            Self::Query => "query",
            Self::Rustdoc => "rustdoc",
            Self::Docs => "docs",
            Self::Browser => "browser",
        }
    }

    /// The steps that must have passed, where they are run at all.
    const fn needs(self) -> &'static [&'static str] {
        match self {
            Self::Guests | Self::ClippyWasm | Self::Features | Self::Package | Self::Browser => &["setup"],
            Self::Tests | Self::Query => &["setup", "guests"],
            _ => &[],
        }
    }

    /// Whether it compiles a workspace of its own, before its turn if others come before.
    const fn is_compiled_ahead(self) -> bool {
        matches!(self, Self::Query | Self::Browser)
    }

    /// Whether it needs a toolchain for wasm32.
    const fn is_for_wasm(self) -> bool {
        match self {
            Self::Guests | Self::ClippyWasm | Self::Features | Self::Package => true,
            Self::Tests | Self::Query | Self::Browser => true,
            Self::Fmt | Self::Licences | Self::Clippy | Self::Doctests | Self::Rustdoc | Self::Docs => false,
        }
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Run only this step; can be repeated.
    #[arg(long, value_enum, value_name = "STEP")]
    pub(super) only: Vec<Check>,
}

/// Runs the steps that were asked for, all of them where none was, and tells how each went.
pub(super) fn run(console: &Console, arguments: &Arguments) -> Result<bool> {
    let checks: Vec<_> = Check::value_variants()
        .iter()
        .copied()
        .filter(|check| arguments.only.is_empty() || arguments.only.contains(check))
        .collect();
    let needs_setup = checks.iter().any(|check| check.is_for_wasm());
    let mut steps = Steps::new(console, checks.len() + usize::from(needs_setup));
    let mut toolchain = None;
    if needs_setup {
        steps.run("setup", &[], || {
            toolchain = Some(setup::toolchain(console)?);
            Ok(())
        });
    }
    // Even where nothing is left to build, asking for each guest takes two minutes.
    let guests_are_built = checks.contains(&Check::Guests);
    let tests_are_run = checks.contains(&Check::Tests);
    let mut ahead = compile_ahead(console, &checks);
    for check in checks {
        steps.run(check.name(), check.needs(), || {
            if check.is_compiled_ahead() {
                ahead.wait();
            }
            // The tests build the harness too. Alone, the query engine's step brings it along.
            if check == Check::Query && !tests_are_run {
                console.run(cargo().args(["build", "--workspace", "--bin", "host-harness"]))?;
            }
            one(console, check, toolchain.as_ref(), guests_are_built)
        });
    }
    console.end();
    print!("\n{}", steps.summary("test"));
    Ok(steps.passed())
}

/// Begins to compile what later steps need, while other steps run. Nothing where no other step does.
fn compile_ahead(console: &Console, checks: &[Check]) -> Ahead {
    let mut commands = Vec::new();
    if checks.iter().any(|check| !check.is_compiled_ahead()) {
        if checks.contains(&Check::Query) {
            let mut tests = query_tests();
            tests.arg("--no-run");
            commands.extend([tests, query_clippy()]);
        }
        if checks.contains(&Check::Browser) {
            let mut tests = in_browser_tests(cargo());
            tests.args(["test", "--no-run"]);
            commands.push(tests);
        }
    }
    if !commands.is_empty() {
        let told: Vec<_> = commands.iter().map(console::describe).collect();
        console.say(&format!("meanwhile, at low priority: {}", told.join(", ")));
    }
    Ahead::start(commands)
}

fn one(console: &Console, check: Check, toolchain: Option<&Toolchain>, guests_are_built: bool) -> Result<()> {
    let toolchain = || toolchain.context("there is no toolchain for wasm32");
    match check {
        Check::Fmt => fmt(console),
        Check::Licences => licences::check(console),
        Check::Clippy => clippy(console),
        Check::Guests => guests::build_all(console, toolchain()?, &guests::Arguments::default()).map(drop),
        Check::ClippyWasm => clippy_for_wasm(console, toolchain()?),
        // Alone, these steps bring the guests along.
        Check::Tests | Check::Query => {
            if !guests_are_built {
                guests::build_all(console, toolchain()?, &guests::Arguments::default())?;
            }
            if check == Check::Tests { tests(console) } else { query(console) }
        }
        Check::Doctests => console.run(cargo().args(["test", "--workspace", "--doc"])),
        Check::Features => features::check(console, toolchain()?),
        Check::Package => package::check(console, toolchain()?),
        Check::Rustdoc => rustdoc(console),
        Check::Docs => docs::build(console).map(drop),
        Check::Browser => browser::check(console, toolchain()?),
    }
}

/// Runs all of them, so that the first that fails does not hide what the others would find.
fn run_all(console: &Console, commands: impl IntoIterator<Item = Command>) -> Result<()> {
    let mut failures = Vec::new();
    for mut command in commands {
        if let Err(error) = console.run(&mut command) {
            failures.push(format!("{error:#}"));
        }
    }
    if failures.is_empty() { Ok(()) } else { bail!(failures.join("; ")) }
}

/// The same cargo command in the workspace and in that of the guests.
fn in_both(arguments: &[&str]) -> [Command; 2] {
    [cargo(), in_guests(cargo())].map(|mut cargo| {
        cargo.args(arguments);
        cargo
    })
}

/// The same, and in the workspace of the browser tests. That of the query engine has a step of its own, as compiling it takes
/// minutes.
fn in_all(arguments: &[&str]) -> Vec<Command> {
    let mut commands: Vec<Command> = in_both(arguments).into();
    let mut browser = in_browser_tests(cargo());
    browser.args(arguments);
    commands.push(browser);
    commands
}

fn fmt(console: &Console) -> Result<()> {
    let arguments = ["fmt", "--all", "--check"];
    let mut commands = in_all(&arguments);
    for mut other in [in_query(cargo()), in_engines(cargo()), in_stores(cargo())] {
        other.args(arguments);
        commands.push(other);
    }
    let folders =
        "in the workspace, in guests/, in browser-tests/, in query/, in benches/engines/ and in benches/stores/";
    run_all(console, commands).with_context(|| format!("format by `cargo fmt --all`, {folders}"))
}

fn clippy(console: &Console) -> Result<()> {
    let mut commands = in_all(&["clippy", "--workspace", "--all-targets", "--keep-going"]);
    for command in &mut commands {
        command.args(DENY_WARNINGS);
    }
    run_all(console, commands)
}

fn clippy_for_wasm(console: &Console, toolchain: &Toolchain) -> Result<()> {
    let mut clippy = features::clippy_for_wasm(console, toolchain)?;
    clippy.arg("--keep-going");
    for package in features::guest_packages()? {
        clippy.args(["--package", &package.name]);
    }
    clippy.args(DENY_WARNINGS);
    let mut guests = in_guests(features::clippy_for_wasm(console, toolchain)?);
    guests.args(["--workspace", "--keep-going"]).args(DENY_WARNINGS);
    run_all(console, [clippy, guests])
}

fn tests(console: &Console) -> Result<()> {
    console.begin(&format!("tests, native and in {TARGET}"));
    let arguments = ["test", "--workspace", "--lib", "--bins", "--tests", "--examples", "--no-fail-fast"];
    let mut commands = in_both(&arguments);
    match nats::find_or_install() {
        Ok(server) => commands[0].env(nats::VARIABLE, server),
        Err(error) => {
            console.warn(&format!("the tests of {} are left out: {error:#}", nats::TESTED));
            commands[0].args(["--exclude", nats::TESTED])
        }
    };
    run_all(console, commands)
}

/// All of the query engine's workspace, for each package with the features of the whole workspace: with others, the engine would be
/// compiled anew.
fn query(console: &Console) -> Result<()> {
    let mut doc = in_query(cargo());
    doc.args(["doc", "--workspace", "--no-deps", "--document-private-items"]).env("RUSTDOCFLAGS", "-D warnings");
    // `test` has documentation's examples as well.
    run_all(console, [query_tests(), query_clippy(), doc])?;
    package::check_query(console)
}

fn query_tests() -> Command {
    let mut tests = in_query(cargo());
    tests.args(["test", "--workspace", "--no-fail-fast"]);
    tests
}

fn query_clippy() -> Command {
    let mut clippy = in_query(cargo());
    clippy.args(["clippy", "--workspace", "--all-targets", "--keep-going"]).args(DENY_WARNINGS);
    clippy
}

fn rustdoc(console: &Console) -> Result<()> {
    console.run(
        cargo()
            .args(["doc", "--workspace", "--no-deps", "--document-private-items"])
            .env("RUSTDOCFLAGS", "-D warnings"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::parse;

    #[test]
    fn steps_can_be_repeated() {
        let arguments: Arguments = parse("test --only fmt --only features").unwrap();
        assert_eq!(arguments.only, [Check::Fmt, Check::Features]);
    }
}
