//! Stages that hand each other memory blocks: one block between two guests, numbers on a clock, a list of strings, frames.

mod frames;
mod minimal;
mod numbers;
mod strings;

use guest_sdk::{block, init};

pub use frames::{blend, brighten, measure};
pub use minimal::{check, create, increment};
pub use numbers::{publish, subscribe};
pub use strings::{list, longest};

/// Two frames of 1 MiB at a time.
#[init]
fn offer() {
    block::add_storage(2, 1 << 20);
}
