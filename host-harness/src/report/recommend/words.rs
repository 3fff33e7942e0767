//! The sentences of a recommendation.

use super::candidates::Candidate;
use super::{Alternative, DecidedBy, Pick, Recommendation, When};
use crate::measure::{Estimate, PerCall, way};
use crate::report::numbers::{bytes, grouped, per_call, time};
use crate::report::{MeasureReport, Settings};

impl Pick {
    /// Strategy and residue in one, for instance `bump-reset, keep`.
    #[must_use]
    pub fn way(&self) -> String {
        way(&self.strategy, self.residue.as_deref())
    }

    /// Whether both are of one guest.
    fn is_of_guest_of(&self, other: &Self) -> bool {
        self.guest == other.guest
    }
}

impl Recommendation {
    /// The answer in one sentence.
    #[must_use]
    pub fn headline(&self) -> String {
        let best = &self.best;
        let several = self.ranking.iter().any(|other| !other.pick.is_of_guest_of(best));
        match (&best.feature, several) {
            (_, false) => format!("Restore {} by `{}`.", best.guest, best.way()),
            (Some(feature), true) => {
                format!("Use {} (feature `{feature}`), restored by `{}`.", best.allocator, best.way())
            }
            (None, true) => {
                format!("Use {} ({}, no feature), restored by `{}`.", best.guest, best.allocator, best.way())
            }
        }
    }

    /// The reasons: names and sentences.
    #[must_use]
    pub fn reasons(&self, settings: &Settings) -> Vec<(&'static str, String)> {
        let best = &self.best;
        let mut facts = vec![("work", work(best))];
        facts.extend(best.time.map(|estimate| ("time", format!("{} for call and restore", plus_minus(estimate)))));
        facts.push(("decided by", self.decision()));
        facts.push(("verified", verified(best)));
        let limit = bytes(settings.memory_limit);
        facts.push(("memory", format!("{} of the limit of {limit}", bytes(best.memory_bytes))));
        facts.push(("module", format!("{} bytes", grouped(best.wasm_bytes))));
        facts.push(("in a host", in_a_host(best)));
        facts.extend(self.alternatives.iter().map(|other| (other.when.words(), self.alternative(other))));
        facts
    }

    fn decision(&self) -> String {
        let runner_up = self.ranking.get(1);
        let by_times = |other: &Alternative| match other.time_ratio {
            Some(ratio) if ratio.interval.low > 1.0 => "and times agree".to_owned(),
            Some(ratio) if ratio.interval.high < 1.0 => {
                format!("though it takes {} time, which is within a tenth", share_of_the(ratio.median))
            }
            Some(_) => "and times show no difference".to_owned(),
            None => "and nothing was timed".to_owned(),
        };
        match (self.decided_by, runner_up) {
            (DecidedBy::Alone, _) | (_, None) => "nothing: it is the only one that did all".to_owned(),
            (DecidedBy::Counts, Some(other)) => {
                format!("exact counts: the next takes {}, {}", work_beside(other), by_times(other))
            }
            (DecidedBy::Tie, Some(_)) => self.tie(),
            (DecidedBy::Times, _) => {
                let least = self.ranking.iter().filter(|other| other.work_ratio.is_some()).min_by(|one, two| {
                    one.work_ratio.unwrap_or_default().total_cmp(&two.work_ratio.unwrap_or_default())
                });
                let ratio = least.and_then(|other| other.time_ratio);
                let of = |bound: fn(Estimate) -> f64| ratio.map_or(f64::NAN, bound);
                format!(
                    "times: the one with the least work takes {} time, with a confidence of 95% at least {} time",
                    share_of_the(of(|ratio| ratio.median)),
                    share_of_the(of(|ratio| ratio.interval.low))
                )
            }
        }
    }

    /// How many ways do as little work as the pick, and what sets it apart from them.
    fn tie(&self) -> String {
        let picks = || self.ranking.iter().map(|other| &other.pick);
        let least = picks().min_by(|one, two| one.by_work(two)).unwrap_or(&self.best);
        let equal: Vec<&Pick> = picks().filter(|pick| pick.has_equal_work(least)).collect();
        let has = if !self.best.leaves_residue() && equal.iter().any(|pick| pick.leaves_residue()) {
            "it leaves no residue"
        } else if equal.iter().any(|pick| pick.wasm_bytes > self.best.wasm_bytes) {
            "its module is the smallest"
        } else {
            "they differ in nothing that counts"
        };
        format!("a tie: {} ways do the same work within 1%, and {has}", equal.len())
    }

