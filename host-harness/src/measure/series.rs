//! Memory over many calls on one instance: without a restore it may creep, with one it must not.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::{FailedCall, Variant};
use guest_abi::control_block::ControlBlockImage;
use guest_abi::names::PAGE_SIZE;
use guest_host::{Guest, Instance, InstanceConfig, LoadError, MemoryState};

/// Calls that a series has, unless its time ends.
pub const SERIES_CALLS: u64 = 1_000;

/// Points of a series beside the first one.
const POINTS: u64 = 40;

/// The memory of one instance over many calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct MemorySeries {
    /// The guest.
    pub guest: String,
    /// The function that was called.
    pub function: String,
    /// The strategy, `none` where the instance was not restored.
    pub strategy: String,
    /// `scrub` or `keep`; null where the strategy leaves no residue.
    pub residue: Option<String>,
    /// The points, in the order of the calls; the first one is before any call.
    pub points: Vec<MemoryPoint>,
    /// Why it ends before all calls were made; null where none failed.
    pub failure: Option<FailedCall>,
}

/// The memory after some calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct MemoryPoint {
    /// Calls made so far, each with its restore where there is one.
    pub calls: u64,
    /// Bytes of linear memory that the instance has.
    pub memory_bytes: u64,
    /// Bytes from the heap's base up to the allocator's next free address; null without a control block.
    pub heap_bytes: Option<u64>,
}

/// Calls a function [`SERIES_CALLS`] times, for `budget` at most, and samples the memory.
///
/// ```
/// use std::time::Duration;
///
/// use guest_host::{Engine, EngineConfig, Guest, InstanceConfig, MemoryState, PrepareOptions};
/// use host_harness::measure::{Variant, memory_series};
///
/// # let engine = Engine::new(&EngineConfig::default())?;
/// # let wasm = wat::parse_str(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../guest-host/examples/shop.wat")))?;
/// # let guest = Guest::load(&engine, "shop", &wasm, PrepareOptions::default())?;
/// let (config, state) = (InstanceConfig::default(), MemoryState::new());
/// let budget = Duration::from_secs(5);
/// let series = memory_series(&guest, "count_up", Variant::NO_RESTORE, &config, &state, budget)?;
/// assert_eq!(series.points[0].calls, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`LoadError`] when no instance can be made, or when there is no such function. A call that fails ends the series.
pub fn memory_series(
    guest: &Guest,
    function: &str,
    variant: Variant,
    config: &InstanceConfig,
    state: &MemoryState,
    budget: Duration,
) -> Result<MemorySeries, LoadError> {
    let handle = guest.function(function).map_err(LoadError::Function)?;
    let config = variant.config(config).with_count(false).with_trace(false);
    let mut instance = guest.instantiate(&config, state.clone())?;
    let mut series = MemorySeries {
        guest: guest.name().to_owned(),
        function: function.to_owned(),
        strategy: variant.strategy_name().to_owned(),
        residue: variant.residue_name().map(str::to_owned),
        points: vec![point(&instance, 0)],
        failure: None,
    };
    let begin = Instant::now();
    for call in 1..=SERIES_CALLS {
        let failed = match instance.invoke(handle) {
            Ok(_) => None,
            Err(failure) => Some(FailedCall::of(&failure, call)),
        };
        let is_late = begin.elapsed() > budget;
        if failed.is_none() && (is_late || call.is_multiple_of(SERIES_CALLS / POINTS)) {
            series.points.push(point(&instance, call));
        }
        if is_late || failed.is_some() {
            series.failure = failed;
            break;
        }
    }
    Ok(series)
}

fn point(instance: &Instance, calls: u64) -> MemoryPoint {
    let heap = |(memory, snapshot): (&[u8], &guest_host::snapshot::Snapshot)| {
        let address = snapshot.control_block()?.address;
        let image = ControlBlockImage::parse(memory.get(address..)?).ok()?;
        Some(u64::from(image.top.saturating_sub(image.heap_base)))
    };
    MemoryPoint {
        calls,
        memory_bytes: instance.physical_pages() * u64::from(PAGE_SIZE),
        heap_bytes: instance.memory().and_then(heap),
    }
}
