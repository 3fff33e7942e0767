//! A drawing in pixels, and the chart that comes of it.

use std::fmt::Write as _;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::palette::{INK, LINES, dashed, series, style, with_variables};
use crate::ticks::Axis;

/// Width of a chart, in its own units.
pub(crate) const WIDTH: i32 = 720;

/// Pixels of a line in a legend.
const LEGEND_LINE: i32 = 22;

/// Height of a line of text.
pub(crate) const LINE: i32 = 18;

/// Size of letters.
const LETTERS: i32 = 12;

/// How wide a letter is on average, in a wide font.
const LETTER: f64 = 7.3;

/// Size of a title's letters.
const TITLE_LETTERS: i32 = 15;

/// Letters of a label that are drawn.
const LABEL: usize = 36;

/// Letters of a title that are drawn.
const TITLE: usize = 84;

/// Letters of a description, about: what reads it aloud reads all of it.
const DESCRIPTION: usize = 4_000;

/// Why a chart cannot be drawn.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DrawError {
    /// There is nothing to draw: no value, or none that the scale has.
    #[error("the chart `{title}` has no values")]
    Empty {
        /// Its title.
        title: String,
    },
    /// The drawing library failed.
    #[error("the chart `{title}` cannot be drawn: {reason}")]
    Drawing {
        /// Its title.
        title: String,
        /// The library's reason.
        reason: String,
    },
}

/// A chart that is drawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chart {
    title: String,
    description: String,
    size: (i32, i32),
    /// The elements inside the SVG element.
    elements: String,
}

impl Chart {
    /// The title.
    #[must_use]
    pub fn title(&self) -> &str {
        &self.title
    }

    /// The values in words.
    #[must_use]
    pub fn description(&self) -> &str {
        &self.description
    }

    /// The chart as an `svg` element for an HTML page. The page's [`style`] gives it its colours.
    #[must_use]
    pub fn inline(&self) -> String {
        self.element("")
    }

    /// The chart as an SVG file, which follows the reader's preference for light or dark.
    #[must_use]
    pub fn document(&self) -> String {
        self.element(&format!(
            "<style>:root{{color:#1a1c20;background:#fff}}\
             @media (prefers-color-scheme:dark){{:root{{color:#e4e6ea;background:#1b1c20}}}}{}</style>",
            style()
        ))
    }

    fn element(&self, style: &str) -> String {
        let (width, height) = self.size;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"chart\" role=\"img\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" font-family=\"system-ui,sans-serif\" font-size=\"{LETTERS}\" \
             fill=\"currentColor\" aria-label=\"{}. {}\">",
            escaped(&self.title),
            escaped(&self.description)
        );
        // Writing to a string cannot fail.
        let _ = write!(svg, "<title>{}</title>{style}{}</svg>", escaped(&self.title), self.elements);
        svg
    }
}

/// Draws a chart of this height with its title on top.
pub(crate) fn draw(
    title: &str,
    description: &str,
    height: i32,
    paint: impl FnOnce(&Pen<'_, '_>) -> Result<(), DrawError>,
) -> Result<Chart, DrawError> {
    let size = (WIDTH, height.max(LINE));
    let mut svg = String::new();
    let area = SVGBackend::with_string(&mut svg, (size.0.unsigned_abs(), size.1.unsigned_abs())).into_drawing_area();
    let pen = Pen { area: &area, title };
    pen.text((0, 9), Side::Start, TITLE_LETTERS, &cut(title, TITLE))?;
    paint(&pen)?;
    area.present().map_err(|error| pen.failed(&error))?;
    drop(area);
    Ok(Chart { title: printable(title), description: cut(description, DESCRIPTION), size, elements: elements(&svg) })
}

/// The elements of a drawing without the element around them, small.
fn elements(svg: &str) -> String {
    let inside = svg.split_once('>').map_or("", |(_, inside)| inside);
    let inside = inside.rsplit_once("</svg>").map_or(inside, |(inside, _)| inside);
    let mut inside = with_variables(inside).replace('\n', "");
    // What the element around them says, or what is so anyway.
    let size = |letters: i32| format!(" font-size=\"{}\"", library_size(letters));
    let title = format!(" font-size=\"{TITLE_LETTERS}\"");
    let said = [
        (" opacity=\"1\"", ""),
        (" stroke=\"none\"", ""),
        (" stroke-width=\"1\"", ""),
        (" font-family=\"sans-serif\"", ""),
        (" fill=\"currentColor\"", ""),
        (&size(LETTERS), ""),
        (&size(TITLE_LETTERS), &title),
    ];
    for (from, to) in said {
        inside = inside.replace(from, to);
    }
    inside
}