    /// What an alternative costs, beside the pick.
    fn alternative(&self, other: &Alternative) -> String {
        let name = match other.pick.is_of_guest_of(&self.best) {
            true => format!("`{}`", other.pick.way()),
            false => format!("{} by `{}`", other.pick.allocator, other.pick.way()),
        };
        let size = other.pick.wasm_bytes.abs_diff(self.best.wasm_bytes);
        let size = match other.pick.wasm_bytes.cmp(&self.best.wasm_bytes) {
            std::cmp::Ordering::Less => format!(", {} smaller", bytes(size)),
            std::cmp::Ordering::Equal => String::new(),
            std::cmp::Ordering::Greater => format!(", {} larger", bytes(size)),
        };
        let took = match other.time_ratio {
            Some(ratio) if ratio.interval.low > 1.0 || ratio.interval.high < 1.0 => {
                format!(", {} time", share_of_the(ratio.median))
            }
            Some(_) => ", the same time".to_owned(),
            None => String::new(),
        };
        format!("{name}: {}{took}{size}", work_beside(other))
    }
}

impl When {
    /// The words before the alternative.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::RunnerUp => "runner-up",
            Self::NoResidue => "if residue must not stay",
            Self::Smallest => "if size matters most",
            Self::Ranked => "ranked",
        }
    }
}

/// What the reader should know before trusting a pick.
pub(super) fn cautions(report: &MeasureReport, weighed: &[(String, f64)], best: &Candidate) -> Vec<String> {
    let mut cautions = Vec::new();
    if let Some(noise) = report.noise.filter(|noise| noise.is_noisy()) {
        cautions.push(format!(
            "this machine is noisy: the same empty call took from {:.0} to {:.0} ns; counts are exact all the same",
            noise.fast, noise.slow
        ));
    }
    match best.pick.verified {
        None => cautions.push("nothing was verified".to_owned()),
        Some(false) => cautions.push("verification could not prove it: see the verdicts".to_owned()),
        Some(true) => {}
    }
    let varies = |function: &str| {
        report.rows.iter().any(|row| {
            row.function == function
                && row.guest == best.pick.guest
                && row.counts.as_ref().is_some_and(|counts| counts.varies.iter().any(|name| name == "instructions"))
        })
    };
    for (function, _) in weighed.iter().filter(|(function, _)| varies(function)) {
        cautions.push(format!("instructions of `{function}` varied between two passes, so its work is not exact"));
    }
    let mut failing: Vec<&str> = Vec::new();
    for row in report.rows.iter().filter(|row| row.failure.is_some()) {
        let none_succeeds =
            report.rows.iter().filter(|other| other.function == row.function).all(|other| other.failure.is_some());
        if none_succeeds && !failing.contains(&row.function.as_str()) {
            failing.push(&row.function);
        }
    }
    if !failing.is_empty() {
        let names: Vec<String> = failing.iter().map(|name| format!("`{name}`")).collect();
        cautions.push(format!("left out, as every call failed: {}", names.join(", ")));
    }
    cautions
}

fn work(pick: &Pick) -> String {
    let instructions = per_call(PerCall(pick.instructions));
    match pick.restored_bytes {
        Some(restored) => {
            format!("{instructions} instructions a call, and {} bytes restored", per_call(PerCall(restored)))
        }
        None => format!("{instructions} instructions a call, and a new instance after it"),
    }
}

/// The strategy and the residue that an embedder sets, by their names in `guest-host`.
fn in_a_host(pick: &Pick) -> String {
    let variant = |name: &str| -> String {
        let capital = |word: &str| word[..1].to_uppercase() + &word[1..];
        name.split('-').filter(|word| !word.is_empty()).map(capital).collect()
    };
    let strategy = format!("`RestoreStrategy::{}`", variant(&pick.strategy));
    match &pick.residue {
        Some(residue) => format!("{strategy}, `Residue::{}`", variant(residue)),
        None => strategy,
    }
}

fn verified(pick: &Pick) -> String {
    match pick.verified {
        Some(true) => format!("yes: {} calls gave the same as on fresh instances", grouped(pick.verified_calls)),
        Some(false) => "not proved".to_owned(),
        None => "no".to_owned(),
    }
}

/// The work of an alternative beside that of the pick.
fn work_beside(other: &Alternative) -> String {
    match other.work_ratio {
        Some(ratio) => format!("{} work", share_of_the(ratio)),
        None => "a new instance after each call".to_owned(),
    }
}

/// A ratio, and the words that lead to what it is of: `102% of the` or `2.5 times the`.
fn share_of_the(ratio: f64) -> String {
    match ratio {
        large if large >= 10.0 => format!("{large:.0} times the"),
        large if large >= 2.0 => format!("{large:.1} times the"),
        close if (0.95..1.05).contains(&close) => format!("{:.1}% of the", close * 100.0),
        ratio => format!("{:.0}% of the", ratio * 100.0),
    }
}

/// A time with half the width of its interval.
fn plus_minus(estimate: Estimate) -> String {
    let half = (estimate.interval.high - estimate.interval.low) / 2.0;
    format!("{} +- {}", time(estimate.median), time(half))
}
