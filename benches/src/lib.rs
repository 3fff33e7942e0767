//! What the benchmarks share: guests, baselines, and measuring in turns.
//!
//! A ratio of two figures that were taken one after the other tells as much about the machine's other work as about the
//! code. So [`turns`] lets everything that is compared take turns of a fraction of a millisecond, and a ratio is the
//! median of the ratios of all rounds. Criterion's own figures stand beside, for the spread of each alone.

pub mod bare;
pub mod chart;
pub mod copies;
pub mod exttinygo;
pub mod functions;
pub mod guests;
pub mod handles;
pub mod heap;
pub mod heaps;
pub mod instructions;
pub mod ratios;
pub mod turns;
pub mod workers;
