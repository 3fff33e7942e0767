//! The contract between a WebAssembly guest and its host.
//!
//! Everything that both sides must agree on stands here and only here: the names of imports and exports and the
//! version of the contract ([`names`]), the [`ControlBlock`] through which an allocator and its host talk without
//! a call, the value model and its wire form ([`value`], [`key`], [`intent`]), the storages that every state knows
//! ([`storage`]) and the error codes ([`ErrorCode`]). [`exttinygo`] has the names of a second contract, which extensions
//! speak that were built for existing hosts.
//!
//! The crate is `no_std` and allocates nothing. With the feature `alloc` it adds [`MemoryState`], the in-memory
//! state that the host's state files and the SDK's native tests share.
//!
//! It is not an SDK: guests use `guest-sdk`, hosts use `host-harness`.
#![no_std]

#[cfg(feature = "alloc")]
extern crate alloc;

pub mod control_block;
mod error_code;
pub mod exttinygo;
pub mod intent;
pub mod key;
mod level;
#[cfg(feature = "alloc")]
mod memory_state;
pub mod names;
mod quick;
pub mod storage;
pub mod value;
pub mod wire;

pub use control_block::{AllocatorKind, ControlBlock, ControlBlockImage};
pub use error_code::ErrorCode;
pub use level::Level;
#[cfg(feature = "alloc")]
pub use memory_state::{MemoryState, StateError};
