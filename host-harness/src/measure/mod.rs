//! Measures what a call and its restore cost: counts that are exact, and times with their spread.
//!
//! Counts and times come from separate passes. Counts are taken by an engine that counts instructions, on two fresh
//! instances one after the other; what the two passes do not agree on is reported as varying and not as a figure.
//! Times are taken by an engine that counts nothing: see [`times`] for how.
//!
//! A function that fails does not end a measurement: its row says why ([`Row::failure`]).

mod bare;
mod counts;
mod memory_map;
mod noise;
mod row;
mod series;
mod statistics;
pub mod times;
mod together;

use std::time::Duration;

use guest_host::{
    Engine, EngineConfig, Guest, InstanceAllocation, InstanceConfig, LoadError, MemoryState, Residue, RestorePolicy,
    RestoreStrategy,
};
use guest_prepare::PrepareOptions;

use crate::functions::is_bare;

pub use bare::bare_call;
pub use memory_map::{MapCell, MapRegion, MapWay, MemoryMap, memory_map};
pub use noise::Noise;
pub use row::{Counts, FailedCall, PerCall, Ratios, Row, RowVerdict, Spread, Times};
pub(crate) use row::{round, way};
pub use series::{MemoryPoint, MemorySeries, SERIES_CALLS, memory_series};
pub use statistics::{Estimate, Interval};
pub use times::clock_cost;
pub use together::{Candidate, Together, measure_together};

/// Name of the allocator of guests without a control block: Rust's default one, or one that this project does not know.
pub const SYSTEM_ALLOCATOR: &str = "system";

/// Name of the allocator where nothing tells which it is, or whether there is one: of bare modules.
pub const UNKNOWN_ALLOCATOR: &str = "unknown";

/// Name of the strategy in rows that are not restored.
pub const NO_RESTORE: &str = "none";

/// Candidates that can be [measured together](measure_together) on [`Engines`] that take instances from a pool.
pub const MOST_CANDIDATES: usize = 200;

/// The two engines that a measurement needs.
#[derive(Debug, Clone)]
pub struct Engines {
    /// Runs at full speed.
    pub timing: Engine,
    /// Counts instructions.
    pub counting: Engine,
}

impl Engines {
    /// Engines of this configuration, but for [`EngineConfig::fuel`], and with a pool that serves [`MOST_CANDIDATES`].
    ///
    /// # Errors
    /// As for [`Engine::new`].
    pub fn new(config: &EngineConfig) -> Result<Self, LoadError> {
        let mut config = config.clone();
        if let InstanceAllocation::Pooling { instances, .. } = &mut config.allocation {
            // Two instances for each candidate, and one that takes the place of another.
            *instances = (*instances).max(2 * MOST_CANDIDATES as u32 + 1);
        }
        let of = |fuel| Engine::new(&config.clone().with_fuel(fuel));
        Ok(Self { timing: of(false)?, counting: of(true)? })
    }
}

/// A guest that is measured, compiled for both engines.
#[derive(Debug, Clone)]
pub struct Subject {
    timing: Guest,
    counting: Guest,
}

impl Subject {
    /// Loads a guest for both engines.
    ///
    /// # Errors
    /// As for [`Guest::load`].
    pub fn load(engines: &Engines, name: &str, wasm: &[u8], options: PrepareOptions) -> Result<Self, LoadError> {
        Ok(Self {
            timing: Guest::load(&engines.timing, name, wasm, options)?,
            counting: Guest::load(&engines.counting, name, wasm, options)?,
        })
    }

    /// The guest, as compiled for the engine that counts nothing.
    #[must_use]
    pub fn guest(&self) -> &Guest {
        &self.timing
    }

    /// The guest, as compiled for the engine that counts instructions.
    #[must_use]
    pub fn counting(&self) -> &Guest {
        &self.counting
    }
}

/// The treatment of an instance after a call, in one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variant {
    /// How it is restored; `None` for the baseline without a restore.
    pub strategy: Option<RestoreStrategy>,
    /// When it is restored.
    pub policy: RestorePolicy,
    /// The treatment of residue.
    pub residue: Residue,
}

impl Variant {
    /// The baseline without a restore.
    pub const NO_RESTORE: Self = Self { strategy: None, policy: RestorePolicy::Never, residue: Residue::Keep };

    /// The baseline that makes a new instance after each call.
    pub const REINSTANTIATE: Self = Self {
        strategy: Some(RestoreStrategy::Reinstantiate),
        policy: RestorePolicy::EveryCall,
        residue: Residue::Scrub,
    };

