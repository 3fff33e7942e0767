//! How verdicts read.

use super::super::data::VerdictReport;
use super::super::numbers::grouped;
use super::super::section::{Body, Section, Table};

pub(in super::super) fn sections(verdicts: &[VerdictReport]) -> Vec<Section> {
    if verdicts.is_empty() {
        return Vec::new();
    }
    let mut table = Table::new(&["guest", "allocator", "restored by"], &["calls", "failed calls", "skipped", "seed"])
        .word("verdict");
    let mut sections = Vec::new();
    for verdict in verdicts {
        let way = match &verdict.residue {
            Some(residue) => format!("{}, {residue}", verdict.strategy),
            None => verdict.strategy.clone(),
        };
        table.row([
            verdict.guest.clone(),
            verdict.allocator.clone(),
            way.clone(),
            grouped(verdict.calls),
            grouped(verdict.failed_calls),
            grouped(verdict.skipped_calls),
            verdict.seed.to_string(),
            Word::of(verdict).text().to_owned(),
        ]);
        let lines: Vec<String> =
            verdict.differences.iter().chain(&verdict.inconclusive).chain(&verdict.error).cloned().collect();
        if !lines.is_empty() {
            sections.push(Section::new(format!("{} restored by {way}", verdict.guest), Body::Lines(lines)));
        }
    }
    sections.insert(0, Section::new("Verification", Body::Table(table)).remarks(remarks(verdicts)));
    sections
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

/// What the table says, in sentences: for each of the words that stand in it one.
fn remarks(verdicts: &[VerdictReport]) -> Vec<String> {
    let count = |word| verdicts.iter().filter(|verdict| Word::of(verdict) == word).count();
    let mut remarks = Vec::new();
    if count(Word::Differs) > 0 {
        remarks.push("what differs is listed below; the same seed and functions give the same sequence again");
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
    if verdicts.iter().any(|verdict| verdict.skipped_calls > 0) {
        remarks.push("calls that the deadline ended on one side only were skipped; a longer --deadline decides them");
    }
    remarks.into_iter().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RestoreStrategy;

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

    #[test]
    fn the_lead_says_what_the_table_says() {
        let passed = verdict(0, true);
        let refused = VerdictReport::not_verified("shop", "leaking", "bump-reset", None, 0, &"it has no mark");
        let mut differs = verdict(0, false);
        differs.differences.push("call 1 (`f`): something".to_owned());

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
        assert!(lead.contains("a longer --deadline decides them"), "{lead}");
    }
}
