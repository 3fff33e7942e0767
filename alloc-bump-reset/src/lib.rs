#![doc = include_str!("../README.md")]
#![deny(missing_docs)]
#![no_std]

use alloc_core::{BumpAllocator, BumpReset, LinearMemory};

#[cfg(all(target_arch = "wasm32", feature = "exports"))]
mod exports;

/// A bump pointer with a mark to reset to. See the [crate](self).
///
/// ```
/// use alloc_bump_reset::BumpResetAllocator;
/// use alloc_core::LinearMemory;
///
/// // The type of the static in a guest.
/// const ALLOCATOR: BumpResetAllocator<LinearMemory> = BumpResetAllocator::new();
/// ```
pub type BumpResetAllocator<M = LinearMemory> = BumpAllocator<BumpReset, M>;
