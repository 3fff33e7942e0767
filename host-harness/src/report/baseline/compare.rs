//! The comparison of two reports, row by row.

use std::collections::{BTreeMap, BTreeSet};

use super::{Change, Comparison, Direction, Figure, Rules, Value};
use crate::measure::{Counts, PerCall, Row, Times};
use crate::report::{Content, GuestSummary, Header, Report, Settings, VerdictReport};
use crate::verify::Compared;

/// Whether reports of its command can be compared.
pub(super) fn is_comparable(report: &Report) -> bool {
    Parts::of(report).is_some()
}

/// The parts of a report that are compared.
struct Parts<'a> {
    settings: &'a Settings,
    guests: &'a [GuestSummary],
    rows: &'a [Row],
    verdicts: &'a [VerdictReport],
}

impl<'a> Parts<'a> {
    fn of(report: &'a Report) -> Option<Self> {
        match &report.content {
            Content::Measure(found) | Content::Compare(found) => Some(Self {
                settings: &found.settings,
                guests: &found.guests,
                rows: &found.rows,
                verdicts: &found.verdicts,
            }),
            Content::Verify(found) => {
                Some(Self { settings: &found.settings, guests: &[], rows: &[], verdicts: &found.verdicts })
            }
            _ => None,
        }
    }

    /// Names of the guests that it says anything about.
    fn names(&self) -> BTreeSet<&'a str> {
        let of_rows = self.rows.iter().map(|row| row.guest.as_str());
        let of_verdicts = self.verdicts.iter().map(|verdict| verdict.guest.as_str());
        of_rows.chain(of_verdicts).collect()
    }

    /// Guests and their functions.
    fn functions(&self) -> BTreeSet<(&'a str, &'a str)> {
        self.rows.iter().map(|row| (row.guest.as_str(), row.function.as_str())).collect()
    }
}

/// What makes a row the same in two reports.
type RowKey<'a> = (&'a str, &'a str, &'a str, Option<&'a str>, &'a str);

fn row_key(row: &Row) -> RowKey<'_> {
    (&row.guest, &row.function, &row.strategy, row.residue.as_deref(), &row.policy)
}

/// The key by which the verdicts of two reports belong together. A verdict on restores does not belong to one on suspensions.
fn verdict_key(verdict: &VerdictReport) -> (&str, &str, Option<&str>, bool) {
    (&verdict.guest, &verdict.strategy, verdict.residue.as_deref(), verdict.suspensions.is_some())
}

pub(super) fn compare(before: &Report, after: &Report, rules: &Rules) -> Comparison {
    let mut work = Work::new(&before.header, rules);
    if let (Some(old), Some(new)) = (Parts::of(before), Parts::of(after)) {
        work.headers(&before.header, &after.header, &old, &new);
        let common = old.names().intersection(&new.names()).next().is_some();
        if common {
            let times = work.compares_times(&before.header, &after.header);
            work.sizes(&old, &new);
            work.rows(&old, &new, times);
            work.verdicts(&old, &new);
            work.lost(&old, &new);
        } else {
            let list = |names: BTreeSet<&str>| names.into_iter().collect::<Vec<_>>().join(", ");
            work.found.error = Some(format!(
                "no row in common: the baseline has {}, this report {}; guests are known by their names",
                list(old.names()),
                list(new.names())
            ));
        }
    }
    work.finish()
}

/// A comparison that is being made.
struct Work<'a> {
    rules: &'a Rules,
    found: Comparison,
    /// Figures that varied in the baseline already, with their rows.
    varied: BTreeMap<&'static str, u64>,
}

/// Where a change is.
#[derive(Clone, Copy)]
struct Place<'a> {
    guest: &'a str,
    function: Option<&'a str>,
    way: Option<&'a str>,
}

impl<'a> Work<'a> {
    fn new(header: &Header, rules: &'a Rules) -> Self {
        let found = Comparison {
            date: header.date.clone(),
            harness: header.harness.clone(),
            machine: header.machine.clone(),
            rules: rules.as_slice().to_vec(),
            compared: 0,
            changes: Vec::new(),
            error: None,
            notes: Vec::new(),
        };
        Self { rules, found, varied: BTreeMap::new() }
    }

