//! How verdicts read.

use super::super::data::VerdictReport;
use super::super::gather::gather;
use super::super::numbers::{NONE, bytes, grouped};
use super::super::section::{Body, Section, Table};
use crate::verify::RegionFinding;
use guest_host::restore::Promise;
use guest_host::snapshot::RegionKind;

pub(in super::super) fn sections(verdicts: &[VerdictReport]) -> Vec<Section> {
    if verdicts.is_empty() {
        return Vec::new();
    }
    let mut table = Table::new(&["guest", "allocator", "restored by"], &["calls", "failed calls", "skipped", "seed"])
        .word("verdict");
    let mut sections = Vec::new();
    for verdict in verdicts {
        let way = verdict.way();
        table.row([
            verdict.guest.clone(),
            verdict.allocator.clone(),
            way.clone(),
            grouped(verdict.calls),
            share(verdict.failed_calls, verdict.calls),
            grouped(verdict.skipped_calls),
            verdict.seed.to_string(),
            Word::of(verdict).text().to_owned(),
        ]);
        let lines: Vec<String> = lines(verdict).collect();
        if !lines.is_empty() {
            sections.push(Section::new(format!("{} restored by {way}", verdict.guest), Body::Lines(lines)));
        }
    }
    sections.insert(0, Section::new("Verification", Body::Table(table)).remarks(remarks(verdicts)));
    sections.extend(residue(verdicts));
    sections
}

/// A count and its share of all.
fn share(count: u64, of: u64) -> String {
    match count {
        0 => "0".to_owned(),
        _ => format!("{} ({}%)", grouped(count), (count * 100).checked_div(of).unwrap_or_default()),
    }
}

/// A line for each difference, each function with skipped calls, each that never succeeded and each that broke rules, and for the error that
/// prevented verification.
fn lines(verdict: &VerdictReport) -> impl Iterator<Item = String> {
    let differences = verdict.differences.iter().map(ToString::to_string);
    let skipped = verdict.inconclusive.iter().map(ToString::to_string);
    let failing = verdict.never_succeeded.iter().map(ToString::to_string);
    let not_called = verdict.not_called.iter();
    let not_called = not_called.map(|name| format!("inconclusive: the time limit passed before `{name}` was called"));
    let never_slept = verdict.suspensions == Some(0) && verdict.error.is_none();
    let never_slept = never_slept.then(|| "inconclusive: it was never suspended; make more calls".to_owned());
    let broken = verdict.broken_rules.iter().map(ToString::to_string);
    differences
        .chain(skipped)
        .chain(failing)
        .chain(broken)
        .chain(not_called)
        .chain(never_slept)
        .chain(verdict.unsuspended.as_ref().map(ToString::to_string))
        .chain(verdict.error.clone())
}

/// The lines about verdicts that did not pass: each line once, with the way of restoring or with the number of ways.
pub(super) fn faults(verdicts: &[VerdictReport]) -> Vec<String> {
    let failed = verdicts.iter().filter(|verdict| !verdict.passed);
    let found = failed.flat_map(|verdict| lines(verdict).map(move |line| (line, verdict)));
    let shown = |(line, places): (String, Vec<&VerdictReport>)| match places.as_slice() {
        [verdict] => format!("{line} ({} by {})", verdict.guest, verdict.way()),
        places => format!("{line} (by {} of {} ways of restoring)", places.len(), verdicts.len()),
    };
    gather(found, String::eq).into_iter().map(shown).collect()
}

/// The lines about a verdict, and the verdict in a word.
pub(in super::super) fn findings(verdict: &VerdictReport) -> (&'static str, Vec<String>) {
    (Word::of(verdict).text(), lines(verdict).collect())
}

