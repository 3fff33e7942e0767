#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

mod canonical;
mod error;
pub mod input;
mod merge;
mod ordered_map;
mod overlay;
pub mod record;
mod state;
#[cfg(feature = "state-file")]
pub mod state_file;
mod stored;

pub use error::MemoryStateError;
pub use ordered_map::{OrderedMap, OrderedMapMut};
pub use overlay::Overlay;
pub use state::MemoryState;
pub use stored::{StoredState, StoredStateError};
