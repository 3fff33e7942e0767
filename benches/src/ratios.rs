//! Ratios to baselines: printed at the end of a benchmark and kept in a file for all of them.

use std::fs;

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

use crate::guests::root;
use crate::turns::{Measured, quantile};

/// What a ratio should be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Target {
    /// At most this.
    AtMost(f64),
    /// At least this.
    AtLeast(f64),
    /// Nothing is asked of it; it stands there to be compared with.
    None,
}

impl Target {
    fn is_met(self, ratio: f64) -> bool {
        match self {
            Self::AtMost(limit) => ratio <= limit,
            Self::AtLeast(limit) => ratio >= limit,
            Self::None => true,
        }
    }

    fn verdict(self, ratio: f64) -> String {
        match (self, self.is_met(ratio)) {
            (Self::None, _) => String::new(),
            (_, true) => format!("{}: met", self.text()),
            (_, false) => format!("{}: MISSED", self.text()),
        }
    }

    fn text(self) -> String {
        match self {
            Self::AtMost(limit) => format!("at most {limit}"),
            Self::AtLeast(limit) => format!("at least {limit}"),
            Self::None => String::new(),
        }
    }
}

/// The ratios of one benchmark.
#[derive(Debug)]
pub struct Ratios {
    benchmark: &'static str,
    lines: Vec<String>,
    values: Vec<Value>,
}

impl Ratios {
    /// No ratios yet.
    #[must_use]
    pub const fn new(benchmark: &'static str) -> Self {
        Self { benchmark, lines: Vec::new(), values: Vec::new() }
    }

    /// Adds the ratio of two things that took turns.
    pub fn add(&mut self, measured: &Measured, baseline: &Measured, target: Target) {
        self.push(measured, baseline, measured.ratio(baseline), target);
    }

    /// Adds the ratio of what something takes beyond a fixed time, in nanoseconds, which its target allows it.
    pub fn add_beyond(&mut self, measured: &Measured, baseline: &Measured, allowed: f64, target: Target) {
        let rounds = measured.rounds.iter().map(|round| (round - allowed).max(0.0)).collect();
        let name = format!("{} less {}", measured.name, time(allowed));
        self.add(&Measured { name, rounds }, baseline, target);
    }

    /// Adds of several ratios the greatest.
    pub fn add_worst<'a>(&mut self, pairs: impl IntoIterator<Item = (&'a Measured, &'a Measured)>, target: Target) {
        let worst = pairs.into_iter().max_by(|(a, b), (c, d)| a.ratio(b)[1].total_cmp(&c.ratio(d)[1]));
        if let Some((measured, baseline)) = worst {
            self.add(measured, baseline, target);
        }
    }

    /// Adds the ratio of the medians of two things that did not take turns.
    pub fn add_medians(&mut self, measured: &Measured, baseline: &Measured, target: Target) {
        let by = |share| quantile(&measured.rounds, share) / baseline.median();
        self.push(measured, baseline, [0.25, 0.5, 0.75].map(by), target);
    }

    /// Adds a ratio that was not measured as one of two times, such as the growth of a file.
    pub fn add_figure(&mut self, name: &str, ratio: f64, target: Target) {
        self.lines.push(format!("{name:<70} = {ratio:>8.2}  {}", target.verdict(ratio)));
        self.values.push(json!({
            "measured": name,
            "ratio": ratio,
            "target": target.text(),
            "met": target.is_met(ratio),
        }));
    }

    fn push(&mut self, measured: &Measured, baseline: &Measured, quartiles: [f64; 3], target: Target) {
        let [low, ratio, high] = quartiles;
        let (own, other) = (measured.median(), baseline.median());
        let verdict = target.verdict(ratio);
        self.lines.push(format!(
            "{:<44} {:>11} / {:<11} = {ratio:>8.2}  [{low:.2} .. {high:.2}]  {verdict}",
            format!("{} / {}", measured.name, baseline.name),
            time(own),
            time(other),
        ));
        self.values.push(json!({
            "measured": measured.name,
            "baseline": baseline.name,
            "measured_ns": own,
            "baseline_ns": other,
            "ratio": ratio,
            "ratio_quartiles": [low, high],
            "target": target.text(),
            "met": target.is_met(ratio),
        }));
    }

    /// Adds a remark under the ratios.
    pub fn note(&mut self, note: impl Into<String>) {
        self.lines.push(format!("  {}", note.into()));
    }

    /// Prints the ratios and puts them into the file, in the place of this benchmark's last ones.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn finish(self) -> Result<()> {
        println!("\n{}: time / baseline = ratio [quartiles]", self.benchmark);
        for line in &self.lines {
            println!("{line}");
        }
        println!();
        keep("ratios.json", self.benchmark, Value::Array(self.values))
    }
}

/// Puts a benchmark's figures into `target/benches/<file>`, in the place of its last ones.
///
/// # Errors
/// The file cannot be written.
pub fn keep(file: &str, benchmark: &str, values: Value) -> Result<()> {
    let folder = root().join("target/benches");
    let path = folder.join(file);
    let told = || format!("cannot write {}", path.display());
    fs::create_dir_all(&folder).with_context(told)?;
    // What is no longer legible is begun anew.
    let mut all: Map<String, Value> =
        fs::read(&path).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
    all.insert(benchmark.to_owned(), values);
    fs::write(&path, serde_json::to_string_pretty(&all)? + "\n").with_context(told)
}

/// Nanoseconds in the unit that suits them.
#[must_use]
pub fn time(nanoseconds: f64) -> String {
    match nanoseconds {
        ns if ns < 1e3 => format!("{ns:.1} ns"),
        ns if ns < 1e6 => format!("{:.2} us", ns / 1e3),
        ns => format!("{:.2} ms", ns / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_the_median_of_the_rounds() {
        let measured = |name: &str, rounds: [f64; 3]| Measured { name: name.to_owned(), rounds: rounds.to_vec() };
        let baseline = measured("baseline", [10.0, 100.0, 10.0]);
        // The machine was slow in the second round, for both.
        assert_eq!(measured("ours", [20.0, 200.0, 30.0]).ratio(&baseline), [2.0, 2.0, 3.0]);
        assert_eq!(measured("ours", [20.0, 200.0, 30.0]).median(), 30.0);
    }

    #[test]
    fn targets_are_inclusive() {
        assert!(Target::AtMost(3.5).is_met(3.5) && !Target::AtMost(3.5).is_met(3.51));
        assert!(Target::AtLeast(150.0).is_met(150.0) && !Target::AtLeast(150.0).is_met(149.0));
    }
}
