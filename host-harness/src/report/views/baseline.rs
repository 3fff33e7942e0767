//! How a comparison with a baseline reads.

use super::super::baseline::{Change, Comparison, Direction, Figure, Value};
use super::super::numbers::{NONE, bytes, or_dash, per_call, time};
use super::super::section::{Body, Section, Table};

pub(in super::super) fn section(comparison: &Comparison) -> Section {
    let rules = comparison.rules_text();
    let mut remarks = vec![format!("baseline of {}; it fails on: {rules}", comparison.date)];
    remarks.extend(comparison.error.clone());
    remarks.extend(comparison.notes.iter().cloned());
    let body = if comparison.changes.is_empty() {
        Body::Lines(Vec::new())
    } else {
        let mut table =
            Table::new(&["change", "guest", "function", "restored by"], &["before", "now", "percent"]).word("verdict");
        for (change, ways) in comparison.joined() {
            table.row([
                change.figure.name().to_owned(),
                change.guest.clone(),
                or_dash(change.function.clone(), |function| function),
                if ways.is_empty() { NONE.to_owned() } else { ways.join(" / ") },
                value(change.figure, change.before.as_ref()),
                value(change.figure, change.after.as_ref()),
                or_dash(change.percent, |percent| format!("{percent:+}%")),
                word(change).to_owned(),
            ]);
        }
        Body::Table(table)
    };
    let mut section = Section::new(comparison.headline(), body).remarks(remarks);
    section.is_answer = true;
    section
}

/// A figure of a change, in its unit.
#[must_use]
pub(in super::super) fn value(figure: Figure, value: Option<&Value>) -> String {
    match (figure, value) {
        (_, None) => NONE.to_owned(),
        (_, Some(Value::Word(word))) => word.clone(),
        (Figure::Time, Some(Value::Number(nanoseconds))) => time(nanoseconds.0),
        (Figure::RestoredBytes | Figure::PeakLiveBytes | Figure::AllocatedBytes, Some(Value::Number(count))) => {
            // Small differences of large sizes must show.
            match count.whole() {
                Some(whole) if whole < 1024 => bytes(whole),
                _ => format!("{} B", per_call(*count)),
            }
        }
        (Figure::WasmSize, Some(Value::Number(count))) => format!("{} B", per_call(*count)),
        (_, Some(Value::Number(count))) => per_call(*count),
    }
}

fn word(change: &Change) -> &'static str {
    match (change.fails, change.direction) {
        (true, _) => "FAILS",
        (false, Direction::Worse) => "worse",
        (false, Direction::Better) => "better",
        (false, Direction::Neutral) => "new",
    }
}
