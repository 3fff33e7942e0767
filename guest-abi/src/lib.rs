//! The contract between a WebAssembly guest and its host.
//!
//! Everything that both sides must agree on stands here and only here: the names of imports and exports and the
//! version of the contract ([`names`]), the [`ControlBlock`] through which an allocator and its host talk without
//! a call, the value model and its wire form ([`value`], [`key`], [`intent`]), the storages that every state knows
//! ([`storage`]) and the error codes ([`ErrorCode`]). [`exttinygo`] has the names of a second contract, which extensions
//! speak that were built for existing hosts.
//!
//! The crate is `no_std` and allocates nothing. With the feature `alloc` its writers append to vectors.
//!
//! It is not an SDK: guests use `guest-sdk`, hosts use `host-harness`. The in-memory state for both is `guest-state`.
#![no_std]

#[cfg(feature = "alloc")]
extern crate alloc;

pub mod cbor;
pub mod control_block;
mod error_code;
pub mod exttinygo;
pub mod intent;
pub mod key;
mod level;
pub mod names;
pub mod storage;
pub mod value;

pub use control_block::{AllocatorKind, ControlBlock, ControlBlockImage};
pub use error_code::ErrorCode;
pub use level::Level;
