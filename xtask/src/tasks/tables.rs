//! `tables`: the measured tables of the front page and of the book, from the report that `compare` wrote and the ratios that
//! the benchmarks wrote.
//!
//! It reads the JSON report by its schema version and knows nothing else of the harness.

mod allocators;
mod ratios;
mod text;

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use self::text::{grouped, put, replaced, time};
use crate::console::Console;
use crate::folders;

/// The schema version of reports that this reads.
const SCHEMA: u64 = 3;

/// The function of the table on the front page.
const FUNCTION: &str = "calc_ordered_items";

/// What encloses the table on the front page.
const BEGIN: &str = "<!-- table:begin -->\n";
const END: &str = "<!-- table:end -->";

/// Writes the tables of what has been measured: the report, the ratios, the allocators alone, or all of them.
pub(super) fn run(console: &Console) -> Result<()> {
    let report = folders::report().join("report.json");
    let [ratios, alone] = ["ratios.json", "allocators.json"].map(|file| folders::benches().join(file));
    if ![&report, &ratios, &alone].into_iter().any(|file| file.exists()) {
        bail!(
            "nothing was measured: `cargo xtask compare` writes {}, and `cargo xtask bench` {}",
            report.display(),
            ratios.display()
        );
    }
    if report.exists() {
        compared(console, &report)?;
    }
    if ratios.exists() {
        ratios::run(console, &ratios)?;
    }
    if alone.exists() {
        allocators::run(console, &alone)?;
    }
    Ok(())
}

/// Writes the tables of the report.
fn compared(console: &Console, path: &Path) -> Result<()> {
    let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let report = read(&text).with_context(|| format!("reading {}", path.display()))?;
    let readme = folders::root().join("README.md");
    let old = std::fs::read_to_string(&readme).with_context(|| format!("reading {}", readme.display()))?;
    let new = replaced(&old, BEGIN, END, &front(&report)?).with_context(|| format!("in {}", readme.display()))?;
    put(console, &readme, &new)?;
    put(console, &folders::root().join("docs/src/generated/compare.md"), &book(&report))
}

#[derive(Deserialize)]
struct Report {
    header: Header,
    bare_call: Spread,
    guests: Vec<Guest>,
    rows: Vec<Row>,
}

#[derive(Deserialize)]
struct Header {
    date: String,
    harness: String,
    wasmtime: String,
    build: String,
    machine: Machine,
}

#[derive(Deserialize)]
struct Machine {
    cpu: String,
    cores: u64,
    os: String,
}

#[derive(Deserialize)]
struct Guest {
    guest: String,
    allocator: String,
    wasm_bytes: u64,
    statics_bytes: Option<u64>,
    built_with: Vec<String>,
}

#[derive(Deserialize)]
struct Row {
    guest: String,
    function: String,
    strategy: String,
    residue: Option<String>,
    counts: Option<Counts>,
    times: Option<Times>,
    verdict: Option<Verdict>,
}

#[derive(Deserialize)]
struct Counts {
    allocations: Option<f64>,
    instructions: f64,
    pages_after: u64,
    restored_bytes: Option<f64>,
}

#[derive(Deserialize)]
struct Times {
    invoke: Spread,
    call: Option<Spread>,
    restore: Option<Spread>,
    ratios: Ratios,
}

#[derive(Clone, Copy, Deserialize)]
struct Spread {
    p50: f64,
    p99: f64,
}

#[derive(Deserialize)]
struct Ratios {
    to_bare_call: Option<f64>,
    to_no_restore: Option<f64>,
    to_reinstantiate: Option<f64>,
}

#[derive(Deserialize)]
struct Verdict {
    passed: bool,
}

fn read(text: &str) -> Result<Report> {
    #[derive(Deserialize)]
    struct Head {
        schema_version: u64,
        command: String,
    }
    let head: Head = serde_json::from_str(text)?;
    if (head.schema_version, head.command.as_str()) != (SCHEMA, "compare") {
        bail!(
            "it is a report of `{}` in schema version {}, and this wants one of `compare` in version {SCHEMA}",
            head.command,
            head.schema_version
        );
    }
    Ok(serde_json::from_str(text)?)
}

