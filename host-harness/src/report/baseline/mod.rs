//! Compares a report with an earlier one, and says which changes make a build fail.
//!
//! [`Baseline::new`] takes the earlier report and refuses one that cannot be compared; [`Baseline::compare`] gives a
//! [`Comparison`], which reports carry as [`Report::baseline`]. [`Rules`] say what fails.
//!
//! Counts are exact, so any increase beyond a rule's tolerance is a change of the guest. Times depend on the machine: they are
//! compared only if a rule asks for it, and only where the machine is the same and the difference is clear.

mod compare;
mod rules;
#[cfg(test)]
mod tests;

use std::fmt;

use serde::{Deserialize, Serialize};

use super::gather::gather;
use crate::measure::PerCall;
use crate::report::{Machine, Report, change_values};

pub use rules::{Rule, RuleError, Rules};

/// Something that is compared. In JSON and in rules it has the name in [`Figure::name`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Figure {
    /// A verdict of verification: passed, or not.
    Verdict,
    /// A guest, a function of it, or a way of restoring, which the baseline has and the report has not.
    Lost,
    /// Whether the calls of a row succeed.
    Failing,
    /// Allocations per call.
    Allocations,
    /// Calls of host functions per call.
    Crossings,
    /// WebAssembly instructions per call.
    Instructions,
    /// Bytes requested per call.
    AllocatedBytes,
    /// Bytes that a restore writes.
    RestoredBytes,
    /// Most bytes alive at one time.
    PeakLiveBytes,
    /// Bytes of the module without custom sections.
    WasmSize,
    /// Nanoseconds of an invocation, its restore included.
    Time,
    /// A guest, a function or a way of restoring that the baseline has not.
    Added,
}

impl Figure {
    /// The name in rules and in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Verdict => "verdict",
            Self::Lost => "lost",
            Self::Failing => "failing",
            Self::Allocations => "allocations",
            Self::Crossings => "crossings",
            Self::Instructions => "instructions",
            Self::AllocatedBytes => "allocated-bytes",
            Self::RestoredBytes => "restored-bytes",
            Self::PeakLiveBytes => "peak-live-bytes",
            Self::WasmSize => "wasm-size",
            Self::Time => "time",
            Self::Added => "added",
        }
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Whether a change is for the worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// More, slower, lost or failing.
    Worse,
    /// Less, faster, or passing now.
    Better,
    /// Neither, such as a new function.
    Neutral,
}

/// A figure or a word, before or after a change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum Value {
    /// A count, a size in bytes or a time in nanoseconds.
    Number(PerCall),
    /// A word, such as `passed` or `varies`.
    Word(String),
}

/// Something that is not as in the baseline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Change {
    /// What changed.
    pub figure: Figure,
    /// The guest.
    pub guest: String,
    /// The function; null where the change is of a guest or of a verdict.
    pub function: Option<String>,
    /// The way of restoring, for instance `bump-reset, keep`; null where the change is of a guest or of a function.
    pub way: Option<String>,
    /// In the baseline; null where it had none.
    pub before: Option<Value>,
    /// Now; null where there is none.
    pub after: Option<Value>,
    /// The difference in percent of the baseline; null where there are no two figures or the baseline's is 0.
    pub percent: Option<f64>,
    /// Whether it is for the worse.
    pub direction: Direction,
    /// Whether it makes the comparison fail.
    pub fails: bool,
}

impl Change {
    /// Whether both are the same change, whatever the ways of restoring.
    fn is_same_but_for_the_way(&self, other: &Self) -> bool {
        let Self { figure, guest, function, way: _, before, after, percent, direction, fails } = self;
        *figure == other.figure
            && *guest == other.guest
            && *function == other.function
            && *before == other.before
            && *after == other.after
            && *percent == other.percent
            && *direction == other.direction
            && *fails == other.fails
    }

    /// Where it changed: guest, function and way of restoring.
    #[must_use]
    pub fn place(&self) -> String {
        let parts = [Some(&self.guest), self.function.as_ref(), self.way.as_ref()];
        parts.into_iter().flatten().map(String::as_str).collect::<Vec<_>>().join(" / ")
    }

    /// The values before and after, in words and units that people read.
    #[must_use]
    pub fn shown(&self) -> [String; 2] {
        change_values(self)
    }
}

