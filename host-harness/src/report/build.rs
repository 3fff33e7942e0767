//! What `build` found: the modules of a guest crate, and how plain cargo makes them.

use serde::{Deserialize, Serialize};

/// The modules that a guest crate was built into.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct BuildReport {
    /// The package.
    pub package: String,
    /// The modules, one for each allocator.
    pub modules: Vec<BuiltModule>,
    /// Allocators that the crate does not offer, each with the reason.
    pub skipped: Vec<String>,
    /// How the compiler was found, such as `target-added` or `debian-source`.
    pub toolchain: String,
    /// The compiler's version, in its own words.
    pub compiler: String,
    /// How plain cargo builds the last of the modules.
    pub plain_cargo: PlainCargoLine,
    /// Commands that go on with these modules, to paste.
    pub next: Vec<String>,
}

/// A module of a guest crate.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct BuiltModule {
    /// The allocator.
    pub allocator: String,
    /// The file.
    pub file: String,
    /// Its bytes.
    pub bytes: u64,
    /// The strategy that `auto` picks for it; null where no instance can be made.
    pub strategy: Option<String>,
    /// Why `auto` picks it, or why no instance can be made.
    pub reason: String,
}

/// A command of plain cargo.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct PlainCargoLine {
    /// The folder to run it in, where cargo's configuration is looked up.
    pub folder: String,
    /// The command with the environment variables that it needs, as a line for a shell.
    pub line: String,
    /// The module that it writes.
    pub module: String,
    /// Why it needs more than `cargo build --target wasm32-unknown-unknown`; null where it does not.
    pub because: Option<String>,
}
