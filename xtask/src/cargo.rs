//! The cargo commands that several tasks run.

use std::process::Command;

use crate::folders;

/// Makes every warning an error of clippy's.
pub(crate) const DENY_WARNINGS: [&str; 3] = ["--", "-D", "warnings"];

/// The cargo that started this program, in the workspace's folder.
pub(crate) fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(folders::root());
    cargo
}

/// The same cargo in the workspace of the browser tests.
pub(crate) fn in_browser_tests(mut cargo: Command) -> Command {
    cargo.current_dir(folders::root().join("browser-tests"));
    cargo
}

/// The same cargo in the workspace of the query engine.
pub(crate) fn in_query(mut cargo: Command) -> Command {
    cargo.current_dir(folders::query());
    cargo
}

/// The same cargo in the workspace of the benchmarks beside other engines.
pub(crate) fn in_engines(mut cargo: Command) -> Command {
    cargo.current_dir(folders::engines());
    cargo
}

/// The same cargo in the workspace of the benchmark of embedded stores.
pub(crate) fn in_stores(mut cargo: Command) -> Command {
    cargo.current_dir(folders::stores());
    cargo
}

/// The same cargo in the guests' workspace.
pub(crate) fn in_guests(mut cargo: Command) -> Command {
    cargo.current_dir(folders::root().join("guests"));
    cargo
}