    /// Notes what may explain changes and is no change of a guest.
    fn headers(&mut self, before: &Header, after: &Header, old: &Parts<'_>, new: &Parts<'_>) {
        if before.harness != after.harness {
            let (was, is) = (&before.harness, &after.harness);
            self.found
                .notes
                .push(format!("the baseline was made by version {was} of the harness, this report by {is}"));
        }
        if old.settings != new.settings {
            let note =
                "instances had other settings in the baseline, such as the memory limit, so counts may differ for that";
            self.found.notes.push(note.to_owned());
        }
    }

    /// Whether times are compared: a rule asks for it, and nothing but the guest changed.
    fn compares_times(&mut self, before: &Header, after: &Header) -> bool {
        if self.rules.of(Figure::Time).is_none() {
            return false;
        }
        let reason = if before.machine != after.machine {
            let name = |header: &Header| {
                let machine = &header.machine;
                format!("{}, {} cores, {}", machine.cpu, machine.cores, machine.os)
            };
            format!("the baseline is of another machine ({}; this one is {})", name(before), name(after))
        } else if (&before.build, &before.wasmtime) != (&after.build, &after.wasmtime) {
            format!(
                "the baseline is of a {} build with wasmtime {}, and this is a {} build with {}",
                before.build, before.wasmtime, after.build, after.wasmtime
            )
        } else {
            return true;
        };
        self.found.notes.push(format!("times are not compared: {reason}; make a baseline here to compare them"));
        false
    }

    fn push(
        &mut self,
        figure: Figure,
        place: Place<'_>,
        values: [Option<Value>; 2],
        direction: Direction,
        fails: bool,
    ) {
        let [before, after] = values;
        let percent = match (&before, &after) {
            (Some(Value::Number(before)), Some(Value::Number(after))) if before.0 != 0.0 => {
                Some(((after.0 - before.0) / before.0 * 1e4).round() / 100.0)
            }
            _ => None,
        };
        self.found.changes.push(Change {
            figure,
            guest: place.guest.to_owned(),
            function: place.function.map(str::to_owned),
            way: place.way.map(str::to_owned),
            before,
            after,
            percent,
            direction,
            fails,
        });
    }

    /// A change from one word to another.
    fn word(&mut self, figure: Figure, place: Place<'_>, values: [&str; 2], direction: Direction) {
        let fails = direction == Direction::Worse && self.rules.of(figure).is_some();
        self.push(figure, place, values.map(|word| Some(Value::Word(word.to_owned()))), direction, fails);
    }

    /// Compares two figures, of which more is worse.
    fn figure(&mut self, figure: Figure, place: Place<'_>, before: f64, after: f64) {
        self.found.compared += 1;
        if (before - after).abs() < 1e-6 {
            return;
        }
        let direction = if after > before { Direction::Worse } else { Direction::Better };
        let fails = self.rules.of(figure).is_some_and(|rule| rule.is_broken(before, after));
        let values = [before, after].map(|number| Some(Value::Number(PerCall(number))));
        self.push(figure, place, values, direction, fails);
    }

    fn sizes(&mut self, old: &Parts<'_>, new: &Parts<'_>) {
        for before in old.guests {
            if let Some(after) = new.guests.iter().find(|after| after.guest == before.guest) {
                let place = Place { guest: &before.guest, function: None, way: None };
                #[expect(clippy::cast_precision_loss, reason = "sizes of modules lie far below 2^53")]
                self.figure(Figure::WasmSize, place, before.wasm_bytes as f64, after.wasm_bytes as f64);
            }
        }
    }

