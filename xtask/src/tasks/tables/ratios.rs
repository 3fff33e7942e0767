//! The ratios to baselines, from a run of the benchmarks.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Context, Result};
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

/// The ratios that have a target, one a line, to be kept beside the pages: the new ones, and what was `kept` of benchmarks that
/// were not run again.
pub(super) fn digest(text: &str, kept: &str) -> Result<String> {
    let mut all = read(kept)?;
    all.extend(read(text)?);
    let mut benchmarks = Vec::new();
    for (benchmark, ratios) in &all {
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
        "{met} of {all} benchmark targets were met in the last runs of `cargo xtask bench`: \
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

/// The ratio of this name.
fn find<'a>(ratios: &'a Ratios, benchmark: &str, measured: &str, baseline: &str) -> Result<&'a Ratio> {
    let found = ratios
        .get(benchmark)
        .into_iter()
        .flatten()
        .find(|ratio| ratio.measured == measured && ratio.baseline.as_deref() == Some(baseline));
    found.with_context(|| format!("the benchmark `{benchmark}` has no ratio of `{measured}` to `{baseline}`"))
}

/// What an empty call costs with a restore, beside a bare call.
pub(super) fn empty_call(ratios: &Ratios) -> Result<String> {
    const BARE: &str = "do_nothing: bare typed call";
    let exact = find(ratios, "extensions", "do_nothing: system, dirty-cards", BARE)?;
    let keeps = find(ratios, "extensions", "do_nothing: bump-reset, bump-reset keep", BARE)?;
    let nanoseconds = |time: Option<f64>| time.map(self::time).context("a ratio has no times");
    Ok(format!(
        "| an empty call | time | beside a bare call |\n|---|--:|--:|\n\
         | wasmtime's bare typed call | {} | 1 |\n\
         | restored by `dirty-cards`, which is exact | {} | {:.1} |\n\
         | restored by `bump-reset`, residue kept | {} | {:.1} |\n",
        nanoseconds(exact.baseline_ns)?,
        nanoseconds(exact.measured_ns)?,
        exact.ratio,
        nanoseconds(keeps.measured_ns)?,
        keeps.ratio
    ))
}

/// How much longer programs take with a write barrier.
pub(super) fn barrier(ratios: &Ratios) -> Result<String> {
    let mut text = String::from("| program | without marks | with marks | longer by |\n|---|--:|--:|--:|\n");
    let all = ratios.get("barrier").context("the benchmark `barrier` was not run")?;
    for ratio in all {
        let (Some(with), Some(without)) = (ratio.measured_ns, ratio.baseline_ns) else { continue };
        let name = ratio.measured.trim_end_matches(", barrier");
        let percent = (ratio.ratio - 1.0).max(0.0) * 100.0;
        let _ = writeln!(text, "| {name} | {} | {} | {percent:.0}% |", time(without), time(with));
    }
    let median = all.iter().find(|ratio| ratio.measured.starts_with("the median"));
    let median = median.context("the benchmark `barrier` has no median")?;
    let _ = writeln!(text, "| **median** | | | {:.0}% |", (median.ratio - 1.0) * 100.0);
    Ok(text)
}

/// What host calls of the exttinygo contract cost, beside a plain linker.
pub(super) fn exttinygo(ratios: &Ratios) -> Result<String> {
    let mut text = String::from(
        "| host calls | plain wasmtime linker | this host | ratio | with a restore |\n|---|--:|--:|--:|--:|\n",
    );
    for (function, name) in
        [("five_calls", "five"), ("five_calls_with_text", "five, one of which puts a text into memory")]
    {
        let never = format!("{function}: never restored");
        let plain = find(ratios, "exttinygo", &never, &format!("{function}: plain linker"))?;
        // The benchmark subtracts what a restore may cost before it compares.
        let allowance = 50.0;
        let restored = find(ratios, "exttinygo", &format!("{function}: dirty-cards less {allowance:.1} ns"), &never)?;
        let times = plain.baseline_ns.zip(plain.measured_ns).zip(restored.measured_ns);
        let ((linker, host), restored) = times.context("a ratio has no times")?;
        let _ = writeln!(
            text,
            "| {name} | {} | {} | {:.2} | {} |",
            time(linker),
            time(host),
            plain.ratio,
            time(restored + allowance)
        );
    }
    Ok(text)
}

