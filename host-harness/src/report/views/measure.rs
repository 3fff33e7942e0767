//! How a measurement reads: the guests, what a call does, how long it takes, what verification found.

use super::super::data::{GuestSummary, MeasureReport, Settings};
use super::super::gather::gather;
use super::super::numbers::{NONE, bytes, grouped, or_dash, per_call, ratio, time};
use super::super::section::{Body, Section, Table};
use super::{advice, answer, list, verify};
use crate::measure::{Counts, FailedCall, NO_RESTORE, PerCall, Row, Spread};
use crate::verify::{RingOptions, RingRole};

pub(in super::super) fn sections(report: &MeasureReport) -> Vec<Section> {
    // A check that failed says why before it recommends anything.
    let mut sections: Vec<Section> = failed(report).into_iter().collect();
    sections.extend(answer::sections(report));
    let has_answer = !sections.is_empty();
    sections.extend(super::notes(&report.notes));
    let mut details = vec![guests(report)];
    details.extend(counts(&report.rows));
    details.extend(times(report));
    details.extend(verify::sections(&report.verdicts));
    details.push(super::settings(&report.settings));
    sections.extend(details.into_iter().map(|section| if has_answer { section.detail() } else { section }));
    // Last, where a terminal shows it.
    sections.extend(advice::section(report.guests.iter().map(|guest| (guest.guest.as_str(), guest.advice.as_slice()))));
    sections
}

/// The reasons for which the check failed: a line for each function and failure that is not allowed, and for each finding of
/// verification. `None` if it passed.
fn failed(report: &MeasureReport) -> Option<Section> {
    if report.passed() {
        return None;
    }
    let failed = report.rows.iter().filter(|row| !report.allow_failing.allows(&row.function)).filter_map(|row| {
        let FailedCall { cause, message, .. } = row.failure.as_ref()?;
        Some((format!("`{}` failed by {cause}: {message}", row.function), row))
    });
    let shown = |(line, rows): (String, Vec<&Row>)| format!("{line} (in {} of {} rows)", rows.len(), report.rows.len());
    let mut lines: Vec<String> = gather(failed, String::eq).into_iter().map(shown).collect();
    lines.extend(verify::faults(&report.verdicts));
    if report.recommendations.is_empty() {
        lines.push("nothing can be recommended: no way of restoring did all functions".to_owned());
    }
    let mut section = Section::new("FAILED, for these reasons", Body::Lines(lines));
    section.is_answer = true;
    Some(section)
}

pub(super) fn settings(settings: &Settings) -> Vec<(&'static str, String)> {
    #[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
    let deadline = |nanoseconds: u64| time(nanoseconds as f64);
    let usual = || {
        let native = bytes(guest_abi::names::DEFAULT_EXCHANGE_SIZE.into());
        format!("{native}, exttinygo {}", bytes(guest_abi::exttinygo::DEFAULT_BUFFER_SIZE.into()))
    };
    let mut facts = vec![
        ("memory limit", bytes(settings.memory_limit)),
        ("deadline", settings.deadline_ns.map_or_else(|| "none".to_owned(), deadline)),
        ("exchange region", settings.exchange_size.map_or_else(usual, |size| bytes(size.into()))),
        ("virtual growth", if settings.virtual_growth { "on" } else { "off" }.to_owned()),
    ];
    let arguments = settings.arguments.iter();
    let calls: Vec<String> = arguments.map(|(function, values)| format!("{function}({})", values.join(", "))).collect();
    if !calls.is_empty() {
        facts.push(("arguments", calls.join("; ")));
    }
    if let Some(from) = settings.map_blocks_from {
        facts.push(("memory blocks", format!("mapped from {} where they can be", bytes(from.into()))));
    }
    if let Some(RingOptions { slots, slot_size, role }) = settings.ring {
        let does = match role {
            RingRole::Writer => "writes and reads",
            RingRole::Reader => "reads",
        };
        facts.push(("ring", format!("{slots} x {}, which the guest {does}", bytes(slot_size.into()))));
    }
    facts
}

fn guests(report: &MeasureReport) -> Section {
    let mut table = Table::new(&["guest", "allocator"], &["wasm bytes", "statics bytes"]).word("built with");
    let mut remarks = Vec::new();
    for guest in &report.guests {
        let GuestSummary { guest, allocator, wasm_bytes, statics_bytes, built_with, not_admitted, .. } = guest;
        table.row([
            guest.clone(),
            allocator.clone(),
            grouped(*wasm_bytes),
            or_dash(*statics_bytes, grouped),
            list(&built_with.iter().map(|tool| without_remark(tool)).collect::<Vec<_>>()),
        ]);
        for strategy in not_admitted {
            remarks.push(format!("{guest}: not by {}: {}", strategy.strategy, strategy.reasons.join("; ")));
        }
    }
    Section::new("Guests", Body::Table(table)).remarks(remarks)
}

