//! What the integration tests of several crates share. No published crate depends on it.

pub mod compiled;
pub mod counted_guests;
pub mod exposition;
pub mod programs;
pub mod text_guests;
pub mod wasi;