/// The front page's table: each allocator with the strategy that is cheapest for it, residue scrubbed and kept.
fn front(report: &Report) -> Result<String> {
    let mut text = format!(
        "One call of the sample guest's `{FUNCTION}` with its restore. For each allocator: the cheapest strategy that \
         restores every byte, and, if there is one, the cheapest that keeps residue:\n\n\
         | allocator | wasm bytes | restored by | allocations | call | restore | both | times cheaper than a new \
         instance | verified |\n|---|--:|---|--:|--:|--:|--:|--:|---|\n"
    );
    let mut lines = 0;
    for (guest, keeps) in report.guests.iter().flat_map(|guest| [(guest, false), (guest, true)]) {
        let of_guest = report.rows.iter().filter(|row| row.guest == guest.guest && row.function == FUNCTION);
        let of_guest = of_guest.filter(|row| (row.residue.as_deref() == Some("keep")) == keeps);
        let in_place = of_guest.filter(|row| !matches!(row.strategy.as_str(), "none" | "reinstantiate"));
        let timed = in_place.filter_map(|row| Some((row, row.times.as_ref()?)));
        let Some((row, times)) = timed.min_by(|(_, a), (_, b)| a.invoke.p50.total_cmp(&b.invoke.p50)) else {
            continue;
        };
        lines += 1;
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            guest.allocator,
            grouped(guest.wasm_bytes),
            way(row),
            or_dash(row.counts.as_ref().and_then(|counts| counts.allocations), count),
            or_dash(times.call, |call| time(call.p50)),
            or_dash(times.restore, |restore| time(restore.p50)),
            time(times.invoke.p50),
            or_dash(times.ratios.to_reinstantiate, cheaper),
            verdict(row)
        );
    }
    if lines == 0 {
        bail!("the report has no row of `{FUNCTION}`: compare the guest `shop`, with this function");
    }
    let _ = writeln!(text, "\n{}", of(report));
    Ok(text)
}

/// The book's tables: everything, by function.
fn book(report: &Report) -> String {
    let mut text =
        String::from("<!-- Generated by `cargo xtask tables` from target/report/report.json; do not edit. -->\n\n");
    text.push_str("| guest | allocator | wasm bytes | statics bytes | built with |\n|---|---|--:|--:|---|\n");
    for guest in &report.guests {
        let statics = or_dash(guest.statics_bytes, grouped);
        // The hash and the date of a compiler say nothing to a reader.
        let built_with: Vec<_> = guest.built_with.iter().filter_map(|tool| tool.split(" (").next()).collect();
        let built_with = built_with.join(", ");
        let _ = writeln!(
            text,
            "| {} | {} | {} | {statics} | {built_with} |",
            guest.guest,
            guest.allocator,
            grouped(guest.wasm_bytes)
        );
    }
    let mut functions: Vec<&str> = report.rows.iter().map(|row| row.function.as_str()).collect();
    functions.sort_unstable();
    functions.dedup();
    for function in functions {
        let _ = writeln!(
            text,
            "\n**`{function}`**, medians per call:\n\n\
             | allocator | restored by | allocations | instructions | pages | restored bytes | call | restore | both | p99 | \
             x bare call | x no restore | x cheaper than new | verified |\n\
             |---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|"
        );
        for row in report.rows.iter().filter(|row| row.function == function) {
            let guest = report.guests.iter().find(|guest| guest.guest == row.guest);
            let (counts, times) = (row.counts.as_ref(), row.times.as_ref());
            let spread = |spread: Option<Spread>| or_dash(spread, |spread| time(spread.p50));
            let ratio = |of: fn(&Ratios) -> Option<f64>| {
                or_dash(times.and_then(|times| of(&times.ratios)), |ratio| format!("{ratio:.2}"))
            };
            let cells = [
                guest.map_or("?", |guest| &guest.allocator).to_owned(),
                way(row),
                or_dash(counts.and_then(|counts| counts.allocations), count),
                or_dash(counts, |counts| count(counts.instructions)),
                or_dash(counts, |counts| grouped(counts.pages_after)),
                or_dash(counts.and_then(|counts| counts.restored_bytes), count),
                spread(times.and_then(|times| times.call)),
                spread(times.and_then(|times| times.restore)),
                spread(times.map(|times| times.invoke)),
                or_dash(times, |times| time(times.invoke.p99)),
                ratio(|ratios| ratios.to_bare_call),
                ratio(|ratios| ratios.to_no_restore),
                or_dash(times.and_then(|times| times.ratios.to_reinstantiate), cheaper),
                verdict(row).to_owned(),
            ];
            let _ = writeln!(text, "| {} |", cells.join(" | "));
        }
    }
    let _ = writeln!(text, "\n{}", of(report));
    text
}