/// The residue of each region. `None` if nothing was verified.
fn residue(verdicts: &[VerdictReport]) -> Option<Section> {
    let verified: Vec<&VerdictReport> =
        verdicts.iter().filter(|verdict| verdict.error.is_none() && verdict.suspensions != Some(0)).collect();
    let there = |region: &RegionKind| {
        verified.iter().any(|verdict| verdict.regions.iter().any(|found| found.region == *region))
    };
    let regions: Vec<RegionKind> = RegionKind::ALL.into_iter().filter(there).collect();
    let names: Vec<&str> = regions.iter().map(|region| region.name()).collect();
    let mut table = Table::new(&["guest", "restored by"], &names);
    for verdict in &verified {
        let cell = |region: &RegionKind| match verdict.regions.iter().find(|found| found.region == *region) {
            Some(found) => residue_cell(found),
            None if verdict.regions.is_empty() => "new".to_owned(),
            None => NONE.to_owned(),
        };
        table.row([verdict.guest.clone(), verdict.way()].into_iter().chain(regions.iter().map(cell)));
    }
    let holds = |found: &RegionFinding| found.promise == Promise::Residue;
    let mut remarks = vec!["exact: as in the snapshot after every restore, and zero where memory was grown since"];
    if verified.iter().any(|verdict| verdict.regions.iter().any(holds)) {
        remarks.push(
            "a size: the region may hold what earlier calls left, and this is the most that was found after a restore",
        );
    }
    if verified.iter().any(|verdict| verdict.regions.is_empty()) {
        remarks.push("new: every call had a new instance");
    }
    let remarks = remarks.into_iter().map(str::to_owned);
    (!regions.is_empty()).then(|| Section::new("Residue", Body::Table(table)).remarks(remarks))
}

fn residue_cell(found: &RegionFinding) -> String {
    match (found.promise, found.bytes) {
        (Promise::Residue, found) => bytes(found),
        (Promise::Exact, 0) => found.promise.name().to_owned(),
        (Promise::Exact, _) => "DIFFERS".to_owned(),
    }
}

/// A verdict in a word.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Word {
    Passed,
    Differs,
    Inconclusive,
    NotVerified,
}

impl Word {
    fn of(verdict: &VerdictReport) -> Self {
        match verdict {
            VerdictReport { error: Some(_), .. } => Self::NotVerified,
            VerdictReport { differences, .. } if !differences.is_empty() => Self::Differs,
            VerdictReport { passed: false, .. } => Self::Inconclusive,
            _ => Self::Passed,
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Differs => "DIFFERS",
            Self::Inconclusive => "inconclusive",
            Self::NotVerified => "not verified",
        }
    }
}

