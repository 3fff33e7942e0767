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
    let config = common.config();
    let progress = Progress::spinner();
    for Measured { path, guest, variants, .. } in measured {
        progress.doing(format!("memory of {}", guest.name()));
        let mut functions: Vec<String> = Vec::new();
        for row in report.rows.iter().filter(|row| row.guest == guest.name() && row.failure.is_none()) {
            if !functions.contains(&row.function) {
                functions.push(row.function.clone());
            }
        }
        let Some(function) = busiest(report, guest.name()) else { continue };
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

/// The function of a guest that requests the most memory: its map shows the most.
fn busiest(report: &MeasureReport, guest: &str) -> Option<String> {
    let rows = report.rows.iter().filter(|row| row.guest == guest && row.failure.is_none());
    let bytes = |row: &Row| row.counts.as_ref().and_then(|counts| counts.allocated_bytes).unwrap_or_default().0;
    // Of equal ones the first.
    let found = rows.reduce(|most, row| if bytes(row) > bytes(most) { row } else { most });
    found.map(|row| row.function.clone())
}
