#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

pub mod advice;
mod blocks;
pub mod budget;
pub mod compare;
mod digits;
pub mod functions;
pub mod inspect;
mod intent_report;
pub mod measure;
pub mod pipe;
pub mod probe;
pub mod replay;
pub mod report;
pub mod verify;

pub use guest_state::state_file::{StateFileError, load_state_file, parse_state};
pub use report::{baseline, recommend};