/// Explanations of the table: a sentence for each word in it.
fn remarks(verdicts: &[VerdictReport]) -> Vec<String> {
    let count = |word| verdicts.iter().filter(|verdict| Word::of(verdict) == word).count();
    let mut remarks = Vec::new();
    if count(Word::Differs) > 0 {
        remarks.push("what differs is listed below; the same seed and functions give the same sequence again");
    } else if verdicts.iter().any(|verdict| verdict.suspensions > Some(0)) {
        remarks.push(
            "every instance that slept between calls gave the same and looked the same as one that never did, and left nothing where it \
             had been",
        );
    } else if count(Word::Passed) == verdicts.len() {
        remarks.push("every restored instance gave the same as a fresh one, and looked like its snapshot");
    } else if count(Word::Passed) > 0 {
        remarks.push(
            "where it passed, every restored instance gave the same as a fresh one, and looked like its snapshot",
        );
    }
    if count(Word::NotVerified) > 0 {
        remarks.push("what could not be verified is listed below with the reason");
    }
    let unproved = |verdict: &VerdictReport| verdict.never_succeeded.iter().any(|function| !function.allowed);
    if verdicts.iter().any(unproved) {
        remarks.push(
            "a function that never succeeded is not proved: give it the state that it reads, verify a stage together with one \
             that makes its blocks, make more calls, or allow it to fail if that is what it does",
        );
    }
    if verdicts.iter().any(|verdict| verdict.ended_early) {
        remarks.push("the time limit ended it before all calls were made; what was compared until then counts");
    }
    if verdicts.iter().any(|verdict| verdict.skipped_calls > 0) {
        remarks.push(
            "calls that the deadline or the limit of instructions ended on one side only were skipped; a longer deadline or a \
             higher limit decides them",
        );
    }
    remarks.into_iter().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::{Difference, What};
    use guest_host::RestoreStrategy;

    fn verdict(skipped_calls: u64, passed: bool) -> VerdictReport {
        let strategy = RestoreStrategy::FullCopy.name();
        let mut report = VerdictReport::not_verified("shop", "leaking", strategy, None, 0, &"");
        (report.error, report.skipped_calls, report.passed) = (None, skipped_calls, passed);
        report
    }

    fn shown(verdicts: &[VerdictReport]) -> (Vec<String>, String) {
        let sections = sections(verdicts);
        let Body::Table(table) = &sections[0].body else { panic!("{sections:?}") };
        (table.rows.iter().map(|row| row.last().unwrap().clone()).collect(), sections[0].remarks.join("; "))
    }

    fn region(region: RegionKind, promise: Promise, bytes: u64) -> RegionFinding {
        RegionFinding { region, promise, restores: u64::from(bytes > 0), bytes }
    }

    #[test]
    fn the_table_of_residue_says_what_was_promised_and_what_was_found() {
        let mut kept = verdict(0, true);
        kept.regions = vec![
            region(RegionKind::ShadowStack, Promise::Residue, 3000),
            region(RegionKind::Statics, Promise::Exact, 0),
            region(RegionKind::ControlBlock, Promise::Exact, 0),
            region(RegionKind::HighWater, Promise::Residue, 4),
            region(RegionKind::Heap, Promise::Residue, 0),
        ];
        let mut broken = verdict(0, false);
        broken.regions = vec![region(RegionKind::Statics, Promise::Exact, 1)];
        let refused = VerdictReport::not_verified("shop", "leaking", "bump-reset", None, 0, &"it has no mark");
        let section = residue(&[kept, broken, verdict(0, true), refused.clone()]).unwrap();
        let Body::Table(table) = &section.body else { panic!("{section:?}") };
        let rows: Vec<_> = table.rows.iter().map(|row| row[2..].join(" / ")).collect();
        assert_eq!(
            rows,
            ["2.9 KiB / exact / exact / 4 B / 0 B", "- / DIFFERS / - / - / -", "new / new / new / new / new"]
        );
        assert_eq!(section.remarks.len(), 3);
        assert!(residue(&[refused]).is_none() && residue(&[verdict(0, true)]).is_none());
    }

    #[test]
    fn the_lead_says_what_the_table_says() {
        let passed = verdict(0, true);
        let refused = VerdictReport::not_verified("shop", "leaking", "bump-reset", None, 0, &"it has no mark");
        let mut differs = verdict(0, false);
        differs.differences.push(Difference {
            call: 1,
            function: "f".to_owned(),
            previous: None,
            again: 0,
            what: What::Replaced,
            residue: Vec::new(),
        });

        assert!(shown(std::slice::from_ref(&passed)).1.starts_with("every restored instance"));
        let (words, lead) = shown(std::slice::from_ref(&refused));
        assert_eq!(words, ["not verified"]);
        assert_eq!(lead, "what could not be verified is listed below with the reason");
        let (words, lead) = shown(&[passed.clone(), refused]);
        assert_eq!(words, ["passed", "not verified"]);
        assert!(lead.starts_with("where it passed,") && !lead.contains("differs"), "{lead}");
        let (words, lead) = shown(&[passed, differs]);
        assert_eq!(words, ["passed", "DIFFERS"]);
        assert!(lead.starts_with("what differs is listed below") && !lead.contains("every"), "{lead}");
        // Noise that did not keep a function from being compared, and some that did.
        let (words, lead) = shown(&[verdict(2, true), verdict(2, false)]);
        assert_eq!(words, ["passed", "inconclusive"]);
        assert!(lead.contains("a longer deadline or a higher limit decides them"), "{lead}");
    }
}
