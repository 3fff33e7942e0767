//! The guests that are benchmarked, as `cargo xtask guests` builds them.

use std::path::{Path, PathBuf};

use anyhow::{Context, Error, Result, anyhow};
use host_harness::{
    Engine, EngineConfig, Guest, InstanceConfig, MemoryState, PrepareOptions, Residue, RestorePolicy, RestoreStrategy,
    load_state_file,
};

/// The workspace's folder.
#[must_use]
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// Where a guest's module is.
#[must_use]
pub fn path(name: &str) -> PathBuf {
    root().join("target/guests").join(name).with_extension("wasm")
}

/// Loads a guest, such as `bench-bump-reset`, with the preparation that it is used with.
///
/// # Errors
/// It has not been built, or cannot be loaded.
pub fn load(engine: &Engine, name: &str) -> Result<Guest> {
    Guest::from_file(engine, &path(name), PrepareOptions::default())
        .with_context(|| format!("guest `{name}`: build it by `cargo xtask guests`"))
}

/// The engine as an embedder gets it.
///
/// # Errors
/// The machine refuses it.
pub fn engine() -> Result<Engine> {
    Ok(Engine::new(&EngineConfig::default())?)
}

/// The state that the functions of the guest `bench` read: 1003 records.
///
/// # Errors
/// The file is not there.
pub fn state() -> Result<MemoryState> {
    Ok(load_state_file(&root().join("guests/bench/state.json"))?)
}

/// An instance's configuration: strategy, policy and residue; all else is as an embedder gets it.
#[must_use]
pub fn config(strategy: RestoreStrategy, policy: RestorePolicy, residue: Residue) -> InstanceConfig {
    let mut config = InstanceConfig::default();
    config.strategy = strategy;
    config.policy = policy;
    config.residue = residue;
    config
}

/// wasmtime's error as any other.
#[must_use]
#[expect(clippy::needless_pass_by_value, reason = "it is passed to `map_err`")]
pub fn plain(error: wasmtime::Error) -> Error {
    anyhow!("{error:#}")
}

/// Rounds to take turns for: as many as are asked for, or one where the benchmarks are only tried out.
#[must_use]
pub fn rounds(asked: usize) -> usize {
    if std::env::args().any(|argument| argument == "--test") { 1 } else { asked }
}
