//! Colours. The drawing library knows opaque colours only, so it draws with markers, which become CSS variables.

use std::fmt::Write as _;

use plotters::style::RGBColor;

/// Number of colours that differ. Series beyond them begin again with the first.
pub const COLOURS: usize = 8;

/// A background for which colours are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Theme {
    /// A light background.
    Light,
    /// A dark background.
    Dark,
}

/// Colours in the style of Okabe and Ito, which differ for readers who do not see red or green. Each has a contrast of
/// at least 3 to 1 against white.
const LIGHT: [&str; COLOURS] = ["#0068a8", "#b35000", "#00785a", "#a03c78", "#5f6000", "#7048c0", "#c02828", "#585858"];

/// The same for dark backgrounds, against #1b1c20.
const DARK: [&str; COLOURS] = ["#5ab8f0", "#f0a040", "#30d0a0", "#e898c8", "#d8d040", "#b8a0f8", "#ff8f80", "#c0c0c0"];

/// Lines of the grid, by theme.
const GRID: [&str; 2] = ["#b8bcc4", "#50545c"];

/// The marker of text.
pub(crate) const INK: RGBColor = RGBColor(1, 2, 3);

/// The marker of the grid.
pub(crate) const LINES: RGBColor = RGBColor(1, 2, 4);

/// The marker of a series.
pub(crate) fn series(index: usize) -> RGBColor {
    // Less than the number of colours.
    RGBColor(1, 3, u8::try_from(index % COLOURS).unwrap_or_default())
}

/// The marker of a series whose line is dashed.
pub(crate) fn dashed(index: usize) -> RGBColor {
    RGBColor(1, 4, series(index).2)
}

/// The declarations of the variables for one theme: `--chart-grid` and `--chart-1` to `--chart-8`.
///
/// ```
/// let dark = report_charts::declarations(report_charts::Theme::Dark);
/// let css = format!("html.coal {{ {dark} }}");
/// assert!(css.contains("--chart-grid:") && css.contains("--chart-8:"));
/// ```
#[must_use]
pub fn declarations(theme: Theme) -> String {
    let (colours, grid) = match theme {
        Theme::Light => (LIGHT, GRID[0]),
        Theme::Dark => (DARK, GRID[1]),
    };
    let mut css = format!("--chart-grid:{grid};");
    for (index, colour) in colours.iter().enumerate() {
        // Writing to a string cannot fail.
        let _ = write!(css, "--chart-{}:{colour};", index + 1);
    }
    css
}

/// CSS rules that define the variables for both themes; the reader's preference decides.
#[must_use]
pub fn style() -> String {
    format!(
        ":root{{{}}}@media (prefers-color-scheme:dark){{:root{{{}}}}}",
        declarations(Theme::Light),
        declarations(Theme::Dark)
    )
}

/// Puts CSS in the place of the markers.
pub(crate) fn with_variables(svg: &str) -> String {
    let hex = |colour: RGBColor| format!("\"#{:02X}{:02X}{:02X}\"", colour.0, colour.1, colour.2);
    let mut text = svg.replace(&hex(INK), "\"currentColor\"");
    text = text.replace(&hex(LINES), &format!("\"var(--chart-grid,{})\"", GRID[0]));
    for (index, light) in LIGHT.iter().enumerate() {
        let colour = format!("\"var(--chart-{},{light})\"", index + 1);
        text = text.replace(&hex(series(index)), &colour);
        text = text.replace(&hex(dashed(index)), &format!("{colour} stroke-dasharray=\"6 4\""));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative luminance, by WCAG 2.
    fn luminance(hex: &str) -> f64 {
        let channel = |at: usize| {
            let value = f64::from(u8::from_str_radix(&hex[at..at + 2], 16).unwrap()) / 255.0;
            if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
    }

    fn contrast(one: &str, other: &str) -> f64 {
        let (one, other) = (luminance(one), luminance(other));
        (one.max(other) + 0.05) / (one.min(other) + 0.05)
    }

    #[test]
    fn every_colour_stands_out_from_its_background() {
        assert!((contrast("#000000", "#ffffff") - 21.0).abs() < 1e-9);
        for (colours, background) in [(LIGHT, "#ffffff"), (DARK, "#1b1c20")] {
            for colour in colours {
                let found = contrast(colour, background);
                assert!(found >= 4.5, "{colour} on {background}: {found}");
            }
        }
    }

    #[test]
    fn markers_become_variables_with_a_fallback() {
        let svg = r##"<rect fill="#010307"/><text fill="#010203"/><line stroke="#010204"/>"##;
        let expected = r##"<rect fill="var(--chart-8,#585858)"/><text fill="currentColor"/><line stroke="var(--chart-grid,#b8bcc4)"/>"##;
        assert_eq!(with_variables(svg), expected);
    }
}
