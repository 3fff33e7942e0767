//! The imports of the native contract, and nothing else. What they mean stands in `guest_abi::names`.
//!
//! Natively there is no host, so the same functions go to the one of [`crate::testing`], which is the thread's own.
#![cfg_attr(target_arch = "wasm32", expect(unsafe_code, reason = "imports are foreign functions"))]

pub(crate) mod block;

#[cfg(target_arch = "wasm32")]
mod imports {
    #[link(wasm_import_module = "extension")]
    unsafe extern "C" {
        pub(crate) fn get(key: *const u8, key_len: usize, out: *mut u8, out_cap: usize) -> i32;
        pub(crate) fn read(
            key: *const u8,
            key_len: usize,
            after: *const u8,
            after_len: usize,
            out: *mut u8,
            out_cap: usize,
        ) -> i32;
        pub(crate) fn intents(bytes: *const u8, len: usize);
        pub(crate) fn log(level: u32, text: *const u8, len: usize);
        pub(crate) fn fail(code: u32, message: *const u8, len: usize);
        pub(crate) fn secret(name: *const u8, name_len: usize, out: *mut u8, out_cap: usize) -> i32;
        pub(crate) fn stream_read(out: *mut u8, out_cap: usize) -> i32;
        pub(crate) fn stream_write(bytes: *const u8, len: usize);
        #[cfg(any(feature = "std", feature = "panic-handler"))]
        pub(crate) fn panic(
            message: *const u8,
            message_len: usize,
            file: *const u8,
            file_len: usize,
            line: u32,
            column: u32,
        ) -> !;
    }
}

#[cfg(not(target_arch = "wasm32"))]
mod imports {
    pub(crate) use crate::testing::imports::{fail, get, intents, log, read, secret, stream_read, stream_write};
}

pub(crate) use imports::*;