/// A tool and its version, without what it says of its own build.
fn without_remark(tool: &str) -> String {
    tool.split(" (").next().unwrap_or(tool).to_owned()
}

/// The counts of calls, with equal rows joined: unless something is wrong, a call does the same under every way of
/// restoring. `None` if no call succeeded.
fn counts(rows: &[Row]) -> Option<Section> {
    const FIGURES: [&str; 9] =
        ["allocations", "frees", "reallocs", "bytes", "peak live", "pages", "grows", "instructions", "crossings"];
    let mut table = Table::new(&["guest", "function", "restored by"], &FIGURES);
    let mut remarks = Vec::new();
    let mut groups: Vec<(&Row, Vec<String>, Vec<String>)> = Vec::new();
    for row in rows {
        let Some(counts) = &row.counts else { continue };
        let cells = count_cells(counts);
        let group = groups
            .iter_mut()
            .find(|(first, _, shown)| first.guest == row.guest && first.function == row.function && *shown == cells);
        match group {
            Some((_, ways, _)) => ways.push(row.way()),
            None => groups.push((row, vec![row.way()], cells)),
        }
        for name in &counts.varies {
            remarks.push(format!(
                "{} `{}` ({}): {name} varied between two passes over fresh instances, so its figure is worth nothing",
                row.guest,
                row.function,
                row.way()
            ));
        }
    }
    for (row, ways, cells) in &groups {
        let same = |other: &Row| other.guest == row.guest && other.function == row.function;
        let all = rows.iter().filter(|other| other.counts.is_some() && same(other)).count();
        let ways = match ways.len() {
            joined if joined == all => "any".to_owned(),
            joined if joined + 1 == all && !ways.iter().any(|way| way == NO_RESTORE) => "any but none".to_owned(),
            _ => ways.join(" / "),
        };
        table.row([row.guest.clone(), row.function.clone(), ways].into_iter().chain(cells.iter().cloned()));
    }
    if groups.iter().any(|(row, ..)| row.counts.as_ref().is_some_and(|counts| !counts.uneven.is_empty())) {
        remarks.push("~ not the same for every call: the mean".to_owned());
    }
    remarks.extend(sources(rows));
    (!groups.is_empty()).then(|| Section::new("Per call, counted", Body::Table(table)).remarks(remarks))
}

/// Where the guests' allocations are known from, a line for each source.
fn sources(rows: &[Row]) -> Vec<String> {
    let mut sources: Vec<(&str, Vec<&str>)> = Vec::new();
    for row in rows {
        let Some(source) = row.counts.as_ref().and_then(|counts| counts.allocations_from.as_deref()) else { continue };
        let guest = row.guest.as_str();
        match sources.iter_mut().find(|(known, _)| *known == source) {
            Some((_, guests)) if guests.contains(&guest) => {}
            Some((_, guests)) => guests.push(guest),
            None => sources.push((source, vec![guest])),
        }
    }
    let line = |(source, guests): (&str, Vec<&str>)| {
        format!("allocations of {}: from {}", guests.join(", "), super::allocations_from(source))
    };
    sources.into_iter().map(line).collect()
}

fn count_cells(counts: &Counts) -> Vec<String> {
    let shown = |name: &str, count: Option<PerCall>| {
        if counts.varies.iter().any(|varying| varying == name) {
            return "varies".to_owned();
        }
        let mark = if counts.uneven.iter().any(|uneven| uneven == name) { "~" } else { "" };
        or_dash(count, |count| format!("{mark}{}", per_call(count)))
    };
    let pages = match (counts.pages_before, counts.pages_after) {
        (before, after) if before == after => grouped(before),
        (before, after) => format!("{} -> {}", grouped(before), grouped(after)),
    };
    vec![
        shown("allocations", counts.allocations),
        shown("frees", counts.frees),
        shown("reallocations", counts.reallocations),
        shown("allocated_bytes", counts.allocated_bytes),
        or_dash(counts.peak_live_bytes, grouped),
        pages,
        shown("grows", counts.grows),
        shown("instructions", Some(counts.instructions)),
        shown("crossings", Some(counts.crossings)),
    ]
}

/// One table for each function, so that guests and ways of restoring stand side by side.
fn times(report: &MeasureReport) -> Vec<Section> {
    let mut sections: Vec<Section> =
        report.functions().into_iter().map(|function| times_of(function, &report.rows)).collect();
    if let Some(last) = sections.last_mut() {
        last.remarks.push(format!(
            "bare call: wasmtime's typed call of an empty function, epoch deadline armed, {} (p99 {}); reading the clock \
             costs {}, which is taken off",
            time(report.bare_call.p50),
            time(report.bare_call.p99),
            time(report.clock_cost)
        ));
        last.remarks.push("new: a new instance after each call; percentiles are those of batches of calls".to_owned());
    }
    sections
}

