//! Memory: how it grows over many calls, and its map.

use maud::{Markup, html};

use guest_host::snapshot::RegionKind;
use host_harness::measure::{MapCell, MapRegion, MapWay, MemoryMap, MemorySeries, NO_RESTORE};
use host_harness::report::MeasureReport;
use report_charts::{Chart, Line, Lines, Part, Quantity, Strip};

use super::charts::{Names, boxed};

/// The charts of memory over calls, by function.
pub(super) fn series<'r>(report: &'r MeasureReport, names: &Names<'r>) -> Vec<(&'r str, Chart)> {
    let mut functions: Vec<&str> = Vec::new();
    for series in &report.series {
        if !functions.contains(&series.function.as_str()) {
            functions.push(&series.function);
        }
    }
    let chart = |function: &'r str| {
        let of_function: Vec<_> = report.series.iter().filter(|series| series.function == function).collect();
        let most = of_function.iter().filter_map(|series| series.points.last()).map(|point| point.calls).max()?;
        let mut guests: Vec<&str> = Vec::new();
        let mut lines = Vec::new();
        for series in of_function {
            if !guests.contains(&series.guest.as_str()) {
                guests.push(&series.guest);
            }
            let colour = guests.iter().position(|guest| *guest == series.guest).unwrap_or_default();
            lines.push(line(series, names.name(&series.guest), colour));
        }
        let title = format!("Memory over {} calls of {function}", Quantity::Count.show(float(most)));
        let chart = Lines { title, count: "calls".to_owned(), quantity: Quantity::Bytes, lines };
        Some((function, chart.draw().ok()?))
    };
    functions.into_iter().filter_map(chart).collect()
}

fn line(series: &MemorySeries, name: &str, colour: usize) -> Line {
    let is_dashed = series.strategy == NO_RESTORE;
    let way = if is_dashed { "no restore" } else { &series.strategy };
    let mut name = if name.is_empty() { way.to_owned() } else { format!("{name}: {way}") };
    if let Some(failure) = &series.failure {
        name = format!("{name} (call {}: {})", failure.call, failure.cause);
    }
    let points = series.points.iter().map(|point| (float(point.calls), float(point.memory_bytes))).collect();
    Line { name, colour, is_dashed, points }
}

/// The maps of all guests, of which the first is shown from the start.
pub(super) fn maps(report: &MeasureReport) -> Option<Markup> {
    (!report.memory_maps.is_empty()).then(|| {
        html! {
            p.remark {
                "After one call and its restore, compared byte by byte with the snapshot. Put back: changed by the call, and again \
                 as it was. Left: still different."
            }
            @for (index, map) in report.memory_maps.iter().enumerate() {
                details open[index == 0] { summary { (map.guest) ", after " (map.function) } (one(map)) }
            }
        }
    })
}

fn one(map: &MemoryMap) -> Markup {
    let mut kinds: Vec<RegionKind> = Vec::new();
    for MapRegion { region, .. } in &map.regions {
        if !kinds.contains(region) {
            kinds.push(*region);
        }
    }
    let part = |region: &MapRegion| Part {
        name: region.region.name().to_owned(),
        size: float(region.end.saturating_sub(region.start)),
    };
    let strip = Strip {
        title: format!("Memory of {} by address", map.guest),
        quantity: Quantity::Bytes,
        parts: map.regions.iter().map(part).collect(),
    };
    html! {
        @if let Ok(chart) = strip.draw() { (boxed(&chart)) }
        .wide tabindex="0" role="region" aria-label={ "Table: memory of " (map.guest) } {
            table.map {
                thead { tr {
                    th scope="col" { "restored by" }
                    @for kind in &kinds { th scope="col" { (kind.name()) br; span.faint { (place(map, *kind)) } } }
                    th.figure scope="col" { "bytes written" }
                } }
                tbody { @for way in &map.ways { tr {
                    td.word { (name(way)) }
                    @for kind in &kinds {
                        @let (look, text) = cell(way, *kind);
                        td class=[look] { (text) }
                    }
                    td.figure { (way.restored_bytes.map_or_else(|| "-".to_owned(), |bytes| Quantity::Bytes.show(float(bytes)))) }
                } } }
            }
        }
    }
}

/// Size of the regions of a kind together, and the address of the first one.
fn place(map: &MemoryMap, kind: RegionKind) -> String {
    let regions = || map.regions.iter().filter(|region| region.region == kind);
    let size = regions().map(|region| region.end.saturating_sub(region.start)).sum();
    let start = regions().map(|region| region.start).min().unwrap_or_default();
    format!("{} at {start:#x}", Quantity::Bytes.show(float(size)))
}

fn name(way: &MapWay) -> String {
    match (&way.residue, way.strategy.as_str()) {
        (Some(residue), strategy) => format!("{strategy}, {residue}"),
        (None, NO_RESTORE) => "no restore".to_owned(),
        (None, strategy) => strategy.to_owned(),
    }
}

/// The look and the text of a cell.
fn cell(way: &MapWay, kind: RegionKind) -> (Option<&'static str>, String) {
    if way.regions.is_empty() {
        return (Some("back"), "new".to_owned());
    }
    let show = |bytes: u64| Quantity::Bytes.show(float(bytes));
    match way.regions.iter().find(|cell| cell.region == kind) {
        None | Some(MapCell { put_back: 0, left: 0, .. }) => (None, "as it was".to_owned()),
        Some(MapCell { put_back, left: 0, .. }) => (Some("back"), format!("put back {}", show(*put_back))),
        Some(MapCell { put_back: 0, left, .. }) => (Some("left"), format!("left {}", show(*left))),
        Some(MapCell { put_back, left, .. }) => {
            (Some("left"), format!("left {}, put back {}", show(*left), show(*put_back)))
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "bytes and calls of a chart")]
fn float(number: u64) -> f64 {
    number as f64
}
