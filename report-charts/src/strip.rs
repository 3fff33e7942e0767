//! The parts of a whole in their order.

use crate::canvas::{LINE, Side, WIDTH, draw, legend_lines};
use crate::{Chart, DrawError, Quantity};

/// A part.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// Its name. Parts of one name have one colour.
    pub name: String,
    /// Its size.
    pub size: f64,
}

/// Parts side by side, each as wide as its share; a small one has a few pixels all the same.
#[derive(Debug, Clone, PartialEq)]
pub struct Strip {
    /// The title.
    pub title: String,
    /// The kind of sizes.
    pub quantity: Quantity,
    /// The parts, from left to right.
    pub parts: Vec<Part>,
}

/// Pixels of the smallest part.
const LEAST: f64 = 5.0;

impl Strip {
    /// Draws the chart.
    ///
    /// # Errors
    /// [`DrawError::Empty`] when no part has a size.
    pub fn draw(&self) -> Result<Chart, DrawError> {
        let parts: Vec<&Part> = self.parts.iter().filter(|part| part.size.is_finite() && part.size > 0.0).collect();
        let total: f64 = parts.iter().map(|part| part.size).sum();
        if parts.is_empty() {
            return Err(DrawError::Empty { title: self.title.clone() });
        }
        let mut kinds: Vec<(&str, f64)> = Vec::new();
        for part in &parts {
            match kinds.iter_mut().find(|(name, _)| *name == part.name) {
                Some((_, size)) => *size += part.size,
                None => kinds.push((&part.name, part.size)),
            }
        }
        let names: Vec<String> =
            kinds.iter().map(|(name, size)| format!("{name} {}", self.quantity.show(*size))).collect();
        let describe = |part: &&Part| format!("{} {}", part.name, self.quantity.show(part.size));
        let description = parts.iter().map(describe).collect::<Vec<_>>().join("; ");

        // What the small ones get more, all give by their share.
        #[expect(clippy::cast_precision_loss, reason = "a handful of parts")]
        let shared = (f64::from(WIDTH) - LEAST * parts.len() as f64).max(0.0);
        let top = LINE + 6;
        let legend = top + 34;
        let height = legend + LINE * legend_lines(&names).max(1);
        draw(&self.title, &description, height, |pen| {
            let mut from = 0.0;
            for part in &parts {
                let to = from + LEAST + shared * (part.size / total);
                let index = kinds.iter().position(|(name, _)| *name == part.name).unwrap_or_default();
                // One pixel stays free between two parts.
                pen.bar((whole(from), top), ((whole(to) - 1).max(whole(from) + 1), top + 26), index)?;
                from = to;
            }
            match names.as_slice() {
                [only] => pen.label((0, legend + LINE / 2), Side::Start, only),
                names => pen.legend(names, legend),
            }
        })
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a place within the drawing")]
fn whole(x: f64) -> i32 {
    x.round() as i32
}
