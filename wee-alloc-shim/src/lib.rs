#![doc = include_str!("../README.md")]
#![deny(missing_docs)]
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

/// Number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(pub usize);

/// Size of a WebAssembly page.
pub const PAGE_SIZE: Bytes = Bytes(alloc_core::PAGE_SIZE as usize);

/// The allocator. Its only value is [`INIT`](Self::INIT).
///
/// ```
/// use std::alloc::{GlobalAlloc, Layout};
///
/// static ALLOCATOR: wee_alloc::WeeAlloc = wee_alloc::WeeAlloc::INIT;
///
/// let layout = Layout::new::<u64>();
/// // SAFETY: the layout is not empty, and the pointer is freed with it.
/// unsafe {
///     let pointer = ALLOCATOR.alloc(layout);
///     ALLOCATOR.dealloc(pointer, layout);
/// }
/// ```
pub struct WeeAlloc<'a> {
    inner: Inner,
    lifetime: PhantomData<&'a ()>,
}

impl WeeAlloc<'_> {
    /// An allocator that has not allocated yet: the initial value of a `static`.
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
