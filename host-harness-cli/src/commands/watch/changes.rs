//! The changes from one run to the next, in words. Counts are exact, so the guest causes each difference; times are not
//! compared.

use std::collections::{BTreeMap, BTreeSet};

use host_harness::measure::{PerCall, Row};
use host_harness::report::MeasureReport;

/// Exact figures of a report. Less of each is better.
type Figures = BTreeMap<Place, f64>;

/// Where a figure is from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    /// The function; none for the module's size.
    function: Option<String>,
    figure: &'static str,
    guest: String,
    /// The way of restoring, of figures that depend on it.
    way: Option<String>,
}

const SIZE: &str = "bytes of wasm";

/// The figures of a first run: a line for each guest, and one for each function.
pub(super) fn first(report: &MeasureReport) -> String {
    let figures = figures(report);
    let mut text = String::new();
    for guest in &report.guests {
        let size = figures.iter().find(|(place, _)| place.guest == guest.guest && place.figure == SIZE);
        text += &format!(
            "{}: {}\n",
            guest.guest,
            size.map_or_else(String::new, |(_, size)| format!("{} {SIZE}", number(*size)))
        );
        let functions: BTreeSet<_> = figures
            .keys()
            .filter(|place| place.guest == guest.guest)
            .filter_map(|place| place.function.clone())
            .collect();
        for function in functions {
            let of = |place: &&Place| {
                place.guest == guest.guest && place.function.as_ref() == Some(&function) && place.way.is_none()
            };
            let shown: Vec<_> = figures
                .iter()
                .filter(|(place, _)| of(place))
                .map(|(place, value)| format!("{} {}", number(*value), place.figure))
                .collect();
            text += &format!("  {function}: {}\n", shown.join(", "));
        }
    }
    text
}

/// A change: function, figure, and the values before and after.
type Change<'r> = (Option<String>, &'r str, String);

/// The figures that changed, and the functions that came, went, fail or succeed now.
pub(super) fn since(before: &MeasureReport, after: &MeasureReport) -> String {
    let (old, new) = (figures(before), figures(after));
    // Allocators and ways of restoring that changed in the same way stand in one line.
    let mut changes: BTreeMap<Change<'_>, (bool, BTreeSet<String>)> = BTreeMap::new();
    for (place, after) in &new {
        let Some(before) = old.get(place).filter(|before| *before != after) else { continue };
        let change = format!("{} -> {}{}", number(*before), number(*after), percent(*before, *after));
        let key = (place.function.clone(), place.figure, change);
        let (_, guests) = changes.entry(key).or_insert_with(|| (after > before, BTreeSet::new()));
        guests.insert(match &place.way {
            Some(way) => format!("{} by {way}", place.guest),
            None => place.guest.clone(),
        });
    }
    let (mut worse, mut better) = (0, 0);
    let mut text = String::new();
    for ((function, figure, change), (is_worse, guests)) in changes {
        *(if is_worse { &mut worse } else { &mut better }) += 1;
        let what = function.map_or_else(|| figure.to_owned(), |function| format!("{function}: {figure}"));
        let word = if is_worse { "worse " } else { "better" };
        text += &format!("{word}  {what} {change}  ({})\n", guests.into_iter().collect::<Vec<_>>().join("; "));
    }
    let rows = |report: &MeasureReport| -> BTreeMap<(String, String), bool> {
        let mut rows = BTreeMap::new();
        for row in &report.rows {
            *rows.entry((row.function.clone(), row.guest.clone())).or_insert(true) &= row.failure.is_none();
        }
        rows
    };
    let (old_rows, new_rows) = (rows(before), rows(after));
    for ((function, guest), succeeds) in &new_rows {
        let said = match (old_rows.get(&(function.clone(), guest.clone())), succeeds) {
            (None, _) => "new   ",
            (Some(true), false) => "FAILS ",
            (Some(false), true) => "mended",
            _ => continue,
        };
        text += &format!("{said}  {function}  ({guest})\n");
    }
    for (function, guest) in old_rows.keys().filter(|row| !new_rows.contains_key(*row)) {
        text += &format!("gone    {function}  ({guest})\n");
    }
    match text.is_empty() {
        true => format!("no change in {} exact figures\n", new.len()),
        false => format!("{text}{better} better, {worse} worse\n"),
    }
}

fn figures(report: &MeasureReport) -> Figures {
    let mut figures = Figures::new();
    for guest in &report.guests {
        let place = Place { function: None, figure: SIZE, guest: guest.guest.clone(), way: None };
        #[expect(clippy::cast_precision_loss, reason = "a module has less than 2^53 bytes")]
        figures.insert(place, guest.wasm_bytes as f64);
    }
    for row in &report.rows {
        let Some(counts) = &row.counts else { continue };
        let mut put = |figure, value: Option<PerCall>, way: Option<String>| {
            if let Some(PerCall(value)) = value {
                let place = Place { function: Some(row.function.clone()), figure, guest: row.guest.clone(), way };
                figures.insert(place, value);
            }
        };
        // A call costs the same however its instance was restored. The last row stands for all: the first is without restores.
        put("instructions", Some(counts.instructions), None);
        put("allocations", counts.allocations, None);
        put("bytes allocated", counts.allocated_bytes, None);
        put("crossings", Some(counts.crossings), None);
        put("bytes restored", counts.restored_bytes, Some(Row::way(row)));
    }
    figures
}

fn percent(before: f64, after: f64) -> String {
    match before {
        0.0 => String::new(),
        _ => format!(" ({:+.1}%)", (after - before) / before * 100.0),
    }
}

/// A figure with its thousands apart.
fn number(value: f64) -> String {
    let text = format!("{value}");
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let mut out = String::new();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_stand_apart() {
        assert_eq!([0.0, 999.0, 1_000.0, 1_234_567.5].map(number), ["0", "999", "1,000", "1,234,567.5"]);
        assert_eq!((percent(100.0, 90.0), percent(0.0, 1.0)), (" (-10.0%)".to_owned(), String::new()));
    }
}
