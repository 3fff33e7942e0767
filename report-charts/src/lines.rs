//! Values over a count.

use crate::canvas::{Frame, LINE, Side, WIDTH, draw, legend_lines};
use crate::ticks::Axis;
use crate::{Chart, DrawError, Quantity, Scale};

/// A line.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// Its name.
    pub name: String,
    /// Its colour, from 0: lines of one colour belong together.
    pub colour: usize,
    /// Whether it is dashed.
    pub is_dashed: bool,
    /// Its points: count and value, in the order of the counts.
    pub points: Vec<(f64, f64)>,
}

/// Lines over a common count, such as memory over calls. Both axes begin at zero.
#[derive(Debug, Clone, PartialEq)]
pub struct Lines {
    /// The title.
    pub title: String,
    /// What is counted, such as `calls`.
    pub count: String,
    /// The kind of values.
    pub quantity: Quantity,
    /// The lines.
    pub lines: Vec<Line>,
}

/// Height of the part in which lines are drawn.
const HEIGHT: i32 = 220;

impl Lines {
    /// Draws the chart.
    ///
    /// # Errors
    /// [`DrawError::Empty`] when there is no point.
    pub fn draw(&self) -> Result<Chart, DrawError> {
        let is_drawn = |(count, value): &&(f64, f64)| count.is_finite() && value.is_finite();
        let points = || self.lines.iter().flat_map(|line| line.points.iter().filter(is_drawn));
        let empty = || DrawError::Empty { title: self.title.clone() };
        let counts = Axis::new(points().map(|(count, _)| *count), Quantity::Count, Scale::Linear, 8);
        let values = Axis::new(points().map(|(_, value)| *value), self.quantity, Scale::Linear, 5);
        let (counts, values) = counts.zip(values).ok_or_else(empty)?;
        let names: Vec<String> = self.lines.iter().map(|line| line.name.clone()).collect();
        let top = LINE * (1 + legend_lines(&names)) + 10;
        let frame = Frame { left: 72, right: WIDTH - 36, top, bottom: top + HEIGHT };
        draw(&self.title, &self.describe(), frame.bottom + 10 + LINE * 2, |pen| {
            let looks: Vec<_> = self.lines.iter().map(|line| (line.colour, line.is_dashed)).collect();
            pen.legend_of_lines(&names, &looks, LINE)?;
            pen.bottom_axis(&counts, frame, |count| Quantity::Count.show(count), &self.count)?;
            for tick in &values.ticks {
                let y = frame.y(values.place(*tick));
                pen.grid((frame.left, y), (frame.right, y))?;
                pen.label((frame.left - 8, y), Side::End, &self.quantity.show(*tick))?;
            }
            for line in &self.lines {
                let place =
                    |(count, value): &(f64, f64)| (frame.x(counts.place(*count)), frame.y(values.place(*value)));
                let path: Vec<_> = line.points.iter().filter(is_drawn).map(place).collect();
                if let Some(end) = path.last().copied() {
                    pen.stroke(path, line.colour, line.is_dashed)?;
                    pen.dot(end, line.colour)?;
                }
            }
            Ok(())
        })
    }

    fn describe(&self) -> String {
        let line = |line: &Line| match (line.points.first(), line.points.last()) {
            (Some((from, first)), Some((to, last))) => format!(
                "{}: {} at {} {}, {} at {}",
                line.name,
                self.quantity.show(*first),
                Quantity::Count.show(*from),
                self.count,
                self.quantity.show(*last),
                Quantity::Count.show(*to)
            ),
            _ => format!("{}: no value", line.name),
        };
        self.lines.iter().map(line).collect::<Vec<_>>().join("; ")
    }
}
