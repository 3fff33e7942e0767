#![doc = include_str!("../README.md")]
#![deny(missing_docs)]
#![no_std]

use alloc_core::{BumpAllocator, Leaking, LinearMemory};

/// A bump pointer that never frees. See the [crate](self).
///
/// ```
/// use alloc_core::LinearMemory;
/// use alloc_leaking::LeakingAllocator;
///
/// // The type of the static in a guest.
/// const ALLOCATOR: LeakingAllocator<LinearMemory> = LeakingAllocator::new();
/// ```
pub type LeakingAllocator<M = LinearMemory> = BumpAllocator<Leaking, M>;
