//! How a recommendation reads: the answer, its reasons, and the first of the ranking.

use super::super::data::MeasureReport;
use super::super::numbers::{NONE, bytes, or_dash, per_call, ratio, time};
use super::super::section::{Body, Section, Table};
use crate::measure::PerCall;
use crate::report::recommend::{Alternative, Recommendation};

/// Rows of the ranking that stand beside the answer: as many as fit a screen of 24 lines with it.
const SHOWN: usize = 4;

/// The answer and its ranking, for each group of guests.
pub(super) fn sections(report: &MeasureReport) -> Vec<Section> {
    report.recommendations.iter().flat_map(|recommendation| of_one(report, recommendation)).collect()
}

fn of_one(report: &MeasureReport, recommendation: &Recommendation) -> Vec<Section> {
    let mut answer = Section::facts(recommendation.headline(), recommendation.reasons(&report.settings));
    answer.is_answer = true;
    answer.remarks.extend(recommendation.cautions.iter().map(|caution| format!("caution: {caution}")));
    if recommendation.functions.len() > 1 {
        let share = |function: &crate::report::recommend::WeighedFunction| {
            format!("`{}` {:.0}%", function.function, function.share * 100.0)
        };
        let shares: Vec<String> = recommendation.functions.iter().map(share).collect();
        answer.remarks.push(format!("calls are weighed: {}", shares.join(", ")));
    }
    let mut sections = vec![answer];
    if recommendation.ranking.len() > 1 {
        sections.push(ranking("Ranking", recommendation.ranking.iter().take(SHOWN)));
    }
    if recommendation.ranking.len() > SHOWN {
        sections.push(ranking("Whole ranking", recommendation.ranking.iter()).detail());
    }
    if !recommendation.excluded.is_empty() {
        let line = |excluded: &crate::report::recommend::Excluded| {
            format!("{} by {}: {}", excluded.guest, excluded.way, excluded.reason)
        };
        let lines = recommendation.excluded.iter().map(line).collect();
        sections.push(Section::new("Not ranked", Body::Lines(lines)).detail());
    }
    sections
}

fn ranking<'a>(title: &str, rows: impl Iterator<Item = &'a Alternative>) -> Section {
    let figures = ["work", "instructions", "restored", "time", "x best", "wasm bytes"];
    let mut table = Table::new(&["guest", "restored by"], &figures).word("verified");
    for Alternative { pick, work_ratio, time_ratio, .. } in rows {
        table.row([
            pick.guest.clone(),
            pick.way(),
            or_dash(*work_ratio, |of| format!("{:.1}%", of * 100.0)),
            per_call(PerCall(pick.instructions.round())),
            or_dash(pick.restored_bytes, whole_bytes),
            or_dash(pick.time, |estimate| time(estimate.median)),
            or_dash(time_ratio.as_ref(), |of| ratio(of.median)),
            super::super::numbers::grouped(pick.wasm_bytes),
            match pick.verified {
                Some(true) => "passed",
                Some(false) => "inconclusive",
                None => NONE,
            }
            .to_owned(),
        ]);
    }
    Section::new(title, Body::Table(table))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bytes of a memory, not negative")]
fn whole_bytes(restored: f64) -> String {
    bytes(restored.round() as u64)
}