fn times_of(function: &str, rows: &[Row]) -> Section {
    let figures = [
        "call p50",
        "p99",
        "restore p50",
        "p99",
        "both p50",
        "p99",
        "restored",
        "x bare call",
        "x no restore",
        "x cheaper than new",
    ];
    let mut table = Table::new(&["guest", "restored by"], &figures).word("verdict");
    let mut remarks = Vec::new();
    for joined in joined_failures(rows.iter().filter(|row| row.function == function)) {
        let (row, way) = (joined[0], ways(&joined, rows));
        let mut cells = vec![row.guest.clone(), way.clone()];
        cells.extend(time_cells(row));
        cells.push(verdict(row));
        table.row(cells);
        if let Some(failure) = &row.failure {
            let when = match failure.call {
                0 | 1 => String::new(),
                call => format!(", call {}", grouped(call)),
            };
            let retried = joined.iter().filter(|row| row.failure.as_ref().is_some_and(|failure| failure.retried));
            let retried: Vec<String> = retried.map(|row| row.way()).collect();
            let again = match retried.is_empty() {
                true => String::new(),
                false => format!(" ({}: also when retried on the restored instance)", retried.join(" / ")),
            };
            remarks.push(format!("{} ({way}{when}): {}{again}", row.guest, failure.message));
        }
    }
    Section::new(format!("Times of `{function}`"), Body::Table(table)).remarks(remarks)
}

fn time_cells(row: &Row) -> Vec<String> {
    let times = row.times.as_ref();
    let spread = |spread: Option<Spread>| [or_dash(spread, |s| time(s.p50)), or_dash(spread, |s| time(s.p99))];
    let restored = row.counts.as_ref().and_then(|counts| counts.restored_bytes);
    let ratios = times.map(|times| times.ratios).unwrap_or_default();
    let mut cells = Vec::new();
    cells.extend(spread(times.and_then(|times| times.call)));
    cells.extend(spread(times.and_then(|times| times.restore)));
    cells.extend(spread(times.map(|times| times.invoke)));
    cells.push(or_dash(restored, |count| match count.whole() {
        Some(whole) => bytes(whole),
        None => format!("{:.0} B", count.0),
    }));
    let cheaper = ratios.to_reinstantiate.filter(|ratio| *ratio > 0.0).map(f64::recip);
    cells.extend([ratios.to_bare_call, ratios.to_no_restore, cheaper].map(|of| or_dash(of, ratio)));
    cells
}

/// The rows of a function one by one, but those of one guest that failed alike together.
fn joined_failures<'r>(rows: impl Iterator<Item = &'r Row>) -> Vec<Vec<&'r Row>> {
    let mut joined: Vec<Vec<&Row>> = Vec::new();
    for row in rows {
        let alike = joined.iter_mut().find(|rows| {
            let first = rows[0];
            let same = |(one, two): (&FailedCall, &FailedCall)| one.is_like(two);
            first.guest == row.guest && first.failure.as_ref().zip(row.failure.as_ref()).is_some_and(same)
        });
        match alike {
            Some(rows) => rows.push(row),
            None => joined.push(vec![row]),
        }
    }
    joined
}

/// How the rows that were joined are restored: `any` where they are all of their function.
fn ways(joined: &[&Row], all: &[Row]) -> String {
    let of_function = |row: &&Row| row.guest == joined[0].guest && row.function == joined[0].function;
    if joined.len() > 1 && joined.len() == all.iter().filter(of_function).count() {
        return "any".to_owned();
    }
    let every_call = guest_host::RestorePolicy::EveryCall.to_string();
    let way = |row: &&Row| match row.policy == every_call || row.strategy == NO_RESTORE {
        true => row.way(),
        false => format!("{} ({})", row.way(), row.policy),
    };
    joined.iter().map(way).collect::<Vec<_>>().join(" / ")
}

fn verdict(row: &Row) -> String {
    match (&row.failure, &row.verdict) {
        (Some(failure), _) => failure.cause.clone(),
        (None, Some(verdict)) if verdict.passed => "passed".to_owned(),
        (None, Some(verdict)) if verdict.differences > 0 => "DIFFERS".to_owned(),
        (None, Some(verdict)) if verdict.skipped_calls > 0 => "inconclusive".to_owned(),
        (None, Some(_)) => "not verified".to_owned(),
        (None, None) => NONE.to_owned(),
    }
}
