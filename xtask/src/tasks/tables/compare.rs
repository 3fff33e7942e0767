//! The tables of the report that `compare` writes: the front page's, and the book's.

use std::fmt::Write as _;

use anyhow::{Result, bail};

use super::report::{Header, Report, Row};
use super::text::{grouped, time};

/// The function of the table on the front page.
const FUNCTION: &str = "calc_ordered_items";

/// The ways of restoring, in the order of columns.
pub(super) const WAYS: [(&str, Option<&str>); 8] = [
    ("none", None),
    ("reinstantiate", None),
    ("full-copy", None),
    ("dirty-cards", None),
    ("watermark", Some("scrub")),
    ("watermark", Some("keep")),
    ("bump-reset", Some("scrub")),
    ("bump-reset", Some("keep")),
];

/// The front page's table: each allocator with the strategy that is cheapest for it, residue scrubbed and kept.
pub(super) fn front(report: &Report) -> Result<String> {
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

/// The book's tables. For each function: the times of a call with its restore, the bytes that restores write, and the counts.
pub(super) fn book(report: &Report) -> String {
    let mut text = String::from("| allocator | wasm bytes | statics bytes | built with |\n|---|--:|--:|---|\n");
    for guest in &report.guests {
        let statics = or_dash(guest.statics_bytes, grouped);
        // The hash and the date of a compiler say nothing to a reader.
        let built_with: Vec<_> = guest.built_with.iter().filter_map(|tool| tool.split(" (").next()).collect();
        let built_with = built_with.join(", ");
        let _ = writeln!(text, "| {} | {} | {statics} | {built_with} |", guest.allocator, grouped(guest.wasm_bytes));
    }
    let _ = writeln!(text, "\n{}", of(report));
    let mut functions: Vec<&str> = report.rows.iter().map(|row| row.function.as_str()).collect();
    functions.dedup();
    for function in functions {
        let _ = write!(
            text,
            "\n### `{function}`\n\nA call with its restore:\n\n{}\nBytes restored after a call:\n\n{}\nCounts of a \
             call:\n\n{}",
            by_way(report, function, &WAYS, |row| or_dash(row.times.as_ref(), |times| time(times.invoke.p50))),
            by_way(report, function, &WAYS[2..], |row| {
                or_dash(row.counts.as_ref().and_then(|counts| counts.restored_bytes), count)
            }),
            counts(report, function)
        );
    }
    let failed = report.rows.iter().filter(|row| row.verdict.as_ref().is_some_and(|verdict| !verdict.passed));
    let failed: Vec<_> = failed.map(|row| format!("{} of {} by {}", row.function, row.guest, way(row))).collect();
    let verdict = match failed.as_slice() {
        [] => "Every restore in these tables was verified and passed.".to_owned(),
        failed => format!("These restores did not pass verification: {}.", failed.join("; ")),
    };
    let _ = writeln!(text, "\n{verdict}");
    text
}

/// One cell for each allocator and way of restoring.
fn by_way(report: &Report, function: &str, ways: &[(&str, Option<&str>)], cell: impl Fn(&Row) -> String) -> String {
    let mut text = String::from("| allocator |");
    for (strategy, residue) in ways {
        let name = match *strategy {
            "none" => "no restore",
            "reinstantiate" => "new instance",
            strategy => strategy,
        };
        let _ = write!(text, " {name}{} |", residue.map_or_else(String::new, |residue| format!(", {residue}")));
    }
    let _ = writeln!(text, "\n|---{}|", "|--:".repeat(ways.len()));
    for guest in &report.guests {
        let cells = ways.iter().map(|(strategy, residue)| {
            row(report, &guest.allocator, function, strategy, *residue).map_or_else(|| "-".to_owned(), &cell)
        });
        let _ = writeln!(text, "| {} | {} |", guest.allocator, cells.collect::<Vec<_>>().join(" | "));
    }
    text
}

/// What a call costs before its restore, which depends on the strategy only by the code that preparation adds.
fn counts(report: &Report, function: &str) -> String {
    let mut text = String::from(
        "| allocator | allocations | instructions | with marks (dirty-cards) | with the stack's depth (scrub) | pages |\n\
         |---|--:|--:|--:|--:|--:|\n",
    );
    for guest in &report.guests {
        let of = |strategy: &str, residue: Option<&str>| {
            row(report, &guest.allocator, function, strategy, residue).and_then(|row| row.counts.as_ref())
        };
        let plain = of("none", None).or_else(|| of("full-copy", None));
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} |",
            guest.allocator,
            or_dash(plain.and_then(|counts| counts.allocations), count),
            or_dash(plain, |counts| count(counts.instructions)),
            or_dash(of("dirty-cards", None), |counts| count(counts.instructions)),
            or_dash(of("watermark", Some("scrub")), |counts| count(counts.instructions)),
            or_dash(plain, |counts| grouped(counts.pages_after)),
        );
    }
    text
}

/// The row of an allocator, a function and a way of restoring.
pub(super) fn row<'a>(
    report: &'a Report,
    allocator: &str,
    function: &str,
    strategy: &str,
    residue: Option<&str>,
) -> Option<&'a Row> {
    let guest = report.guests.iter().find(|guest| guest.allocator == allocator)?;
    report.rows.iter().find(|row| {
        row.guest == guest.guest
            && row.function == function
            && row.strategy == strategy
            && row.residue.as_deref() == residue
    })
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

pub(super) fn or_dash<T>(optional: Option<T>, show: impl FnOnce(T) -> String) -> String {
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
    use super::super::report::{read, tests::REPORT};
    use super::*;

    #[test]
    fn the_front_page_has_the_cheapest_restore_in_place() {
        let table = front(&read(REPORT).unwrap()).unwrap();
        let row = "| system | 67,260 | full-copy | - | 500 ns | 11.0 us | 12.3 us | 2.0 | passed |";
        assert!(table.contains(row), "{table}");
        assert!(table.contains("2026-01-02: a processor, 2 cores"), "{table}");
    }

    #[test]
    fn the_book_has_every_row() {
        let tables = book(&read(REPORT).unwrap());
        assert!(tables.contains("| system | - | 9 ns | 12.3 us | - | - | - | - | - |"), "{tables}");
        assert!(tables.contains("| system | 262,144 | - | - | - | - | - |"), "{tables}");
        assert!(tables.contains("| system | - | 991 | - | - | 4 |"), "{tables}");
        assert!(tables.contains("was verified and passed"), "{tables}");
        let failed = REPORT.replace("\"passed\": true", "\"passed\": false");
        let tables = book(&read(&failed).unwrap());
        assert!(
            tables.contains("did not pass verification: calc_ordered_items of shop-system by full-copy."),
            "{tables}"
        );
    }
}
