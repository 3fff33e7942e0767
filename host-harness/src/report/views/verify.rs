//! How verdicts read.

use super::super::data::VerdictReport;
use super::super::numbers::grouped;
use super::super::section::{Body, Section, Table};

pub(in super::super) fn sections(verdicts: &[VerdictReport]) -> Vec<Section> {
    if verdicts.is_empty() {
        return Vec::new();
    }
    let mut table =
        Table::new(&["guest", "allocator", "restored by"], &["calls", "failed calls", "seed"]).word("verdict");
    let mut sections = Vec::new();
    for verdict in verdicts {
        let way = match &verdict.residue {
            Some(residue) => format!("{}, {residue}", verdict.strategy),
            None => verdict.strategy.clone(),
        };
        let word = match (verdict.passed, &verdict.error) {
            (true, _) => "passed",
            (false, Some(_)) => "not verified",
            (false, None) => "DIFFERS",
        };
        table.row([
            verdict.guest.clone(),
            verdict.allocator.clone(),
            way.clone(),
            grouped(verdict.calls),
            grouped(verdict.failed_calls),
            verdict.seed.to_string(),
            word.to_owned(),
        ]);
        if !verdict.passed {
            let lines: Vec<String> = verdict.differences.iter().chain(&verdict.error).cloned().collect();
            sections.push(Section::new(format!("{} restored by {way}", verdict.guest), Body::Lines(lines)));
        }
    }
    let all = verdicts.iter().all(|verdict| verdict.passed);
    let remark = match all {
        true => "every restored instance gave the same as a fresh one, and looked like its snapshot",
        false => "what differs is listed below; the same seed and functions give the same sequence again",
    };
    let table = Section::new("Verification", Body::Table(table)).remarks([remark.to_owned()]);
    sections.insert(0, table);
    sections
}
