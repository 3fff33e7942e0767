//! Functions in plans, without an engine.

mod engine;
mod opaque;
mod payload;
