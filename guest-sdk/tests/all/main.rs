//! The SDK against its native host, which speaks the same wire form within the same limits as a real one.

mod calc;
mod errors;
mod functions;
mod intents;
mod rows;
mod snapshots;
#[cfg(feature = "state-file")]
mod state_file;
mod values;

use guest_sdk::testing::{Host, MemoryState};
use guest_sdk::{KeyBuilder, storage};

/// Records `shop.Numbers` with the ids from 0, each with its number and a text.
fn numbered(count: i32, text: &str) -> MemoryState {
    let mut state = MemoryState::new();
    for id in 0..count {
        state
            .put(
                storage::VIEW,
                "shop.Numbers",
                |key| {
                    key.put_i32("Id", id);
                },
                |value| {
                    value.put_i32("Number", 10 * id).put_str("Text", text);
                },
            )
            .unwrap();
    }
    state
}

fn number(id: i32) -> KeyBuilder {
    let mut key = KeyBuilder::new(storage::VIEW, "shop.Numbers");
    key.put_i32("Id", id);
    key
}

fn host(state: MemoryState) -> Host {
    Host::new(state)
}
