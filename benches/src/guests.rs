//! The guests that are benchmarked, as `cargo xtask guests` builds them.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Error, Result, anyhow};
use criterion::Criterion;
use guest_abi::storage;
use guest_host::{
    AdmissionError, Engine, EngineConfig, Guest, Instance, InstanceConfig, LoadError, MemoryState, Residue,
    RestorePolicy, RestoreStrategy,
};
use guest_prepare::PrepareOptions;
use host_harness::load_state_file;

/// The allocators with which every guest is built.
pub const ALLOCATORS: [&str; 5] = ["system", "leaking", "bump-reset", "freelist", "wee"];

/// How an instance is put back after a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Way {
    /// By which strategy.
    pub strategy: RestoreStrategy,
    /// What becomes of residue.
    pub residue: Residue,
    /// When.
    pub policy: RestorePolicy,
}

impl Way {
    /// Not at all. The strategy is one that runs the guest's code without marks.
    pub const NEVER: Self =
        Self { strategy: RestoreStrategy::FullCopy, residue: Residue::Scrub, policy: RestorePolicy::Never };

    /// After every call, every byte.
    #[must_use]
    pub const fn scrub(strategy: RestoreStrategy) -> Self {
        Self { strategy, residue: Residue::Scrub, policy: RestorePolicy::EveryCall }
    }

    /// After every call, what a safe guest can reach.
    #[must_use]
    pub const fn keep(strategy: RestoreStrategy) -> Self {
        Self { strategy, residue: Residue::Keep, policy: RestorePolicy::EveryCall }
    }

    /// All that differ. Where a strategy leaves no residue either way, that is one way.
    pub fn all() -> impl Iterator<Item = Self> {
        use RestoreStrategy::{Auto, BumpReset, DirtyCards, FullCopy, Reinstantiate, Watermark};
        let exact = [Reinstantiate, FullCopy, DirtyCards].map(Self::scrub);
        let both = [Watermark, BumpReset, Auto].into_iter().flat_map(|one| [Self::scrub(one), Self::keep(one)]);
        exact.into_iter().chain(both).chain([Self::NEVER])
    }

    /// The same by a strategy. Of one that leaves no residue either way, it is the way in [`Self::all`].
    #[must_use]
    pub const fn by(self, strategy: RestoreStrategy) -> Self {
        match strategy {
            RestoreStrategy::Watermark | RestoreStrategy::BumpReset => Self { strategy, ..self },
            _ => Self { strategy, residue: Residue::Scrub, ..self },
        }
    }

    /// Whether it is one of the strategies that `auto` picks from where it is asked for `wanted`.
    #[must_use]
    pub fn does_what(self, wanted: Self) -> bool {
        self.strategy != RestoreStrategy::Auto
            && self.policy == wanted.policy
            && (self.residue == Residue::Scrub || wanted.residue == Residue::Keep)
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use RestoreStrategy::{Auto, BumpReset, Watermark};
        match (self.policy, self.strategy) {
            (RestorePolicy::Never, _) => f.write_str("never restored"),
            (_, Auto | BumpReset | Watermark) => write!(f, "{} {}", self.strategy, self.residue),
            _ => write!(f, "{}", self.strategy),
        }
    }
}

/// An instance over the state that the functions of the guest `bench` read; `None` where the guest is not one that the
/// strategy can restore.
///
/// # Errors
/// It cannot be made.
pub fn instance(guest: &Guest, config: &InstanceConfig) -> Result<Option<Instance>> {
    match guest.instantiate(config, state()?) {
        Ok(instance) => Ok(Some(instance)),
        Err(LoadError::Admission(AdmissionError::Strategy { .. })) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Criterion with so little time for each benchmark that hundreds of them are done in minutes; its options on the
/// command line give more.
#[must_use]
pub fn brief_criterion() -> Criterion {
    let brief = Criterion::default().sample_size(20);
    brief.warm_up_time(Duration::from_millis(100)).measurement_time(Duration::from_millis(300)).configure_from_args()
}

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
    // What is measured is what each allocator makes of a guest, and not what counting the calls of one adds.
    let options = PrepareOptions::default().with_count_allocations(false);
    Guest::from_file(engine, &path(name), options)
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

/// The state in which the event asks the functions `fill_heap` and `touch_heap` for so many bytes.
///
/// # Errors
/// They do not fit an integer.
pub fn state_with_bytes(bytes: usize) -> Result<MemoryState> {
    let mut state = MemoryState::new();
    let bytes = i64::try_from(bytes)?;
    state.put(
        storage::EVENT,
        "",
        |_| {},
        |value| {
            value.put_i64("Bytes", bytes);
        },
    )?;
    Ok(state)
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
