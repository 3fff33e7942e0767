//! A global allocator for WebAssembly guests: a bump pointer, a mark, and a reset that the host performs.
//!
//! As `alloc-leaking`, with two differences: `dealloc` of the newest allocation gives its bytes back, and all that was
//! allocated since the mark can be given back at once.
//!
//! ```
//! # #[cfg(target_arch = "wasm32")]
//! #[global_allocator]
//! static ALLOCATOR: alloc_bump_reset::BumpResetAllocator = alloc_bump_reset::BumpResetAllocator::new();
//! ```
//!
//! # How a host resets
//!
//! When it takes its snapshot it writes the control block's `top` to `mark`. To reset, it puts the guest's statics
//! back, and with them the control block; it puts back the heap below the mark, which a call may have changed, or freed
//! and used for something else; and it writes `mark` to `top`. Then, as it prefers,
//! - it zeroes from the mark to what `max(high_water, top)` was before, or
//! - it leaves the bytes and writes what `max(high_water, top)` was before to `high_water`, so that `alloc_zeroed`
//!   knows that they are not zero.
//!
//! For hosts that call instead there are the exports `__alloc_mark` and `__alloc_reset`, unless the feature `exports`,
//! which is on by default, is off. They take and give nothing. A reset without a mark does nothing; with one it gives
//! back what lies above, leaves the bytes and raises `high_water` itself. Statics, and heap below the mark, are still
//! the host's to put back.
//!
//! All state is in the control block. See [`alloc_core`] for what the allocator assumes: one thread, and all pages its
//! own. Natively the type exists, but has no memory unless it is given one, as the tests do, and cannot be a `static`.
#![no_std]

use alloc_core::{BumpAllocator, BumpReset, LinearMemory};

#[cfg(all(target_arch = "wasm32", feature = "exports"))]
mod exports;

/// A bump pointer with a mark to reset to. See the [crate](self).
pub type BumpResetAllocator<M = LinearMemory> = BumpAllocator<BumpReset, M>;
