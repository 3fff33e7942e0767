//! The ratios to baselines, from a run of the benchmarks.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::text::time;

#[derive(Deserialize, Serialize)]
pub(super) struct Ratio {
    measured: String,
    /// Absent, as the times are, where no times were compared.
    baseline: Option<String>,
    measured_ns: Option<f64>,
    baseline_ns: Option<f64>,
    ratio: f64,
    target: String,
    met: bool,
}

/// By benchmark.
pub(super) type Ratios = BTreeMap<String, Vec<Ratio>>;

pub(super) fn read(text: &str) -> Result<Ratios> {
    Ok(serde_json::from_str(text)?)
}

/// The ratios that have a target, one a line, to be kept beside the pages.
pub(super) fn digest(text: &str) -> Result<String> {
    let mut benchmarks = Vec::new();
    for (benchmark, ratios) in &read(text)? {
        let ratios = ratios.iter().filter(|ratio| !ratio.target.is_empty());
        let ratios = ratios.map(serde_json::to_string).collect::<serde_json::Result<Vec<_>>>()?;
        benchmarks.push(format!("{}: [\n  {}\n]", serde_json::to_string(benchmark)?, ratios.join(",\n  ")));
    }
    Ok(format!("{{\n{}\n}}\n", benchmarks.join(",\n")))
}

fn with_target(ratios: &Ratios) -> impl Iterator<Item = &Ratio> {
    ratios.values().flatten().filter(|ratio| !ratio.target.is_empty())
}

/// How many targets are met.
pub(super) fn sentence(ratios: &Ratios) -> String {
    let (all, met) = (with_target(ratios).count(), with_target(ratios).filter(|ratio| ratio.met).count());
    format!(
        "{met} of {all} benchmark targets were met in the last run of `cargo xtask bench`: \
         [all ratios](docs/src/ratios.md).\n"
    )
}

/// All ratios that have a target, by benchmark.
pub(super) fn table(ratios: &Ratios) -> String {
    let mut text = String::new();
    for (benchmark, ratios) in ratios {
        let mut ratios = ratios.iter().filter(|ratio| !ratio.target.is_empty()).peekable();
        if ratios.peek().is_none() {
            continue;
        }
        let _ = write!(text, "\n## {benchmark}\n\n| measured | beside | ratio | target | |\n|---|---|--:|---|---|\n");
        for ratio in ratios {
            let _ = writeln!(
                text,
                "| {} | {} | {:.2} | {} | {} |",
                timed(&ratio.measured, ratio.measured_ns),
                timed(ratio.baseline.as_deref().unwrap_or_default(), ratio.baseline_ns),
                ratio.ratio,
                ratio.target,
                if ratio.met { "met" } else { "**missed**" }
            );
        }
    }
    text
}

/// What something is and how long it took, if that is known.
fn timed(name: &str, nanoseconds: Option<f64>) -> String {
    nanoseconds.map_or_else(|| name.to_owned(), |nanoseconds| format!("{name}: {}", time(nanoseconds)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATIOS: &str = r#"{
        "recover": [
            {"measured": "ours", "baseline": "a copy", "measured_ns": 40.0, "baseline_ns": 30.0, "ratio": 1.333,
             "ratio_quartiles": [1.3, 1.4], "target": "at most 1.5", "met": true},
            {"measured": "theirs", "baseline": "a copy", "measured_ns": 90.0, "baseline_ns": 30.0, "ratio": 3.0,
             "ratio_quartiles": [3.0, 3.0], "target": "", "met": true}],
        "cold": [
            {"measured": "slow", "baseline": "fast", "measured_ns": 2000.0, "baseline_ns": 1000.0, "ratio": 2.0,
             "ratio_quartiles": [2.0, 2.0], "target": "at least 10", "met": false},
            {"measured": "growth", "ratio": 1.1, "target": "at most 1.2", "met": true}]}"#;

    #[test]
    fn what_has_a_target_is_shown_with_its_verdict() {
        let ratios: Ratios = serde_json::from_str(RATIOS).unwrap();
        let table = table(&ratios);
        assert!(table.contains("## recover\n\n| measured | beside | ratio | target | |\n|---|---|--:|---|---|\n| ours: 40 ns | a copy: 30 ns | 1.33 | at most 1.5 | met |"), "{table}");
        assert!(table.contains("| slow: 2.0 us | fast: 1.0 us | 2.00 | at least 10 | **missed** |"), "{table}");
        assert!(table.contains("| growth |  | 1.10 | at most 1.2 | met |"), "{table}");
        assert!(!table.contains("theirs"), "{table}");
        assert!(sentence(&ratios).starts_with("2 of 3 benchmark targets were met in the last run"));
    }
}