/// The times of typed functions, each beside its baseline of the same run.
pub(super) fn functions(ratios: &Ratios) -> Result<String> {
    /// The baseline of what is held to a time.
    const TIME: &str = "1 ns";
    let mut text = String::from("| measured | time | beside | time | ratio | asked |\n|---|--:|---|--:|--:|---|\n");
    for (benchmark, command) in
        [("functions", "bench"), ("arrow-udf", "bench --engines"), ("datafusion", "bench --engines")]
    {
        let all = ratios.get(benchmark);
        let all = all.with_context(|| format!("there are no figures of `{benchmark}`: run `cargo xtask {command}`"))?;
        for ratio in all.iter().filter(|ratio| !ratio.target.is_empty()) {
            let (Some(own), Some(other)) = (ratio.measured_ns, ratio.baseline_ns) else { continue };
            let beside = ratio.baseline.as_deref().unwrap_or_default();
            let missed = if ratio.met { "" } else { ", **missed**" };
            let (measured, asked) = (&ratio.measured, &ratio.target);
            let _ = match beside {
                TIME => writeln!(text, "| {measured} | {} | | | | {asked} ns{missed} |", time(own)),
                _ => writeln!(
                    text,
                    "| {measured} | {} | {beside} | {} | {:.2} | {asked}{missed} |",
                    time(own),
                    time(other),
                    ratio.ratio
                ),
            };
        }
    }
    Ok(text)
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
    fn what_was_not_measured_again_is_kept() {
        let new = r#"{"cold": [{"measured": "a", "ratio": 1.5, "target": "at most 2", "met": true},
            {"measured": "b", "ratio": 1.5, "target": "", "met": true}]}"#;
        let kept = digest(new, RATIOS).unwrap();
        let found = read(&kept).unwrap();
        assert_eq!((found["recover"].len(), found["cold"].len()), (1, 1), "{kept}");
        assert_eq!(digest(&kept, "{}").unwrap(), kept);
    }

    #[test]
    fn tables_of_pages_have_their_figures() {
        let ratio = |measured: &str, baseline: &str, times: (f64, f64)| {
            let (measured, baseline) = (format!("{measured:?}"), format!("{baseline:?}"));
            let (slow, fast, ratio) = (times.0, times.1, times.0 / times.1);
            format!(
                r#"{{"measured": {measured}, "baseline": {baseline}, "measured_ns": {slow:?}, "baseline_ns": {fast:?},
                "ratio": {ratio}, "target": "x", "met": true}}"#
            )
        };
        let all = format!(
            r#"{{"extensions": [{}, {}], "barrier": [{}, {}], "exttinygo": [{}, {}, {}, {}]}}"#,
            ratio("do_nothing: system, dirty-cards", "do_nothing: bare typed call", (39.0, 12.0)),
            ratio("do_nothing: bump-reset, bump-reset keep", "do_nothing: bare typed call", (44.0, 12.0)),
            ratio("sort, barrier", "sort, no barrier", (113.0, 100.0)),
            r#"{"measured": "the median of all", "ratio": 1.05, "target": "x", "met": true}"#,
            ratio("five_calls: never restored", "five_calls: plain linker", (263.0, 276.0)),
            ratio("five_calls: dirty-cards less 50.0 ns", "five_calls: never restored", (259.0, 263.0)),
            ratio("five_calls_with_text: never restored", "five_calls_with_text: plain linker", (364.0, 335.0)),
            ratio(
                "five_calls_with_text: dirty-cards less 50.0 ns",
                "five_calls_with_text: never restored",
                (387.0, 364.0)
            ),
        );
        let all = read(&all).unwrap();
        let table = empty_call(&all).unwrap();
        assert!(table.contains("which is exact | 39 ns | 3.2 |\n"), "{table}");
        let table = barrier(&all).unwrap();
        assert!(table.contains("| sort | 100 ns | 113 ns | 13% |\n| **median** | | | 5% |\n"), "{table}");
        let table = exttinygo(&all).unwrap();
        assert!(table.contains("| five | 276 ns | 263 ns | 0.95 | 309 ns |\n"), "{table}");
        let error = barrier(&Ratios::new()).unwrap_err().to_string();
        assert!(error.contains("`barrier` was not run"), "{error}");
    }

    #[test]
    fn times_that_are_held_to_a_time_have_nothing_beside_them() {
        let all = r#"{"arrow-udf": [], "datafusion": [], "functions": [
            {"measured": "row", "baseline": "1 ns", "measured_ns": 61.2, "baseline_ns": 1.0, "ratio": 61.2,
             "target": "at most 60", "met": false},
            {"measured": "batch", "baseline": "loop", "measured_ns": 2400.0, "baseline_ns": 2000.0, "ratio": 1.2,
             "target": "at most 2", "met": true}]}"#;
        let table = functions(&read(all).unwrap()).unwrap();
        assert!(table.contains("| row | 61 ns | | | | at most 60 ns, **missed** |\n"), "{table}");
        assert!(table.contains("| batch | 2.4 us | loop | 2.0 us | 1.20 | at most 2 |\n"), "{table}");
        for (kept, told) in
            [("{}", "`functions`: run `cargo xtask bench`"), (r#"{"functions": []}"#, "bench --engines`")]
        {
            let error = functions(&read(kept).unwrap()).unwrap_err().to_string();
            assert!(error.contains(told), "{error}");
        }
    }

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
