//! An inspection with a memory budget.

use guest_host::{Engine, InstanceConfig, MemoryState};
use guest_prepare::PrepareOptions;
use guest_prepare::module_info::ModuleError;

use super::{Inspection, inspect_and};
use crate::budget::{self, Budget};

/// [Inspects](super::inspect) a module, and adds its memory beside a budget of so many bytes. The memory limit of `config`
/// is that of instances which do not fit the budget. `state` is for the functions that are called.
///
/// ```
/// use guest_host::{Engine, EngineConfig, InstanceConfig, MemoryState, PrepareOptions};
/// use host_harness::inspect::inspect_within;
///
/// let engine = Engine::new(&EngineConfig::default())?;
/// # let wasm = wat::parse_str(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../guest-host/examples/shop.wat")))?;
/// let (options, config) = (PrepareOptions::default(), InstanceConfig::default());
/// let found = inspect_within(&engine, "shop", &wasm, options, &config, 256 << 10, &MemoryState::new())?;
/// let budget = found.budget.ok_or("the guest can be loaded")?;
/// assert!(budget.fits);
/// assert_eq!(budget.parts.iter().map(|part| part.bytes).sum::<u64>(), 256 << 10);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`ModuleError`] when the bytes are no valid core module. All else is part of what was found.
pub fn inspect_within(
    engine: &Engine,
    name: &str,
    wasm: &[u8],
    options: PrepareOptions,
    config: &InstanceConfig,
    budget: u64,
    state: &MemoryState,
) -> Result<Inspection, ModuleError> {
    inspect_and(engine, name, wasm, options, config, |found, guest| {
        let budget = Budget::of(guest, budget, config, state);
        let advice = budget::advice(guest.info(), &budget);
        // With the figures of instances and calls, it is more exact than what the module alone says.
        found.advice.retain(|general| advice.iter().all(|exact| exact.kind != general.kind));
        found.advice.splice(0..0, advice);
        // That no instance could be made even with more memory is among the rest.
        found.budget = Some(budget);
    })
}
