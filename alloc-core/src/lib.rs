#![doc = include_str!("../README.md")]
#![deny(missing_docs)]
#![no_std]

#[cfg(all(target_arch = "wasm32", target_feature = "atomics"))]
compile_error!(
    "the allocators of this family are for single-threaded guests: build without the target feature `atomics`"
);

#[cfg(all(feature = "testing", not(target_arch = "wasm32")))]
extern crate std;

pub mod account;
pub mod bump;
mod bump_allocator;
pub mod claim;
mod header;
mod linear;
mod memory;
#[cfg(all(feature = "testing", not(target_arch = "wasm32")))]
pub mod testing;

pub use bump_allocator::{BumpAllocator, BumpPolicy, BumpReset, Leaking};
pub use guest_abi::{AllocatorKind, ControlBlock, ControlBlockImage};
pub use header::{HEADED_ALIGN, HeaderAlloc, header_size};
pub use linear::LinearMemory;
pub use memory::Memory;

/// Size of a WebAssembly page in bytes.
pub const PAGE_SIZE: u32 = guest_abi::names::PAGE_SIZE;

/// Highest address at which a heap may end: aligned, and below 2^32 so that it is an address.
pub const ADDRESS_END: u32 = 0xFFFF_FFF0;

/// Alignment of the first heap address, which on wasm32 is the linker's `__heap_base`.
pub const HEAP_ALIGN: u32 = 16;
