//! Charts of times by dirty bytes, for the book.

use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::prelude::*;

/// What is drawn beside others: the lines of one memory size.
#[derive(Debug)]
pub struct Panel {
    /// What it shows.
    pub title: String,
    /// Its lines.
    pub lines: Vec<Line>,
}

/// What one strategy costs.
#[derive(Debug)]
pub struct Line {
    /// Its name.
    pub name: &'static str,
    /// Dirty bytes, at least 1, and nanoseconds.
    pub points: Vec<(f64, f64)>,
}

/// Panels side by side.
const COLUMNS: usize = 4;

/// Colours that differ for readers who do not see red or green (Okabe and Ito).
const COLOURS: [RGBColor; 4] =
    [RGBColor(213, 94, 0), RGBColor(128, 128, 128), RGBColor(0, 114, 178), RGBColor(0, 158, 115)];

/// Draws the panels into an SVG file, on logarithmic scales that are the same for all.
///
/// # Errors
/// The file cannot be written.
pub fn draw(panels: &[Panel], path: &Path) -> Result<()> {
    let points = || panels.iter().flat_map(|panel| &panel.lines).flat_map(|line| &line.points);
    let least = points().map(|(_, ns)| *ns).fold(f64::INFINITY, f64::min);
    let most = points().map(|(_, ns)| *ns).fold(1.0, f64::max);
    let widest = points().map(|(bytes, _)| *bytes).fold(2.0, f64::max);
    let rows = u32::try_from(panels.len().div_ceil(COLUMNS))?;
    let root = SVGBackend::new(path, (1280, 340 * rows.max(1))).into_drawing_area();
    root.fill(&WHITE).map_err(failed)?;
    for (area, panel) in root.split_evenly((rows.max(1) as usize, COLUMNS)).iter().zip(panels) {
        draw_panel(area, panel, (LEAST_BYTES, widest * 1.5), (least / 1.5, most * 1.5))?;
    }
    root.present().map_err(failed)
}

/// Fewer dirty bytes than these are drawn as these: a logarithmic scale has no zero.
const LEAST_BYTES: f64 = 512.0;

fn draw_panel(
    area: &DrawingArea<SVGBackend<'_>, Shift>,
    panel: &Panel,
    (from, to): (f64, f64),
    (least, most): (f64, f64),
) -> Result<()> {
    let mut chart = ChartBuilder::on(area)
        .caption(&panel.title, ("sans-serif", 16))
        .margin(8)
        .x_label_area_size(36)
        .y_label_area_size(64)
        .build_cartesian_2d((from..to).log_scale(), (least..most).log_scale())
        .map_err(failed)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .x_labels(5)
        .x_desc("dirty bytes")
        .x_label_formatter(&|bytes| size(*bytes))
        .y_label_formatter(&|ns| crate::ratios::time(*ns))
        .draw()
        .map_err(failed)?;
    for (line, colour) in panel.lines.iter().zip(COLOURS) {
        let points = || line.points.iter().map(|(bytes, ns)| (bytes.max(LEAST_BYTES), *ns));
        chart
            .draw_series(LineSeries::new(points(), colour.stroke_width(2)))
            .map_err(failed)?
            .label(line.name)
            .legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 16, y)], colour.stroke_width(2)));
        chart.draw_series(points().map(|point| Circle::new(point, 2, colour.filled()))).map_err(failed)?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.8))
        .label_font(("sans-serif", 12))
        .draw()
        .map_err(failed)
}

fn size(bytes: f64) -> String {
    match bytes {
        small if small < 1024.0 => format!("{small:.0}"),
        kib if kib < 1_048_576.0 => format!("{:.0} KiB", kib / 1024.0),
        mib => format!("{:.0} MiB", mib / 1_048_576.0),
    }
}

fn failed(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("drawing a chart: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_has_every_panel_and_every_line() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let line = |name| Line { name, points: vec![(1.0, 30.0), (1e6, 20_000.0)] };
        let panel = |title: &str| Panel { title: title.to_owned(), lines: vec![line("one-way"), line("another-way")] };
        draw(&[panel("small"), panel("large")], file.path()).unwrap();
        let svg = std::fs::read_to_string(file.path()).unwrap();
        for wanted in ["<svg", "small", "large", "one-way", "another-way"] {
            assert!(svg.contains(wanted), "{wanted}");
        }
        assert!(svg.matches("<polyline").count() >= 4, "{svg}");
    }
}
