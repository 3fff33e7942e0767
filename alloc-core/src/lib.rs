//! Where a WebAssembly guest's allocator gets its pages, and how it accounts for them.
//!
//! Allocators of this family never call `memory.grow` themselves. They are generic over [`Memory`] and use three
//! things from here:
//!
//! - [`claim`]: adopting pages. Pages that exist beyond what the control block knows come first, because after a
//!   restore they are there already and cannot be given back; only then does the memory grow.
//! - [`account`]: the counters of the control block, behind the feature `counters` (on by default).
//! - [`bump`]: the mechanics of a bump pointer, and [`BumpAllocator`], the allocator on top of them: `alloc-leaking` and
//!   `alloc-bump-reset` are its two forms.
//!
//! [`HeaderAlloc`] is what allocators implement besides `GlobalAlloc`, for callers that remember no layouts.
//!
//! On wasm32 [`LinearMemory`] is the module's memory, and the crate defines the control block in it, the exported static
//! `__allocator_control_block`. Natively it is a memory without pages; the feature `testing` adds one that has some and
//! a runner of random programs, in the module `testing`.
//!
//! # What it assumes
//!
//! One thread, and that every page of the memory from `__heap_base` on belongs to the allocator: a guest that calls
//! `memory.grow` and keeps the pages for itself would find them adopted.
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

/// Bytes of a WebAssembly page.
pub const PAGE_SIZE: u32 = guest_abi::names::PAGE_SIZE;

/// Highest end that an allocator gives to its heap: below 2^32, so that it fits an address, and aligned.
pub const ADDRESS_END: u32 = 0xFFFF_FFF0;

/// Alignment of the first heap address, which on wasm32 is the linker's `__heap_base`.
pub const HEAP_ALIGN: u32 = 16;