/// A size of letters as the library writes it.
fn library_size(letters: i32) -> f64 {
    f64::from(letters) / 1.24
}

/// On which side of a point a text stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// The text begins there.
    Start,
    /// Its middle is there.
    Middle,
    /// It ends there.
    End,
}

/// Draws in pixels from the upper left corner.
pub(crate) struct Pen<'a, 's> {
    area: &'a DrawingArea<SVGBackend<'s>, Shift>,
    title: &'a str,
}

impl Pen<'_, '_> {
    fn failed(&self, reason: &impl ToString) -> DrawError {
        DrawError::Drawing { title: self.title.to_owned(), reason: reason.to_string() }
    }

    /// A text whose middle is at the height of the point.
    pub(crate) fn text(&self, at: (i32, i32), side: Side, letters: i32, text: &str) -> Result<(), DrawError> {
        let side = match side {
            Side::Start => HPos::Left,
            Side::Middle => HPos::Center,
            Side::End => HPos::Right,
        };
        let font = ("sans-serif", letters).into_font().color(&INK).pos(Pos::new(side, VPos::Center));
        self.area.draw(&Text::new(printable(text), at, font)).map_err(|error| self.failed(&error))
    }

    /// A label, cut where it is long.
    pub(crate) fn label(&self, at: (i32, i32), side: Side, text: &str) -> Result<(), DrawError> {
        self.text(at, side, LETTERS, &cut(text, LABEL))
    }

    /// A line through these points in the colour of a series.
    pub(crate) fn line(&self, points: Vec<(i32, i32)>, index: usize, width: u32) -> Result<(), DrawError> {
        let path = PathElement::new(points, series(index).stroke_width(width));
        self.area.draw(&path).map_err(|error| self.failed(&error))
    }

    /// A line through these points, dashed or not.
    pub(crate) fn stroke(&self, points: Vec<(i32, i32)>, index: usize, is_dashed: bool) -> Result<(), DrawError> {
        let colour = if is_dashed { dashed(index) } else { series(index) };
        let path = PathElement::new(points, colour.stroke_width(2));
        self.area.draw(&path).map_err(|error| self.failed(&error))
    }

    /// Names of lines with their looks: colour, and whether they are dashed.
    pub(crate) fn legend_of_lines(&self, names: &[String], looks: &[(usize, bool)], top: i32) -> Result<(), DrawError> {
        let places = legend(names);
        for ((name, (x, line)), (index, is_dashed)) in names.iter().zip(places).zip(looks).filter(|_| names.len() > 1) {
            let y = top + line * LINE + LINE / 2;
            self.stroke(vec![(x, y), (x + LEGEND_LINE, y)], *index, *is_dashed)?;
            self.label((x + LEGEND_LINE + 5, y), Side::Start, name)?;
        }
        Ok(())
    }

    /// A line of the grid.
    pub(crate) fn grid(&self, from: (i32, i32), to: (i32, i32)) -> Result<(), DrawError> {
        let path = PathElement::new(vec![from, to], LINES.stroke_width(1));
        self.area.draw(&path).map_err(|error| self.failed(&error))
    }

    /// A filled rectangle.
    pub(crate) fn bar(&self, from: (i32, i32), to: (i32, i32), index: usize) -> Result<(), DrawError> {
        let bar = Rectangle::new([from, to], series(index).filled());
        self.area.draw(&bar).map_err(|error| self.failed(&error))
    }

    /// A dot.
    pub(crate) fn dot(&self, at: (i32, i32), index: usize) -> Result<(), DrawError> {
        let dot = Circle::new(at, 4, series(index).filled());
        self.area.draw(&dot).map_err(|error| self.failed(&error))
    }

    /// A vertical grid with labels below it, and the name of the axis.
    pub(crate) fn bottom_axis(
        &self,
        axis: &Axis,
        frame: Frame,
        show: impl Fn(f64) -> String,
        name: &str,
    ) -> Result<(), DrawError> {
        self.grid((frame.left, frame.bottom), (frame.right, frame.bottom))?;
        for tick in &axis.ticks {
            let x = frame.x(axis.place(*tick));
            self.grid((x, frame.top), (x, frame.bottom))?;
            self.label((x, frame.bottom + 10), Side::Middle, &show(*tick))?;
        }
        self.label((i32::midpoint(frame.left, frame.right), frame.bottom + 10 + LINE), Side::Middle, name)
    }

