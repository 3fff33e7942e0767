//! The allocators of this workspace behind C's interface: `malloc`, `free`, `calloc`, `realloc`, `aligned_alloc`,
//! `posix_memalign` and `malloc_usable_size`, for WebAssembly guests in C, C++, Zig or any language that allocates through
//! them.
//!
//! [`Interface`] is that interface over any [`HeaderAlloc`], and knows nothing of C. On wasm32 the crate defines the
//! functions themselves over the allocator that one of its features picks, and is compiled as a static library; natively
//! they would take the place of the C library's own, so there are none. The header for C and C++ is
//! `include/guest_alloc.h`; the README says how to link.
//!
//! It is no allocator: those are `alloc-leaking`, `alloc-bump-reset` and `alloc-freelist`, whose control block the static
//! library brings along.
#![cfg_attr(target_arch = "wasm32", no_std)]

mod allocator;
#[cfg(target_arch = "wasm32")]
mod exports;
mod interface;

pub use alloc_core::HeaderAlloc;
pub use interface::Interface;

#[cfg(target_arch = "wasm32")]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    // Nothing here panics; the linker drops this.
    core::arch::wasm32::unreachable()
}
