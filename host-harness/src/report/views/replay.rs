//! How replays read: what the traces ask for, and for each what the allocators made of it.

use super::super::data::ReplayReport;
use super::super::numbers::{NONE, bytes, grouped, or_dash, ratio, time};
use super::super::section::{Body, Section, Table};
use super::measure;
use crate::replay::ReplayRow;

pub(in super::super) fn sections(report: &ReplayReport) -> Vec<Section> {
    let mut sections = vec![traces(report)];
    sections.extend(report.traces.iter().map(|trace| of_trace(&trace.trace, &report.rows)));
    if let Some(last) = sections.last_mut() {
        last.remarks.extend([
            "time: of one operation of the trace, p50 and p99 over whole replays; reading: the part of it that reads the \
             trace, without allocating"
                .to_owned(),
            "heap: pages without shadow stack, statics, exchange region and the replay's own table; fragmentation: heap / \
             peak live"
                .to_owned(),
        ]);
    }
    let mut settings = measure::settings(&report.settings);
    settings.push(("restored by", report.strategy.clone()));
    settings.push(("first allocation's number", report.count_from.to_string()));
    sections.push(Section::facts("Settings", settings));
    if !report.notes.is_empty() {
        sections.push(Section::new("Notes", Body::Lines(report.notes.clone())));
    }
    sections
}

fn traces(report: &ReplayReport) -> Section {
    let figures = ["operations", "allocations", "frees", "reallocs", "peak live", "peak blocks", "live at the end"];
    let mut table = Table::new(&["trace"], &figures);
    for trace in &report.traces {
        let counts = [trace.operations, trace.allocations, trace.frees, trace.reallocations];
        let mut cells = vec![trace.trace.clone()];
        cells.extend(counts.map(grouped));
        cells.extend([bytes(trace.peak_live_bytes), grouped(trace.peak_live_blocks), bytes(trace.live_bytes)]);
        table.row(cells);
    }
    Section::new("Traces", Body::Table(table))
}

fn of_trace(trace: &str, rows: &[ReplayRow]) -> Section {
    let figures = ["time p50", "p99", "reading", "repeats", "failed", "peak live", "pages", "heap", "fragmentation"];
    let mut table = Table::new(&["allocator"], &figures).word("failure");
    let mut remarks = Vec::new();
    for row in rows.iter().filter(|row| row.trace == trace) {
        let (counts, times) = (row.counts.as_ref(), row.times.as_ref());
        table.row([
            row.allocator.clone(),
            or_dash(times, |times| per_operation(times.operation.p50)),
            or_dash(times, |times| per_operation(times.operation.p99)),
            or_dash(times, |times| per_operation(times.walk.p50)),
            or_dash(times, |times| grouped(times.repeats)),
            or_dash(counts, |counts| grouped(counts.failed_operations)),
            or_dash(counts, |counts| bytes(counts.peak_live_bytes)),
            or_dash(counts, |counts| grouped(counts.pages)),
            or_dash(counts.and_then(|counts| counts.heap_bytes), bytes),
            or_dash(counts.and_then(|counts| counts.fragmentation), ratio),
            row.failure.as_ref().map_or_else(|| NONE.to_owned(), |failure| failure.cause.clone()),
        ]);
        if let Some(failure) = &row.failure {
            remarks.push(format!("{}: {}", row.allocator, failure.message));
        }
    }
    Section::new(format!("Replays of `{trace}`"), Body::Table(table)).remarks(remarks)
}

/// Nanoseconds, which are few: with a digit behind the point.
fn per_operation(nanoseconds: f64) -> String {
    if nanoseconds < 99.95 { format!("{nanoseconds:.1} ns") } else { time(nanoseconds) }
}
