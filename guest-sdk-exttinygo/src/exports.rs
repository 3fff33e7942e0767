//! The exports that every guest has, and the expansion of the attribute macros.
#![expect(unsafe_code, reason = "exports have names that anything may have")]

use crate::{Context, InitResult, Result, heap, output, panics};

unsafe extern "C" {
    /// The linker's function that runs `.init_array`. The linker would have every export call it if nothing else did.
    safe fn __wasm_call_ctors();
}

/// States the version of the contract that the guest speaks.
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
    if let Err(error) = extension(&mut Context::new()) {
        output::fail(error);
    }
}

/// Runs an initialisation hook.
pub fn init<R: InitResult>(hook: fn() -> R) {
    if let Err(error) = hook().into_result() {
        output::fail(error);
    }
}

/// Exports an extension function.
#[doc(hidden)]
#[macro_export]
macro_rules! __guest_sdk_extension {
    ($function:ident, $export:literal) => {
        const _: () = {
            #[unsafe(export_name = $export)]
            extern "C" fn exported() {
                $crate::generated::extension($function);
            }
        };
    };
}

/// Registers the initialisation hook in `.init_array`, which `_start` runs.
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
