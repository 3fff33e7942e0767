//! A value with its spread, for each group and series.

use crate::canvas::{Frame, LINE, Side, WIDTH, draw, legend_lines, width};
use crate::ticks::Axis;
use crate::{Chart, DrawError, Group, Quantity, Scale};

/// A value and its spread.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    /// The lower end.
    pub low: f64,
    /// The value itself, such as the median.
    pub middle: f64,
    /// The upper end.
    pub high: f64,
}

/// A dot for each value with a line over its spread, group below group.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranges {
    /// The title.
    pub title: String,
    /// The kind of values.
    pub quantity: Quantity,
    /// The division of the axis.
    pub scale: Scale,
    /// Names of the series.
    pub series: Vec<String>,
    /// The groups, from top to bottom.
    pub groups: Vec<Group<Range>>,
}

impl Ranges {
    /// Draws the chart.
    ///
    /// # Errors
    /// [`DrawError::Empty`] when there is no value that the scale has.
    pub fn draw(&self) -> Result<Chart, DrawError> {
        let ranges = || self.groups.iter().flat_map(|group| group.values.iter().flatten());
        let values = ranges().flat_map(|range| [range.low, range.middle, range.high]);
        let axis = Axis::new(values, self.quantity, self.scale, 7)
            .ok_or_else(|| DrawError::Empty { title: self.title.clone() })?;
        let rows = Rows::new(&self.groups, &self.series, 9);
        draw(&self.title, &self.describe(), rows.height(), |pen| {
            pen.legend(&self.series, LINE)?;
            pen.bottom_axis(&axis, rows.frame, |value| self.quantity.show(value), self.quantity.axis())?;
            for (index, group) in self.groups.iter().enumerate() {
                pen.label((rows.frame.left - 8, rows.middle(index)), Side::End, &group.label)?;
                for (series, range) in group.values.iter().enumerate() {
                    let Some(range) = range.filter(|range| range.middle.is_finite()) else { continue };
                    let y = rows.lane(index, series);
                    let x = |value: f64| rows.frame.x(axis.place(value));
                    let (low, high) = (x(range.low), x(range.high));
                    // A line with an upright stroke at either end, in one go.
                    let ends = [(low, y - 3), (low, y + 3), (low, y), (high, y), (high, y - 3), (high, y + 3)];
                    pen.line(ends.to_vec(), series, 2)?;
                    pen.dot((x(range.middle), y), series)?;
                }
            }
            Ok(())
        })
    }

    fn describe(&self) -> String {
        let show = |value| self.quantity.show(value);
        let one = |(index, range): (usize, &Option<Range>)| {
            let Range { low, middle, high } = (*range)?;
            let name = self.series.get(index).map(|name| format!("{name} ")).unwrap_or_default();
            Some(format!("{name}{} ({} to {})", show(middle), show(low), show(high)))
        };
        describe(&self.groups, one)
    }
}

/// Groups in words.
pub(crate) fn describe<T>(groups: &[Group<T>], one: impl Fn((usize, &Option<T>)) -> Option<String>) -> String {
    let group = |group: &Group<T>| {
        let values: Vec<String> = group.values.iter().enumerate().filter_map(&one).collect();
        format!("{}: {}", group.label, if values.is_empty() { "no value".to_owned() } else { values.join(", ") })
    };
    groups.iter().map(group).collect::<Vec<_>>().join("; ")
}

/// Rows of a chart whose labels stand at the left.
pub(crate) struct Rows {
    pub(crate) frame: Frame,
    /// Pixels of one series in a row.
    lane: i32,
    lanes: i32,
}

impl Rows {
    /// Pixels between two rows.
    const GAP: i32 = 6;

    pub(crate) fn new<T>(groups: &[Group<T>], series: &[String], lane: i32) -> Self {
        let count = |number: usize| i32::try_from(number).unwrap_or(i32::MAX / 1024);
        let lanes = count(groups.iter().map(|group| group.values.len()).max().unwrap_or(1).max(1));
        let lane = if lanes == 1 { LINE - 8 } else { lane };
        let left = groups.iter().map(|group| width(&group.label)).max().unwrap_or_default() + 12;
        let top = LINE * (1 + legend_lines(series)) + 6;
        let bottom = top + count(groups.len()).saturating_mul(lane * lanes + Self::GAP);
        Self { frame: Frame { left, right: WIDTH - 36, top, bottom }, lane, lanes }
    }

    /// Height of the chart with its axis.
    pub(crate) fn height(&self) -> i32 {
        self.frame.bottom + 10 + LINE * 2
    }

    fn row(&self, index: usize) -> i32 {
        let index = i32::try_from(index).unwrap_or_default();
        self.frame.top + Self::GAP / 2 + index * (self.lane * self.lanes + Self::GAP)
    }

    /// The middle of a row.
    pub(crate) fn middle(&self, index: usize) -> i32 {
        self.row(index) + self.lane * self.lanes / 2
    }

    /// The middle of a series in a row.
    pub(crate) fn lane(&self, index: usize, series: usize) -> i32 {
        let series = i32::try_from(series).unwrap_or_default();
        self.row(index) + self.lane * series + self.lane / 2
    }

    /// Half the height of a bar.
    pub(crate) fn half(&self) -> i32 {
        self.lane / 2 - 1
    }
}
