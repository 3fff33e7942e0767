//! A global allocator for WebAssembly guests that never frees.
//!
//! An allocation is an addition and a comparison. `dealloc` only counts; the memory comes back when the host restores
//! the instance. `realloc` of the newest allocation grows or shrinks it where it is, so a single growing vector costs
//! no more than its size; any other allocation that grows is copied and its old bytes are lost until the restore.
//!
//! ```
//! # #[cfg(target_arch = "wasm32")]
//! #[global_allocator]
//! static ALLOCATOR: alloc_leaking::LeakingAllocator = alloc_leaking::LeakingAllocator::new();
//! ```
//!
//! All state is in the control block, so whoever rewinds the guest's statics has rewound the allocator. See
//! [`alloc_core`] for what it assumes: one thread, and all pages its own.
//!
//! Natively the type exists, but has no memory unless it is given one, as the tests do, and cannot be a `static`.
//!
//! Do not use it for a guest that lives long without restores: it runs out of memory by design.
#![no_std]

use alloc_core::{BumpAllocator, Leaking, LinearMemory};

/// A bump pointer that never frees. See the [crate](self).
pub type LeakingAllocator<M = LinearMemory> = BumpAllocator<Leaking, M>;
