//! The shared part of the SDKs' hosts for native tests: calls against an in-memory state, and their outcomes.
//!
//! Every thread has a host of its own, so tests may run in parallel.

mod call;
mod intents;
mod outcome;
mod panics;
mod shown;

pub use call::{Call, fail, host_is_running, in_host, is_in_call, log, run};
pub use guest_abi::intent::Operation;
#[cfg(feature = "state-file")]
pub use guest_state::state_file::{StateFileError, load_state_file};
pub use guest_state::{MemoryState, MemoryStateError};
pub use intents::{Intent, Intents};
pub use outcome::{Crossings, Failure, LogLine, Outcome};

pub use crate::value::Value;

/// Writes the key fields or the value fields of a record of a [`MemoryState`].
pub type RecordWriter<'a> = guest_abi::value::ObjectEncoder<'a, std::vec::Vec<u8>>;
