#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

mod canonical;
mod error;
mod merge;
pub mod record;
mod state;

pub use error::MemoryStateError;
pub use state::MemoryState;
