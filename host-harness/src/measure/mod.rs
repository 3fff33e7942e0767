//! Measures what a call and its restore cost: counts that are exact, and times with their spread.
//!
//! Counts and times come from separate passes. Counts are taken by an engine that counts instructions, on two fresh
//! instances one after the other; what the two passes do not agree on is reported as varying and not as a figure.
//! Times are taken by an engine that counts nothing: see [`times`] for how.
//!
//! A function that fails does not end a measurement: its row says why ([`Row::failure`]).

mod counts;
mod memory_map;
mod row;
mod series;
pub mod times;

use std::time::Duration;

use guest_host::{
    Engine, EngineConfig, Guest, InstanceConfig, LoadError, MemoryState, Residue, RestorePolicy, RestoreStrategy,
};
use guest_prepare::PrepareOptions;

pub use memory_map::{MapCell, MapRegion, MapWay, MemoryMap, memory_map};
pub use row::{Counts, FailedCall, PerCall, Ratios, Row, RowVerdict, Spread, Times};
pub use series::{MemoryPoint, MemorySeries, SERIES_CALLS, memory_series};
pub use times::{bare_call, clock_cost};

/// Name of the allocator of guests without a control block: Rust's default one, or one that this project does not know.
pub const SYSTEM_ALLOCATOR: &str = "system";

/// Name of the strategy in rows that are not restored.
pub const NO_RESTORE: &str = "none";

/// The two engines that a measurement needs.
#[derive(Debug, Clone)]
pub struct Engines {
    /// Runs at full speed.
    pub timing: Engine,
    /// Counts instructions.
    pub counting: Engine,
}

impl Engines {
    /// Engines of this configuration, but for [`EngineConfig::fuel`].
    ///
    /// # Errors
    /// As for [`Engine::new`].
    pub fn new(config: &EngineConfig) -> Result<Self, LoadError> {
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

/// Measures one function of one guest.
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
    let mut row = Row::new(subject.guest(), function, variant);
    match counts::count(&subject.counting, function, variant, options, state)? {
        Ok(counted) => row.counts = Some(counted),
        Err(failed) => row.failure = Some(failed),
    }
    if row.failure.is_none() {
        match times::time(&subject.timing, function, variant, options, state)? {
            Ok(times) => row.times = Some(times),
            Err(failed) => row.failure = Some(failed),
        }
    }
    Ok(row)
}

/// Name of the allocator that a guest's control block names; `state` is what the guest may read while it is initialised.
///
/// # Errors
/// [`LoadError`] when no instance can be made to read it from.
pub fn allocator_of(guest: &Guest, config: &InstanceConfig, state: &MemoryState) -> Result<String, LoadError> {
    if guest.admission().control_block.is_none() {
        return Ok(SYSTEM_ALLOCATOR.to_owned());
    }
    let config = config.clone().with_strategy(RestoreStrategy::Reinstantiate);
    let instance = guest.instantiate(&config, state.clone())?;
    let block = instance.memory().and_then(|(_, snapshot)| snapshot.control_block());
    let kind = block.and_then(|block| block.image.allocator());
    Ok(kind.map_or(SYSTEM_ALLOCATOR, guest_abi::AllocatorKind::name).to_owned())
}

/// Sets the ratios of each row to its baselines: those of the same guest and function, and the bare call.
pub fn relate(rows: &mut [Row], bare: Spread) {
    let p50 = |row: &Row| row.times.as_ref().map(|times| times.invoke.p50);
    let baselines: Vec<(String, String, String, f64)> = rows
        .iter()
        .filter(|row| row.strategy == NO_RESTORE || row.is_reinstantiate())
        .filter_map(|row| Some((row.guest.clone(), row.function.clone(), row.strategy.clone(), p50(row)?)))
        .collect();
    for row in rows {
        let Some(invoke) = p50(row) else { continue };
        let find = |strategy: &str| {
            let found = baselines.iter().find(|(guest, function, baseline, _)| {
                *guest == row.guest && *function == row.function && baseline == strategy
            });
            found.map(|(.., nanoseconds)| row::round(invoke / nanoseconds, 4))
        };
        let ratios = Ratios {
            to_bare_call: (bare.p50 > 0.0).then(|| row::round(invoke / bare.p50, 4)),
            to_no_restore: find(NO_RESTORE),
            to_reinstantiate: find(RestoreStrategy::Reinstantiate.name()),
        };
        if let Some(times) = &mut row.times {
            times.ratios = ratios;
        }
    }
}