    /// The most ways of restoring one guest: two baselines, two strategies without residue, and two with either treatment of it.
    pub const MOST: usize = 8;

    /// Name of the strategy, [`NO_RESTORE`] for the baseline.
    #[must_use]
    pub fn strategy_name(&self) -> &'static str {
        self.strategy.map_or(NO_RESTORE, RestoreStrategy::name)
    }

    /// The treatment of residue, if the strategy has a choice.
    #[must_use]
    pub fn residue_name(&self) -> Option<&'static str> {
        self.strategy.filter(|strategy| leaves_residue(*strategy)).map(|_| self.residue.name())
    }

    /// The configuration of an instance that is treated so; the rest is `base`'s.
    ///
    /// Without a restore the strategy only matters after a failure; the one taken admits every guest.
    #[must_use]
    pub fn config(&self, base: &InstanceConfig) -> InstanceConfig {
        let strategy = self.strategy.unwrap_or(RestoreStrategy::Reinstantiate);
        base.clone().with_strategy(strategy).with_policy(self.policy).with_residue(self.residue)
    }
}

/// Whether [`Residue`] changes what the strategy does.
#[must_use]
pub fn leaves_residue(strategy: RestoreStrategy) -> bool {
    matches!(strategy, RestoreStrategy::Watermark | RestoreStrategy::BumpReset)
}

/// How much is measured.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MeasureOptions {
    /// Calls that are timed, for each figure.
    pub calls: u64,
    /// Time after which a figure uses the calls timed so far.
    pub budget: Duration,
    /// Calls that are counted, in each of the two passes.
    pub counted_calls: u64,
    /// How instances are made; strategy, policy and residue come from the [`Variant`].
    pub config: InstanceConfig,
}

impl MeasureOptions {
    guest_prepare::setters! {
        /// Sets [`Self::calls`].
        with_calls(calls: u64);
        /// Sets [`Self::budget`].
        with_budget(budget: Duration);
        /// Sets [`Self::counted_calls`].
        with_counted_calls(counted_calls: u64);
        /// Sets [`Self::config`].
        with_config(config: InstanceConfig);
    }
}

impl Default for MeasureOptions {
    fn default() -> Self {
        Self { calls: 10_000, budget: Duration::from_millis(500), counted_calls: 10, config: InstanceConfig::default() }
    }
}

/// Measures one function of one guest under one way of restoring. Rows that you compare are measured by
/// [`measure_together`].
///
/// ```
/// use guest_host::{EngineConfig, MemoryState, PrepareOptions};
/// use host_harness::measure::{Engines, MeasureOptions, Subject, Variant, measure};
///
/// let engines = Engines::new(&EngineConfig::default())?;
/// # let wasm = wat::parse_str(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../guest-host/examples/shop.wat")))?;
/// let subject = Subject::load(&engines, "shop", &wasm, PrepareOptions::default())?;
/// let options = MeasureOptions::default().with_calls(100);
/// let row = measure(&subject, "count_up", Variant::REINSTANTIATE, &options, &MemoryState::new())?;
/// let counts = row.counts.expect("the call succeeds");
/// println!("{counts:?}, {:?}", row.times);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`LoadError`] when no instance can be made, for instance as the strategy does not serve the guest, and
/// [`LoadError::Function`] when there is no such function. A call that fails is no error: see [`Row::failure`].
pub fn measure(
    subject: &Subject,
    function: &str,
    variant: Variant,
    options: &MeasureOptions,
    state: &MemoryState,
) -> Result<Row, LoadError> {
    let candidate = Candidate { subject, function, variant };
    let mut together = measure_together(&[candidate], options, state, &mut |_, _| ())?;
    together.rows.remove(0)
}

/// Name of the allocator that a guest's control block names; `state` is what the guest may read while it is initialised.
///
/// # Errors
/// [`LoadError`] when no instance can be made to read it from.
pub fn allocator_of(guest: &Guest, config: &InstanceConfig, state: &MemoryState) -> Result<String, LoadError> {
    if guest.admission().control_block.is_none() {
        return Ok(if is_bare(guest) { UNKNOWN_ALLOCATOR } else { SYSTEM_ALLOCATOR }.to_owned());
    }
    let config = config.clone().with_strategy(RestoreStrategy::Reinstantiate);
    let instance = guest.instantiate(&config, state.clone())?;
    let block = instance.memory().and_then(|(_, snapshot)| snapshot.control_block());
    let kind = block.and_then(|block| block.image.allocator());
    Ok(kind.map_or(SYSTEM_ALLOCATOR, guest_abi::AllocatorKind::name).to_owned())
}