    fn rows(&mut self, old: &Parts<'_>, new: &Parts<'_>, times: bool) {
        let now: BTreeMap<RowKey<'_>, &Row> = new.rows.iter().map(|row| (row_key(row), row)).collect();
        for before in old.rows {
            let Some(after) = now.get(&row_key(before)) else { continue };
            let way = before.way();
            let place = Place { guest: &before.guest, function: Some(&before.function), way: Some(&way) };
            self.found.compared += 1;
            match (&before.failure, &after.failure) {
                (None, Some(failed)) => {
                    self.word(Figure::Failing, place, ["succeeds", &failed.cause], Direction::Worse);
                }
                (Some(failed), None) => {
                    self.word(Figure::Failing, place, [&failed.cause, "succeeds"], Direction::Better);
                }
                _ => {}
            }
            if let (Some(before), Some(after)) = (&before.counts, &after.counts) {
                self.counts(place, before, after);
            }
            if let (true, Some(before), Some(after)) = (times, &before.times, &after.times) {
                self.times(place, before, after);
            }
        }
    }

    fn counts(&mut self, place: Place<'_>, before: &Counts, after: &Counts) {
        #[expect(clippy::cast_precision_loss, reason = "sizes of memories with 32-bit addresses")]
        let peak = |counts: &Counts| counts.peak_live_bytes.map(|bytes| PerCall(bytes as f64));
        let figures = [
            (Figure::Allocations, "allocations", before.allocations, after.allocations),
            (Figure::Crossings, "crossings", Some(before.crossings), Some(after.crossings)),
            (Figure::Instructions, "instructions", Some(before.instructions), Some(after.instructions)),
            (Figure::AllocatedBytes, "allocated_bytes", before.allocated_bytes, after.allocated_bytes),
            (Figure::RestoredBytes, "restored_bytes", before.restored_bytes, after.restored_bytes),
            (Figure::PeakLiveBytes, "peak_live_bytes", peak(before), peak(after)),
        ];
        for (figure, name, old, new) in figures {
            let varies = |counts: &Counts| counts.varies.iter().any(|varying| varying == name);
            match (old, new) {
                _ if varies(before) => *self.varied.entry(figure.name()).or_default() += 1,
                (Some(old), None) => self.uncounted(figure, place, old, "unknown"),
                (Some(old), Some(_)) if varies(after) => self.uncounted(figure, place, old, "varies"),
                (Some(old), Some(new)) => self.figure(figure, place, old.0, new.0),
                (None, _) => {}
            }
        }
    }

    /// A figure that the baseline has and the report has not: it fails where a rule is of it, since nothing says that it did not
    /// get worse.
    fn uncounted(&mut self, figure: Figure, place: Place<'_>, before: PerCall, word: &str) {
        self.found.compared += 1;
        let fails = self.rules.of(figure).is_some();
        let values = [Some(Value::Number(before)), Some(Value::Word(word.to_owned()))];
        self.push(figure, place, values, Direction::Worse, fails);
    }

    fn times(&mut self, place: Place<'_>, before: &Times, after: &Times) {
        let (old, new) = (before.invoke.p50, after.invoke.p50);
        if is_clear(before, after) {
            self.figure(Figure::Time, place, old, new);
        } else {
            self.found.compared += 1;
        }
    }

    fn verdicts(&mut self, old: &Parts<'_>, new: &Parts<'_>) {
        let names = new.names();
        for before in old.verdicts {
            let Some(after) = new.verdicts.iter().find(|after| verdict_key(after) == verdict_key(before)) else {
                // A guest that is missing as a whole is one change, and not one for each way of restoring it.
                if before.passed && names.contains(before.guest.as_str()) {
                    let way = before.way();
                    let place = Place { guest: &before.guest, function: None, way: Some(&way) };
                    self.word(Figure::Verdict, place, ["passed", "not verified"], Direction::Worse);
                }
                continue;
            };
            self.found.compared += 1;
            let way = before.way();
            let place = Place { guest: &before.guest, function: None, way: Some(&way) };
            match (before.passed, after.passed) {
                (true, false) => self.word(Figure::Verdict, place, ["passed", after.findings().0], Direction::Worse),
                (false, true) => self.word(Figure::Verdict, place, [before.findings().0, "passed"], Direction::Better),
                _ => {}
            }
            // Rows say it of measured functions.
            if old.rows.is_empty() && new.rows.is_empty() {
                self.compared_functions(place, before, after);
            }
        }
    }

