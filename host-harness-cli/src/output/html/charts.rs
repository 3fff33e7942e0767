//! The charts of a measurement.

use maud::{Markup, PreEscaped, html};

use super::memory;
use host_harness::measure::{Row, Spread};
use host_harness::report::MeasureReport;
use report_charts::{Bars, Chart, DrawError, Group, Quantity, Range, Ranges, Scale};

/// Charts of a kind that are shown from the start; those of the other functions unfold.
const OPEN: usize = 1;

/// Charts under one heading.
pub(super) struct Part {
    pub(super) title: String,
    pub(super) body: Markup,
}

/// All charts for which there are values.
pub(super) fn of(report: &MeasureReport) -> Vec<Part> {
    let names = Names::of(report);
    let times = per_function(report, |function, rows| times(function, rows, &names));
    let restored = per_function(report, |function, rows| restored(function, rows, &names));
    let mut parts = Vec::new();
    if !times.is_empty() {
        let remark = "Dot: median. Line: up to the 99th percentile.";
        parts.push(Part { title: "Time of calls and restores".to_owned(), body: unfolding(&times, Some(remark)) });
    }
    if !restored.is_empty() {
        parts.push(Part { title: "Bytes that a restore writes".to_owned(), body: unfolding(&restored, None) });
    }
    let series = memory::series(report, &names);
    if !series.is_empty() {
        let remark = "Linear memory of one instance. Dashed: never restored.";
        parts.push(Part { title: "Memory over many calls".to_owned(), body: unfolding(&series, Some(remark)) });
    }
    if let Some(body) = memory::maps(report) {
        parts.push(Part { title: "Map of the memory".to_owned(), body });
    }
    if let Ok(chart) = sizes(report) {
        parts.push(Part { title: "Size of the modules".to_owned(), body: boxed(&chart) });
    }
    parts
}

/// A chart for each function that has values.
fn per_function(
    report: &MeasureReport,
    draw: impl Fn(&str, &[&Row]) -> Result<Chart, DrawError>,
) -> Vec<(&str, Chart)> {
    let chart = |function| {
        let rows: Vec<&Row> = report.rows.iter().filter(|row| row.function == function).collect();
        Some((function, draw(function, &rows).ok()?))
    };
    report.functions().into_iter().filter_map(chart).collect()
}

/// Short names of guests: the allocator where that tells them apart, nothing where there is one guest.
pub(super) struct Names<'r>(Vec<(&'r str, &'r str)>);

impl<'r> Names<'r> {
    fn of(report: &'r MeasureReport) -> Self {
        let guests = &report.guests;
        let is_unique = guests
            .iter()
            .enumerate()
            .all(|(at, guest)| guests[..at].iter().all(|other| other.allocator != guest.allocator));
        let name = |allocator: &'r str, guest: &'r str| match guests.len() {
            1 => "",
            _ if is_unique => allocator,
            _ => guest,
        };
        Self(guests.iter().map(|guest| (guest.guest.as_str(), name(&guest.allocator, &guest.guest))).collect())
    }

    /// The short name of a guest.
    pub(super) fn name<'g>(&self, guest: &'g str) -> &'g str
    where
        'r: 'g,
    {
        self.0.iter().find(|(known, _)| *known == guest).map_or(guest, |(_, name)| name)
    }

    /// The label of a row.
    fn label(&self, row: &Row) -> String {
        let name = self.name(&row.guest);
        let way = if row.strategy == host_harness::measure::NO_RESTORE { "no restore".to_owned() } else { row.way() };
        if name.is_empty() { way } else { format!("{name}: {way}") }
    }
}

fn times(function: &str, rows: &[&Row], names: &Names<'_>) -> Result<Chart, DrawError> {
    let range = |spread: Spread| Range { low: spread.p50, middle: spread.p50, high: spread.p99 };
    let group = |row: &&Row| {
        let times = row.times.as_ref()?;
        // Where the parts are not known apart, there is the whole.
        let call = times.call.unwrap_or(times.invoke);
        Some(Group { label: names.label(row), values: vec![Some(range(call)), times.restore.map(range)] })
    };
    let chart = Ranges {
        title: format!("Time of {function} and of its restore"),
        quantity: Quantity::Time,
        scale: Scale::Logarithmic,
        series: vec!["call".to_owned(), "restore".to_owned()],
        groups: rows.iter().filter_map(group).collect(),
    };
    chart.draw()
}

fn restored(function: &str, rows: &[&Row], names: &Names<'_>) -> Result<Chart, DrawError> {
    let group = |row: &&Row| {
        let bytes = row.counts.as_ref()?.restored_bytes?;
        Some(Group { label: names.label(row), values: vec![Some(bytes.0)] })
    };
    let chart = Bars {
        title: format!("Bytes that a restore writes after {function}"),
        quantity: Quantity::Bytes,
        scale: Scale::Linear,
        series: vec!["bytes".to_owned()],
        groups: rows.iter().filter_map(group).collect(),
    };
    chart.draw()
}

fn sizes(report: &MeasureReport) -> Result<Chart, DrawError> {
    #[expect(clippy::cast_precision_loss, reason = "sizes of modules")]
    let group = |guest: &host_harness::report::GuestSummary| Group {
        label: guest.guest.clone(),
        values: vec![Some(guest.wasm_bytes as f64)],
    };
    let chart = Bars {
        title: "Size without custom sections".to_owned(),
        quantity: Quantity::Bytes,
        scale: Scale::Linear,
        series: vec!["bytes".to_owned()],
        groups: report.guests.iter().map(group).collect(),
    };
    chart.draw()
}

/// A chart in a box that scrolls by itself.
pub(super) fn boxed(chart: &Chart) -> Markup {
    html! { .chart-box tabindex="0" role="region" aria-label={ "Chart: " (chart.title()) } { (PreEscaped(chart.inline())) } }
}

/// Charts by function, of which the first are shown from the start.
fn unfolding(charts: &[(&str, Chart)], remark: Option<&str>) -> Markup {
    html! {
        @if let Some(remark) = remark { p.remark { (remark) } }
        @for (index, (function, chart)) in charts.iter().enumerate() {
            @if charts.len() == 1 { (boxed(chart)) } @else {
                details open[index < OPEN] { summary { (function) } (boxed(chart)) }
            }
        }
    }
}
