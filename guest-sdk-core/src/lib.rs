#![doc = include_str!("../README.md")]
#![deny(missing_docs)]
#![no_std]

extern crate alloc;

#[cfg(any(feature = "std", not(target_arch = "wasm32")))]
extern crate std;

#[cfg(all(target_arch = "wasm32", target_feature = "atomics"))]
compile_error!("guest-sdk is for single-threaded guests: build without the target feature `atomics`");

pub mod allocator;
pub mod error;
mod init_result;
pub mod key;
#[cfg(target_arch = "wasm32")]
pub mod panics;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
pub mod value;

pub use error::{Error, Result};
pub use guest_abi::value::{Kind, QName};
pub use guest_abi::{ErrorCode, Level, storage};
pub use init_result::InitResult;
