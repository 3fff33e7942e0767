//! What `measure` and `compare` find out about a guest's memory: how it creeps over many calls, and its map.

use std::time::Duration;

use anyhow::Result;
use guest_host::{MemoryState, Residue, RestorePolicy, RestoreStrategy};
use host_harness::inspect::best_strategy;
use host_harness::measure::{Row, Variant, memory_map, memory_series};
use host_harness::report::MeasureReport;

use super::table::Measured;
use crate::arguments::Common;
use crate::progress::Progress;

/// Time that the series of one guest may take together.
const BUDGET: Duration = Duration::from_millis(400);

/// Adds the series and the map of each guest, for functions that did not fail.
pub(super) fn add(
    report: &mut MeasureReport,
    measured: &[Measured],
    common: &Common,
    state: &MemoryState,
) -> Result<()> {
    let progress = Progress::spinner();
    for Measured { path, guest, variants, .. } in measured {
        let config = common.config_of(guest);
        progress.doing(format!("memory of {}", guest.name()));
        let rows = || report.rows.iter().filter(|row| row.guest == guest.name() && row.failure.is_none());
        let succeeds = |function: &str| rows().any(|row| row.function == function);
        let functions = report.functions_of(guest.name()).into_iter().filter(|function| succeeds(function));
        let functions: Vec<String> = functions.map(str::to_owned).collect();
        let Some(function) = busiest(rows()) else { continue };
        let in_file = |error: guest_host::LoadError| error.in_file(path);
        report.memory_maps.extend(memory_map(guest, &function, variants, &config, state).map_err(in_file)?);

        let strategy =
            best_strategy(guest, &config, state).map_or(RestoreStrategy::Reinstantiate, |choice| choice.strategy);
        let restored = Variant { strategy: Some(strategy), policy: RestorePolicy::EveryCall, residue: Residue::Scrub };
        let share = BUDGET / u32::try_from(2 * functions.len()).unwrap_or(u32::MAX);
        for function in &functions {
            for variant in [Variant::NO_RESTORE, restored] {
                let series = memory_series(guest, function, variant, &config, state, share);
                report.series.push(series.map_err(in_file)?);
            }
        }
    }
    Ok(())
}

/// The function of these rows that requests the most memory: its map shows the most.
fn busiest<'r>(rows: impl Iterator<Item = &'r Row>) -> Option<String> {
    let bytes = |row: &Row| row.counts.as_ref().and_then(|counts| counts.allocated_bytes).unwrap_or_default().0;
    // Of equal ones the first.
    let found = rows.reduce(|most, row| if bytes(row) > bytes(most) { row } else { most });
    found.map(|row| row.function.clone())
}
