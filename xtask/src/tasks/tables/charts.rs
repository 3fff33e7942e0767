//! The charts of the allocators' pages: what an allocator costs alone, how much memory it takes, and what restores of the
//! sample guest cost with it. Each is a file beside the pages, with the figures of the tables.

use anyhow::{Context, Result};
use report_charts::{Bars, Chart, Group, Quantity, Scale};

use super::allocators::{Alone, Workloads};
use super::compare::{WAYS, row};
use super::report::Report;

/// An allocator and those that its charts show beside it.
const SERIES: [(&str, [&str; 3]); 5] = [
    ("leaking", ["leaking", "freelist", "system"]),
    ("bump-reset", ["bump-reset", "freelist", "system"]),
    ("freelist", ["freelist", "bump-reset", "system"]),
    ("wee", ["wee", "wee_alloc 0.4", "system"]),
    ("system", ["system", "bump-reset", "freelist"]),
];

/// The functions of the sample guest whose restores are shown.
const FUNCTIONS: [&str; 2] = ["calc_ordered_items", "send_mail"];

const PAGE: f64 = 65_536.0;

/// All charts: the file's name, and its text.
///
/// # Errors
///
/// If a figure is missing, or a chart cannot be drawn.
pub(super) fn charts(report: &Report, alone: &Workloads) -> Result<Vec<(String, String)>> {
    let mut charts = Vec::new();
    for (allocator, series) in &SERIES {
        let mut put = |what: &str, chart: &Chart| charts.push((format!("{allocator}-{what}.svg"), file(chart)));
        put("alone", &by_workload("Time of a run", Quantity::Time, alone, series, |alone| alone.nanoseconds)?);
        #[expect(clippy::cast_precision_loss, reason = "a memory has 65,536 pages at most")]
        put(
            "memory",
            &by_workload("Memory at the end of a run", Quantity::Bytes, alone, series, |alone| {
                alone.pages as f64 * PAGE
            })?,
        );
        put("restores", &restores(report, allocator)?);
    }
    Ok(charts)
}

/// An SVG file that ends with a line break.
fn file(chart: &Chart) -> String {
    format!("{}\n", chart.document())
}

/// A group of bars for each workload.
fn by_workload(
    title: &str,
    quantity: Quantity,
    workloads: &Workloads,
    series: &[&str],
    value: impl Fn(&Alone) -> f64,
) -> Result<Chart> {
    let groups = workloads.iter().map(|(workload, found)| {
        let values = series.iter().map(|name| found.iter().find(|alone| alone.allocator == *name).map(&value));
        Group { label: workload.trim_start_matches("traces/").to_owned(), values: values.collect() }
    });
    let series: Vec<String> = series.iter().map(|name| (*name).to_owned()).collect();
    let title = format!("{title}, by workload: {}", series.join(", "));
    Ok(Bars { title, quantity, scale: Scale::Linear, series, groups: groups.collect() }.draw()?)
}

/// A group of bars for each way of restoring that the allocator has.
fn restores(report: &Report, allocator: &str) -> Result<Chart> {
    let mut groups = Vec::new();
    for (strategy, residue) in WAYS {
        let values: Vec<Option<f64>> = FUNCTIONS
            .iter()
            .map(|function| Some(row(report, allocator, function, strategy, residue)?.times.as_ref()?.invoke.p50))
            .collect();
        let label = match (strategy, residue) {
            ("none", _) => "no restore".to_owned(),
            ("reinstantiate", _) => "new instance".to_owned(),
            (strategy, None) => strategy.to_owned(),
            (strategy, Some(residue)) => format!("{strategy}, {residue}"),
        };
        if values.iter().any(Option::is_some) {
            groups.push(Group { label, values });
        }
    }
    let series = FUNCTIONS.map(str::to_owned).to_vec();
    let title = format!("A call and its restore with {allocator}, by strategy");
    let bars = Bars { title, quantity: Quantity::Time, scale: Scale::Logarithmic, series, groups };
    bars.draw().with_context(|| format!("the report has no times with {allocator}"))
}

#[cfg(test)]
mod tests {
    use super::super::{allocators, report};
    use super::*;

    #[test]
    fn a_chart_has_the_values_of_its_series() {
        let alone = r#"{"allocators": {"traces/kept": [{"allocator": "leaking", "nanoseconds": 1500.0, "pages": 4},
            {"allocator": "talc", "nanoseconds": 48160.0, "pages": 6}]}}"#;
        let alone = allocators::read(alone).unwrap();
        let chart =
            by_workload("Time", Quantity::Time, &alone, &["leaking", "system"], |alone| alone.nanoseconds).unwrap();
        assert!(chart.description().contains("kept: leaking 1.5 us"), "{}", chart.description());
        assert!(!chart.description().contains("talc"), "{}", chart.description());
        let report = report::read(report::tests::REPORT).unwrap();
        let chart = restores(&report, "system").unwrap();
        assert!(chart.description().contains("full-copy: calc_ordered_items 12.3 us"), "{}", chart.description());
        assert!(restores(&report, "leaking").is_err());
    }
}
