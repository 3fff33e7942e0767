#![doc = include_str!("../README.md")]

mod bars;
mod canvas;
mod lines;
mod palette;
mod quantity;
mod ranges;
mod strip;
mod ticks;

pub use bars::Bars;
pub use canvas::{Chart, DrawError};
pub use lines::{Line, Lines};
pub use palette::{COLOURS, Theme, declarations, style};
pub use quantity::{Quantity, Scale};
pub use ranges::{Range, Ranges};
pub use strip::{Part, Strip};

/// The values of one label: one for each series, `None` where there is no value.
#[derive(Debug, Clone, PartialEq)]
pub struct Group<T> {
    /// The label beside the values.
    pub label: String,
    /// The values, in the order of the series.
    pub values: Vec<Option<T>>,
}
