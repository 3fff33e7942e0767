//! A drop-in for the interface of `wee_alloc` 0.4, on `alloc-freelist`.
//!
//! ```
//! # #[cfg(target_arch = "wasm32")]
//! #[global_allocator]
//! static ALLOCATOR: wee_alloc::WeeAlloc = wee_alloc::WeeAlloc::INIT;
//! ```
//!
//! Type, const, lifetime and feature names are those of `wee_alloc` 0.4.5, so that code which names it compiles
//! unchanged, also through `[patch.crates-io]`; the code is this crate's own. The features of the original exist and
//! change nothing. What differs: large allocations that were freed are used again, neighbours coalesce, any alignment
//! is served, and the host's control block is maintained.
//!
//! On wasm32 this is [`alloc_freelist`], with its assumptions: one thread, and all pages its own. Natively, where the
//! original works as well, it is the system's allocator, so that crates which use it can run their tests.
#![no_std]
#![expect(unsafe_code, reason = "`GlobalAlloc` is an unsafe trait")]

#[cfg(not(target_arch = "wasm32"))]
extern crate std;

use core::{
    alloc::{GlobalAlloc, Layout},
    fmt,
    marker::PhantomData,
};

#[cfg(not(target_arch = "wasm32"))]
type Inner = std::alloc::System;
#[cfg(target_arch = "wasm32")]
type Inner = alloc_freelist::FreelistAllocator;

#[cfg(not(target_arch = "wasm32"))]
const INNER: Inner = std::alloc::System;
#[cfg(target_arch = "wasm32")]
#[expect(clippy::declare_interior_mutable_const, reason = "an initial value, as `INIT` is")]
const INNER: Inner = Inner::of_kind(alloc_core::LinearMemory::new(), alloc_core::AllocatorKind::Wee);

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(pub usize);

/// Bytes of a WebAssembly page.
pub const PAGE_SIZE: Bytes = Bytes(alloc_core::PAGE_SIZE as usize);

/// The allocator. Its only value is [`INIT`](Self::INIT).
pub struct WeeAlloc<'a> {
    inner: Inner,
    lifetime: PhantomData<&'a ()>,
}

impl WeeAlloc<'_> {
    /// An allocator that has not allocated yet, to initialise a `static` with.
    #[cfg_attr(
        target_arch = "wasm32",
        expect(clippy::declare_interior_mutable_const, reason = "the interface that this crate stands in for")
    )]
    pub const INIT: Self = Self { inner: INNER, lifetime: PhantomData };
}

impl fmt::Debug for WeeAlloc<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WeeAlloc").finish_non_exhaustive()
    }
}

// SAFETY: every method is the inner allocator's own.
unsafe impl GlobalAlloc for WeeAlloc<'static> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the same contract.
        unsafe { self.inner.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the same contract.
        unsafe { self.inner.dealloc(pointer, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the same contract.
        unsafe { self.inner.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller keeps the same contract.
        unsafe { self.inner.realloc(pointer, layout, new_size) }
    }
}
