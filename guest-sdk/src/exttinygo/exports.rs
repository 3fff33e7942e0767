//! The exports that every guest has, and what the attribute macros expand to.
#![expect(unsafe_code, reason = "exports have names that anything may have")]

use guest_abi::exttinygo::{RESERVED_EXPORTS, RESERVED_PREFIX};

use super::call::Call;
use super::{heap, output};
use crate::context::Context;
use crate::error::Result;
use crate::init_result::InitResult;
use crate::panics;

unsafe extern "C" {
    /// The linker's: runs what lies in `.init_array`. That it is called here keeps the linker from having each export
    /// call it.
    safe fn __wasm_call_ctors();
}

/// Says that the guest speaks this version of the contract.
#[unsafe(export_name = "WasmAbiVersion_0_0_1")]
extern "C" fn version() {}

/// Initialises the guest, once, before the snapshot.
#[unsafe(export_name = "_start")]
extern "C" fn start() {
    panics::install();
    __wasm_call_ctors();
}

#[unsafe(export_name = "malloc")]
extern "C" fn malloc(size: usize) -> *mut u8 {
    heap::malloc(size)
}

#[unsafe(export_name = "calloc")]
extern "C" fn calloc(count: usize, size: usize) -> *mut u8 {
    heap::calloc(count, size)
}

/// # Safety
/// As in C.
#[unsafe(export_name = "realloc")]
unsafe extern "C" fn realloc(pointer: *mut u8, size: usize) -> *mut u8 {
    // SAFETY: the caller's promise.
    unsafe { heap::realloc(pointer, size) }
}

/// # Safety
/// As in C.
#[unsafe(export_name = "free")]
unsafe extern "C" fn free(pointer: *mut u8) {
    // SAFETY: the caller's promise.
    unsafe { heap::free(pointer) }
}

/// Nothing to do: there is no garbage.
#[unsafe(export_name = "WasmGC")]
extern "C" fn collect_garbage() {}

/// Serves a call of an extension function.
#[inline]
pub fn extension(extension: fn(&mut Context<'_>) -> Result<()>) {
    if let Err(error) = extension(&mut Context::new(Call::new())) {
        output::fail(error);
    }
}

/// Runs an initialisation hook.
pub fn init<R: InitResult>(hook: fn() -> R) {
    if let Err(error) = hook().into_result() {
        output::fail(error);
    }
}

/// Whether the contract leaves this name to extensions.
pub const fn is_free(name: &str) -> bool {
    let mut at = 0;
    while at < RESERVED_EXPORTS.len() {
        if begins_with(name, RESERVED_EXPORTS[at]) && name.len() == RESERVED_EXPORTS[at].len() {
            return false;
        }
        at += 1;
    }
    !begins_with(name, RESERVED_PREFIX)
}

const fn begins_with(name: &str, prefix: &str) -> bool {
    match name.as_bytes().split_at_checked(prefix.len()) {
        Some((mut begin, _)) => {
            let mut prefix = prefix.as_bytes();
            while let ([first, rest @ ..], [wanted, wanted_rest @ ..]) = (begin, prefix) {
                if *first != *wanted {
                    return false;
                }
                (begin, prefix) = (rest, wanted_rest);
            }
            true
        }
        None => false,
    }
}

/// Exports an extension function.
#[doc(hidden)]
#[macro_export]
macro_rules! __guest_sdk_extension {
    ($function:ident, $export:literal) => {
        const _: () = {
            assert!(
                $crate::generated::is_free($export),
                "an extension is exported under its own name, and this one is taken by the exttinygo contract: choose another"
            );
            #[unsafe(export_name = $export)]
            extern "C" fn exported() {
                $crate::generated::extension($function);
            }
        };
    };
}

/// Has the initialisation hook run by `_start`, through the linker's list of what runs first.
#[doc(hidden)]
#[macro_export]
macro_rules! __guest_sdk_init {
    ($hook:ident) => {
        const _: () = {
            extern "C" fn run() {
                $crate::generated::init($hook);
            }
            #[used]
            #[unsafe(link_section = ".init_array")]
            static HOOK: extern "C" fn() = run;
        };
    };
}