    /// Names of series with their colours, from `top` on; nothing for a single one.
    pub(crate) fn legend(&self, names: &[String], top: i32) -> Result<(), DrawError> {
        for (index, (name, (x, line))) in names.iter().zip(legend(names)).enumerate().filter(|_| names.len() > 1) {
            let y = top + line * LINE + LINE / 2;
            self.bar((x, y - 5), (x + 10, y + 5), index)?;
            self.label((x + 15, y), Side::Start, name)?;
        }
        Ok(())
    }
}

/// Where values are drawn.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame {
    pub(crate) left: i32,
    pub(crate) right: i32,
    pub(crate) top: i32,
    pub(crate) bottom: i32,
}

impl Frame {
    /// The pixel of a place between 0 (left) and 1 (right).
    pub(crate) fn x(self, place: f64) -> i32 {
        self.left + pixels(place * f64::from(self.right - self.left))
    }

    /// The pixel of a place between 0 (bottom) and 1 (top).
    pub(crate) fn y(self, place: f64) -> i32 {
        self.bottom - pixels(place * f64::from(self.bottom - self.top))
    }
}

/// About how many pixels a label takes.
pub(crate) fn width(label: &str) -> i32 {
    // A label has a few dozen letters at most.
    let letters = u32::try_from(label.chars().count().min(LABEL)).unwrap_or_default();
    pixels(f64::from(letters) * LETTER)
}

/// Lines that a legend takes.
pub(crate) fn legend_lines(names: &[String]) -> i32 {
    if names.len() < 2 { 0 } else { legend(names).last().map_or(0, |(_, line)| line + 1) }
}

/// Where each name of a legend begins: pixels from the left, and the line.
fn legend(names: &[String]) -> Vec<(i32, i32)> {
    let (mut x, mut line) = (0, 0);
    let mut places = Vec::new();
    for name in names {
        let wide = LEGEND_LINE + 5 + width(name) + 18;
        if x > 0 && x + wide > WIDTH {
            (x, line) = (0, line + 1);
        }
        places.push((x, line));
        x += wide;
    }
    places
}

#[expect(clippy::cast_possible_truncation, reason = "a place within the drawing")]
fn pixels(length: f64) -> i32 {
    length.round() as i32
}

/// Text that fits into `most` letters.
fn cut(text: &str, most: usize) -> String {
    let text = printable(text);
    if text.chars().count() <= most {
        return text;
    }
    text.chars().take(most.saturating_sub(1)).chain(['\u{2026}']).collect()
}

/// Without control characters, which XML does not have.
fn printable(text: &str) -> String {
    text.chars().map(|char| if char.is_control() { '\u{fffd}' } else { char }).collect()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_outside_stays_text() {
        let bad = "<script>alert(\"x\")</script>\u{1b}&";
        let chart = draw(bad, bad, 60, |pen| pen.label((0, 30), Side::Start, bad)).unwrap();
        for svg in [chart.inline(), chart.document()] {
            assert!(!svg.contains("<script") && !svg.contains("alert(\""), "{svg}");
            assert!(!svg.contains(|char: char| char.is_control()), "{svg}");
            assert_eq!(svg.matches("&lt;script&gt;").count(), 5, "{svg}");
        }
    }

    #[test]
    fn letters_have_their_size() {
        let chart = draw("title", "", 60, |pen| pen.label((0, 30), Side::Start, "label")).unwrap();
        let svg = chart.inline();
        let sizes: Vec<_> = svg.split("font-size=\"").skip(1).map(|part| part.split('"').next().unwrap()).collect();
        assert_eq!(sizes, ["12", "15"], "{svg}");
    }

    #[test]
    fn a_long_legend_has_several_lines() {
        let names: Vec<String> = (0..30).map(|index| format!("allocator {index}, some strategy")).collect();
        assert!(legend_lines(&names) > 3);
        assert!(legend(&names).iter().zip(&names).all(|((x, _), name)| x + LEGEND_LINE + 5 + width(name) <= WIDTH));
        assert_eq!((legend_lines(&names[..1]), legend_lines(&[])), (0, 0));
    }

    #[test]
    fn a_long_label_is_cut() {
        assert_eq!(cut("short", 5), "short");
        assert_eq!(cut("longer", 5), "long\u{2026}");
    }
}
