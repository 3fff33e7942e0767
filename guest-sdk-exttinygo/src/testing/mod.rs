//! Runs extensions natively, in `cargo test`, against an in-memory state.
//!
//! The host of this module speaks the contract: keys, values, rows and intents are handles, and reading a field that is
//! missing or of another type ends the call. Every thread has a host of its own, so tests may run in parallel.
//!
//! ```
//! use guest_sdk_exttinygo::testing::{Host, MemoryState};
//! use guest_sdk_exttinygo::{Context, KeyBuilder, Result, storage};
//!
//! fn count_up(cx: &mut Context) -> Result<()> {
//!     let key = KeyBuilder::new(storage::RECORD, "shop.Counter");
//!     let found = cx.get_value(&key)?;
//!     cx.update_value(&key, &found)?.put_i32("Value", found.get_i32("Value")? + 1);
//!     Ok(())
//! }
//!
//! let mut state = MemoryState::new();
//! state.put(storage::RECORD, "shop.Counter", |_| {}, |value| { value.put_i32("Value", 41); })?;
//! let mut host = Host::new(state);
//! let outcome = host.call(count_up);
//! outcome.unwrap();
//! assert_eq!(outcome.intents().next().unwrap().value.get_i32("Value"), Ok(42));
//! host.apply(&outcome)?;
//! # Ok::<(), guest_sdk_exttinygo::testing::MemoryStateError>(())
//! ```
//!
//! An error that an extension returns is a [`Failure::Error`] with its code and message; a host of the contract gets only its
//! text, as a panic's. Memory limits, deadlines and restores need a real host, such as `host-harness`.

mod handles;
mod host;
pub(crate) mod imports;

pub use guest_sdk_core::testing::{
    Crossings, Failure, Intent, Intents, LogLine, MemoryState, MemoryStateError, Operation, Outcome, RecordWriter,
    Value, host_is_running,
};
#[cfg(feature = "state-file")]
pub use guest_sdk_core::testing::{StateFileError, load_state_file};
pub use host::Host;
