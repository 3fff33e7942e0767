#![doc = include_str!("../README.md")]
#![deny(missing_docs)]
#![no_std]

#[cfg(feature = "alloc")]
extern crate alloc;

pub mod block;
pub mod cbor;
pub mod column;
pub mod control_block;
pub mod document;
mod error_code;
pub mod exttinygo;
pub mod flat;
pub mod function;
#[cfg(feature = "alloc")]
pub mod http;
pub mod intent;
pub mod key;
mod level;
pub mod names;
pub mod program;
pub mod storage;
pub mod value;

pub use control_block::{AllocatorKind, ControlBlock, ControlBlockImage};
pub use error_code::ErrorCode;
pub use level::Level;