    /// Functions of which a verification compared calls, on either side.
    fn compared_functions(&mut self, place: Place<'_>, before: &VerdictReport, after: &VerdictReport) {
        // Earlier versions did not name them, and nothing was compared where there is an error.
        if before.functions.is_empty() || after.functions.is_empty() {
            return;
        }
        fn of<'c>(functions: &'c [Compared], name: &str) -> Option<&'c Compared> {
            functions.iter().find(|other| other.function == name)
        }
        for old in &before.functions {
            let place = Place { function: Some(&old.function), ..place };
            let Some(new) = of(&after.functions, &old.function) else {
                // Which functions are called before the time limit is chance.
                if !after.ended_early {
                    self.word(Figure::Lost, place, ["there", "missing"], Direction::Worse);
                }
                continue;
            };
            self.found.compared += 1;
            // The same number of calls of the same sequence, or calls where none failed before.
            let comparable = before.seed == after.seed && old.calls == new.calls;
            let words = [old, new].map(|compared| format!("{} calls fail", compared.failed));
            let words = words.each_ref().map(String::as_str);
            if new.failed > old.failed && (comparable || old.failed == 0) {
                self.word(Figure::Failing, place, words, Direction::Worse);
            } else if new.failed < old.failed && (comparable || new.failed == 0) {
                self.word(Figure::Failing, place, words, Direction::Better);
            }
        }
        for new in after.functions.iter().filter(|new| of(&before.functions, &new.function).is_none()) {
            let place = Place { function: Some(&new.function), ..place };
            if !before.ended_early {
                self.word(Figure::Added, place, ["missing", "there"], Direction::Neutral);
            }
        }
    }

    /// Guests, functions and rows that stand on one side only.
    fn lost(&mut self, old: &Parts<'_>, new: &Parts<'_>) {
        for (here, there, figure) in [(old, new, Figure::Lost), (new, old, Figure::Added)] {
            let direction = if figure == Figure::Lost { Direction::Worse } else { Direction::Neutral };
            let values = if figure == Figure::Lost { ["there", "missing"] } else { ["missing", "there"] };
            let (names, functions) = (there.names(), there.functions());
            let rows: BTreeSet<RowKey<'_>> = there.rows.iter().map(row_key).collect();
            for guest in here.names().difference(&names) {
                self.word(figure, Place { guest, function: None, way: None }, values, direction);
            }
            for (guest, function) in here.functions().difference(&functions).filter(|(guest, _)| names.contains(guest))
            {
                self.word(figure, Place { guest, function: Some(function), way: None }, values, direction);
            }
            for row in here.rows.iter().filter(|row| !rows.contains(&row_key(row))) {
                if functions.contains(&(row.guest.as_str(), row.function.as_str())) {
                    let way = row.way();
                    let place = Place { guest: &row.guest, function: Some(&row.function), way: Some(&way) };
                    self.word(figure, place, values, direction);
                }
            }
        }
    }

    fn finish(mut self) -> Comparison {
        for (name, rows) in self.varied {
            let note = format!("{name} varied in {rows} row(s) of the baseline, so they are not compared there");
            self.found.notes.push(note);
        }
        self.found.changes.sort_by_key(|change| (!change.fails, change.direction, change.figure));
        self.found
    }
}

/// Whether the times of two runs differ for sure: the 95% intervals of their medians have nothing in common. Where a report has no
/// intervals, half of the batches of the slower one must have taken longer than almost all of the faster one.
fn is_clear(before: &Times, after: &Times) -> bool {
    if before.rounds.is_empty() || after.rounds.is_empty() {
        let (before, after) = (before.invoke, after.invoke);
        return after.p50 > before.p99 || before.p50 > after.p99;
    }
    before.interval.is_apart_from(&after.interval)
}
