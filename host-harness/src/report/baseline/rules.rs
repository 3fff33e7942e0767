//! Rules: which changes fail, and from which size on.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Figure;

/// A figure that must not get worse.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Rule {
    /// The figure.
    pub figure: Figure,
    /// Increase in percent of the baseline that is tolerated; 0 for none, and for what is no number.
    pub percent: f64,
}

impl Rule {
    /// The rule as `--fail-on` has it.
    #[must_use]
    pub fn text(&self) -> String {
        match self.percent {
            0.0 => self.figure.name().to_owned(),
            percent => format!("{}={percent}%", self.figure.name()),
        }
    }

    /// Whether an increase from one figure to another breaks the rule.
    #[must_use]
    pub fn is_broken(&self, before: f64, after: f64) -> bool {
        // Means of counts are rounded to four digits behind the point.
        after > before * (1.0 + self.percent / 100.0) + 1e-6
    }
}

/// All rules. The default fails on any more allocations and crossings, on more than 1% more instructions, bytes or module size,
/// and on lost verdicts, lost rows and rows that fail now.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules(Vec<Rule>);

impl Rules {
    /// The default rules, as text.
    pub const DEFAULT: &str = "allocations,crossings,instructions=1%,bytes=1%,wasm-size=1%,verdict,lost,failing";

    /// The rule for a figure.
    #[must_use]
    pub fn of(&self, figure: Figure) -> Option<Rule> {
        self.0.iter().copied().find(|rule| rule.figure == figure)
    }

    /// The rules in their order.
    #[must_use]
    pub fn as_slice(&self) -> &[Rule] {
        &self.0
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self(Self::DEFAULT.split(',').flat_map(|part| rules(part).unwrap_or_default()).collect())
    }
}

/// Why a text is no rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RuleError {
    /// It names no figure.
    #[error(
        "`{0}` is no figure: use allocations, crossings, instructions, bytes, allocated-bytes, restored-bytes, peak-live-bytes, \
         wasm-size, verdict, lost, failing or time, for instance instructions=2%, or none alone"
    )]
    Figure(String),
    /// The tolerance is no percentage.
    #[error("`{0}` is not a percentage: write a number from 0 and %, for instance 2% or 0.5%")]
    Percent(String),
    /// The figure is no number.
    #[error("`{0}` is lost or not, so it has no percentage: write it alone")]
    NoNumber(&'static str),
    /// Two rules are of one figure.
    #[error("`{0}` stands twice")]
    Twice(&'static str),
}

const NUMBERS: [Figure; 8] = [
    Figure::Allocations,
    Figure::Crossings,
    Figure::Instructions,
    Figure::AllocatedBytes,
    Figure::RestoredBytes,
    Figure::PeakLiveBytes,
    Figure::WasmSize,
    Figure::Time,
];

const WORDS: [Figure; 3] = [Figure::Verdict, Figure::Lost, Figure::Failing];

/// The rules of one item of the list; `bytes` is three.
fn rules(item: &str) -> Result<Vec<Rule>, RuleError> {
    let (name, percent) = match item.split_once('=') {
        Some((name, percent)) => (name.trim(), Some(percent.trim())),
        None => (item.trim(), None),
    };
    let named = |figure: &&Figure| figure.name() == name;
    if let Some(figure) = WORDS.iter().find(named) {
        return match percent {
            Some(_) => Err(RuleError::NoNumber(figure.name())),
            None => Ok(vec![Rule { figure: *figure, percent: 0.0 }]),
        };
    }
    let figures = match name {
        "bytes" => vec![Figure::AllocatedBytes, Figure::RestoredBytes, Figure::PeakLiveBytes],
        _ => vec![*NUMBERS.iter().find(named).ok_or_else(|| RuleError::Figure(name.to_owned()))?],
    };
    let percent =
        percent.map_or(Ok(0.0), |text| percentage(text).ok_or_else(|| RuleError::Percent(text.to_owned())))?;
    Ok(figures.into_iter().map(|figure| Rule { figure, percent }).collect())
}

fn percentage(text: &str) -> Option<f64> {
    let number: f64 = text.strip_suffix('%')?.trim().parse().ok()?;
    (number.is_finite() && number >= 0.0).then_some(number)
}

impl FromStr for Rules {
    type Err = RuleError;

    /// Reads a list with commas, such as `instructions=2%,allocations`; `none` alone is no rule at all.
    fn from_str(text: &str) -> Result<Self, RuleError> {
        if text.trim() == "none" {
            return Ok(Self(Vec::new()));
        }
        let mut all: Vec<Rule> = Vec::new();
        for item in text.split(',') {
            for rule in rules(item)? {
                if all.iter().any(|known| known.figure == rule.figure) {
                    return Err(RuleError::Twice(rule.figure.name()));
                }
                all.push(rule);
            }
        }
        Ok(Self(all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_rules_is_read_as_it_is_written() {
        let rules: Rules = "instructions=2%, allocations,verdict,bytes=0.5%".parse().unwrap();
        let texts: Vec<String> = rules.as_slice().iter().map(Rule::text).collect();
        assert_eq!(
            texts,
            [
                "instructions=2%",
                "allocations",
                "verdict",
                "allocated-bytes=0.5%",
                "restored-bytes=0.5%",
                "peak-live-bytes=0.5%"
            ]
        );
        assert!("none".parse::<Rules>().unwrap().as_slice().is_empty());
        assert_eq!(Rules::DEFAULT.parse::<Rules>().unwrap(), Rules::default());
        assert_eq!(Rules::default().as_slice().len(), 10);
        assert!(Rules::default().of(Figure::Time).is_none());
    }

    #[test]
    fn what_is_no_rule_is_refused_with_what_would_be() {
        for (text, words) in [
            ("speed", "`speed` is no figure: use allocations"),
            ("", "`` is no figure"),
            ("added", "`added` is no figure"),
            ("allocations,none", "`none` is no figure"),
            ("instructions=2", "`2` is not a percentage"),
            ("instructions=-1%", "`-1%` is not a percentage"),
            ("instructions=NaN%", "is not a percentage"),
            ("verdict=1%", "it has no percentage"),
            ("bytes,restored-bytes", "`restored-bytes` stands twice"),
        ] {
            let error = text.parse::<Rules>().unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
    }

    #[test]
    fn a_tolerance_is_of_the_baseline() {
        let rule = |percent| Rule { figure: Figure::Instructions, percent };
        assert!(rule(0.0).is_broken(100.0, 101.0) && !rule(0.0).is_broken(100.0, 100.0));
        assert!(!rule(2.0).is_broken(100.0, 102.0) && rule(2.0).is_broken(100.0, 102.1));
        assert!(rule(50.0).is_broken(0.0, 1.0) && !rule(0.0).is_broken(100.0, 99.0));
    }
}
