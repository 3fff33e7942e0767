//! A bar for each group and series.

use crate::canvas::{LINE, Side, draw};
use crate::ranges::{Rows, describe};
use crate::ticks::Axis;
use crate::{Chart, DrawError, Group, Quantity, Scale};

/// Bars with their values, group below group.
#[derive(Debug, Clone, PartialEq)]
pub struct Bars {
    /// The title.
    pub title: String,
    /// The kind of values.
    pub quantity: Quantity,
    /// The division of the axis.
    pub scale: Scale,
    /// Names of the series.
    pub series: Vec<String>,
    /// The groups, from top to bottom.
    pub groups: Vec<Group<f64>>,
}

impl Bars {
    /// Draws the chart.
    ///
    /// # Errors
    /// [`DrawError::Empty`] when there is no value that the scale has.
    pub fn draw(&self) -> Result<Chart, DrawError> {
        let values = self.groups.iter().flat_map(|group| group.values.iter().flatten().copied());
        let axis = Axis::new(values, self.quantity, self.scale, 6)
            .ok_or_else(|| DrawError::Empty { title: self.title.clone() })?;
        let mut rows = Rows::new(&self.groups, &self.series, 13);
        // The value of the longest bar stands behind it.
        rows.frame.right -= 36;
        let show = |value| self.quantity.show(value);
        let one = |(index, value): (usize, &Option<f64>)| {
            let name = self.series.get(index).filter(|_| self.series.len() > 1);
            Some(format!("{}{}", name.map(|name| format!("{name} ")).unwrap_or_default(), show((*value)?)))
        };
        draw(&self.title, &describe(&self.groups, one), rows.height(), |pen| {
            pen.legend(&self.series, LINE)?;
            pen.bottom_axis(&axis, rows.frame, show, self.quantity.axis())?;
            for (index, group) in self.groups.iter().enumerate() {
                pen.label((rows.frame.left - 8, rows.middle(index)), Side::End, &group.label)?;
                for (series, value) in group.values.iter().enumerate() {
                    let Some(value) = value.filter(|value| value.is_finite()) else { continue };
                    let (y, half) = (rows.lane(index, series), rows.half());
                    let end = rows.frame.x(axis.place(value)).max(rows.frame.left + 1);
                    pen.bar((rows.frame.left, y - half), (end, y + half), series)?;
                    pen.label((end + 5, y), Side::Start, &show(value))?;
                }
            }
            Ok(())
        })
    }
}
