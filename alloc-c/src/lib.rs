#![doc = include_str!("../README.md")]
#![deny(missing_docs)]
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