/// When, where and with what it was measured.
fn of(report: &Report) -> String {
    let Header { date, harness, wasmtime, build, machine } = &report.header;
    let day = date.split('T').next().unwrap_or(date);
    format!(
        "Measured on {day}: {}, {} cores, {}; host-harness {harness} ({build} build), wasmtime {wasmtime}, whose typed call of an \
         empty function takes {}. Times are medians; *new* is a new instance after each call.",
        machine.cpu,
        machine.cores,
        machine.os,
        time(report.bare_call.p50)
    )
}

fn way(row: &Row) -> String {
    match &row.residue {
        Some(residue) => format!("{}, {residue}", row.strategy),
        None => row.strategy.clone(),
    }
}

fn verdict(row: &Row) -> &'static str {
    match &row.verdict {
        Some(verdict) if verdict.passed => "passed",
        Some(_) => "**no**",
        None => "-",
    }
}

fn or_dash<T>(optional: Option<T>, show: impl FnOnce(T) -> String) -> String {
    optional.map_or_else(|| "-".to_owned(), show)
}

/// How many times cheaper something is that takes `ratio` as long.
fn cheaper(ratio: f64) -> String {
    let times = if ratio > 0.0 { 1.0 / ratio } else { 0.0 };
    if times < 9.95 { format!("{times:.1}") } else { format!("{times:.0}") }
}

fn count(count: f64) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
    let whole = count.round() as u64;
    if count.fract() == 0.0 { grouped(whole) } else { format!("{count:.1}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = r#"{
        "schema_version": 3, "command": "compare",
        "header": {"date": "2026-01-02T03:04:05Z", "harness": "0.1.0", "wasmtime": "48.0.0", "build": "release",
            "machine": {"cpu": "a processor", "cores": 2, "os": "a system"}},
        "bare_call": {"p50": 18.0, "p99": 20.0},
        "guests": [{"guest": "shop-system", "allocator": "system", "wasm_bytes": 67260, "statics_bytes": 4000,
            "built_with": ["rustc 1.96.0"]}],
        "rows": [
            {"guest": "shop-system", "function": "calc_ordered_items", "strategy": "reinstantiate", "residue": null,
             "counts": null, "times": {"invoke": {"p50": 9.0, "p99": 9.0}, "call": null, "restore": null,
             "ratios": {"to_bare_call": null, "to_no_restore": null, "to_reinstantiate": 1.0}}, "verdict": null},
            {"guest": "shop-system", "function": "calc_ordered_items", "strategy": "full-copy", "residue": null,
             "counts": {"allocations": null, "instructions": 991, "pages_after": 4, "restored_bytes": 262144},
             "times": {"invoke": {"p50": 12345.0, "p99": 20000.0}, "call": {"p50": 500.0, "p99": 600.0},
             "restore": {"p50": 11000.0, "p99": 12000.0},
             "ratios": {"to_bare_call": 680.0, "to_no_restore": 20.0, "to_reinstantiate": 0.5}},
             "verdict": {"passed": true}}
        ]}"#;

    #[test]
    fn the_front_page_has_the_cheapest_restore_in_place() {
        let table = front(&read(REPORT).unwrap()).unwrap();
        let row = "| system | 67,260 | full-copy | - | 500 ns | 11.0 us | 12.3 us | 2.0 | passed |";
        assert!(table.contains(row), "{table}");
        assert!(table.contains("2026-01-02: a processor, 2 cores"), "{table}");
        let page = replaced("a\n<!-- table:begin -->\nold\n<!-- table:end -->\nb\n", BEGIN, END, &table).unwrap();
        assert!(page.starts_with("a\n<!-- table:begin -->\nOne call") && page.ends_with("<!-- table:end -->\nb\n"));
        assert!(replaced("a page without marks", BEGIN, END, &table).is_err());
    }

    #[test]
    fn the_book_has_every_row() {
        let tables = book(&read(REPORT).unwrap());
        assert!(tables.contains("| system | full-copy | - | 991 | 4 | 262,144 |"), "{tables}");
        assert!(tables.contains("| system | reinstantiate | - | - | - | - |"), "{tables}");
    }

    #[test]
    fn another_report_is_refused() {
        assert!(read(&REPORT.replace("\"compare\"", "\"run\"")).is_err());
        assert!(read(&REPORT.replace("\"schema_version\": 3", "\"schema_version\": 2")).is_err());
    }
}
