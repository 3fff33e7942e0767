//! Runs extensions natively, in `cargo test`, against an in-memory state.
//!
//! The extension's keys, values and intents take the same wire form as in a host, and the same limits hold: an exchange
//! region of the size given, keys of one level, what intents may contain. Every thread has a host of its own, so tests may
//! run in parallel.
//!
//! ```
//! use guest_sdk::testing::{Host, MemoryState};
//! use guest_sdk::{Context, KeyBuilder, Result, storage};
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
//! # Ok::<(), guest_sdk::testing::MemoryStateError>(())
//! ```
//!
//! Memory limits, deadlines and restores need a real host, such as `host-harness`.

pub(crate) mod blocks;
mod host;
pub(crate) mod imports;
mod log;
mod secrets;
mod stream;

pub use guest_sdk_core::testing::{
    Crossings, Failure, Intent, Intents, LogLine, MemoryState, MemoryStateError, Operation, Outcome, RecordWriter,
    host_is_running,
};
#[cfg(feature = "state-file")]
pub use guest_sdk_core::testing::{StateFileError, load_state_file};
pub use host::Host;
pub use log::take_log;
pub use secrets::set_secret;
pub use stream::{set_stream, take_stream};