/// The changes since a baseline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Comparison {
    /// When the baseline was made, in RFC 3339 and UTC.
    pub date: String,
    /// Version of the harness that made it.
    pub harness: String,
    /// The machine on which it was made.
    pub machine: Machine,
    /// The rules; each makes the comparison fail where it is broken.
    pub rules: Vec<Rule>,
    /// How many figures, verdicts and rows were compared.
    pub compared: u64,
    /// The changes: those that fail first, then the worse ones, then the others.
    pub changes: Vec<Change>,
    /// Why nothing could be compared; null when something could. The comparison fails then.
    pub error: Option<String>,
    /// Notes for the reader, for instance about figures that could not be compared.
    pub notes: Vec<String>,
}

impl Comparison {
    /// Whether no rule was broken.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.error.is_none() && self.failing().next().is_none()
    }

    /// The changes that break a rule.
    pub fn failing(&self) -> impl Iterator<Item = &Change> {
        self.changes.iter().filter(|change| change.fails)
    }

    /// The rules with commas; `none` where there are none.
    #[must_use]
    pub fn rules_text(&self) -> String {
        let rules: Vec<String> = self.rules.iter().map(Rule::text).collect();
        if rules.is_empty() { "none".to_owned() } else { rules.join(", ") }
    }

    /// The result in a line.
    #[must_use]
    pub fn headline(&self) -> String {
        let joined = self.joined();
        let count = |direction| joined.iter().filter(|(change, _)| change.direction == direction).count();
        if self.error.is_some() {
            return "Baseline: nothing could be compared".to_owned();
        }
        match joined.iter().filter(|(change, _)| change.fails).count() {
            0 if self.changes.is_empty() => format!("Baseline: passed, nothing changed in {} figures", self.compared),
            0 => format!("Baseline: passed, {} better, {} worse", count(Direction::Better), count(Direction::Worse)),
            failing => format!(
                "Baseline: FAILED by {failing} of {} change(s) for the worse, {} for the better",
                count(Direction::Worse).max(failing),
                count(Direction::Better)
            ),
        }
    }

    /// The changes with those joined that differ in nothing but the way of restoring: most figures of a call do not depend on it.
    /// Each stands beside all its ways; changes that have none stand alone.
    #[must_use]
    pub fn joined(&self) -> Vec<(&Change, Vec<&str>)> {
        let with_ways = self.changes.iter().map(|change| (change, change.way.as_deref()));
        let joined = gather(with_ways, |one, other| one.is_same_but_for_the_way(other));
        joined.into_iter().map(|(change, ways)| (change, ways.into_iter().flatten().collect())).collect()
    }
}

/// Why a report cannot be a baseline.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BaselineError {
    /// It has no rows and no verdicts.
    #[error("the report is of `{command}`; a baseline is a report of `measure`, `verify` or `compare`")]
    NoFigures {
        /// The baseline's command.
        command: &'static str,
    },
    /// It is of another command.
    #[error("the report is of `{baseline}` and this is `{command}`; make a baseline with `{command}`")]
    OtherCommand {
        /// The baseline's command.
        baseline: &'static str,
        /// The command whose report would be compared.
        command: &'static str,
    },
}

/// An earlier report, and the rules by which a later one is compared with it.
#[derive(Debug, Clone, PartialEq)]
pub struct Baseline {
    report: Report,
    rules: Rules,
}

impl Baseline {
    /// Takes an earlier report as the baseline of one of `command`.
    ///
    /// ```
    /// use host_harness::baseline::{Baseline, Rules};
    /// use host_harness::report::read;
    ///
    /// # fn compare(text: &str, new: &mut host_harness::report::Report) -> Result<(), Box<dyn std::error::Error>> {
    /// let rules: Rules = "instructions=2%,allocations,verdict".parse()?;
    /// let baseline = Baseline::new(read(text)?, "measure", rules)?;
    /// let comparison = baseline.compare(new);
    /// println!("{}", comparison.headline());
    /// new.baseline = Some(comparison);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`BaselineError`] when the report is of another command, or of one whose reports cannot be compared.
    pub fn new(report: Report, command: &'static str, rules: Rules) -> Result<Self, BaselineError> {
        let baseline = report.command();
        if !compare::is_comparable(&report) {
            return Err(BaselineError::NoFigures { command: baseline });
        }
        if baseline != command {
            return Err(BaselineError::OtherCommand { baseline, command });
        }
        Ok(Self { report, rules })
    }

    /// Compares a later report of the same command.
    #[must_use]
    pub fn compare(&self, report: &Report) -> Comparison {
        compare::compare(&self.report, report, &self.rules)
    }
}
