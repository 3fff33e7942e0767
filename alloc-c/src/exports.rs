//! C's functions, under their names in C.
#![cfg(any(feature = "alloc-leaking", feature = "alloc-bump-reset", feature = "alloc-freelist"))]
#![expect(unsafe_code, reason = "functions that C calls by name")]

use crate::{Interface, allocator::ALLOCATOR};
use core::ffi::c_int;

/// `EINVAL` of WASI.
const EINVAL: c_int = 28;

/// `ENOMEM` of WASI.
const ENOMEM: c_int = 48;

/// Sets the C library's `errno`, where there is one.
#[inline]
fn set_errno(error: c_int) {
    #[cfg(feature = "wasi-libc")]
    {
        unsafe extern "C" {
            static mut errno: c_int;
        }
        // SAFETY: wasi-libc defines it as a variable of this type, and there is one thread.
        unsafe { errno = error };
    }
    #[cfg(not(feature = "wasi-libc"))]
    let _ = error;
}

/// Returns the pointer, and sets `errno` if it is null.
#[inline]
fn or_no_memory(pointer: *mut u8) -> *mut u8 {
    if pointer.is_null() {
        set_errno(ENOMEM);
    }
    pointer
}

/// Allocates `size` bytes.
#[unsafe(no_mangle)]
extern "C" fn malloc(size: usize) -> *mut u8 {
    or_no_memory(Interface(&ALLOCATOR).malloc(size))
}

/// Allocates an array of zeros.
#[unsafe(no_mangle)]
extern "C" fn calloc(count: usize, size: usize) -> *mut u8 {
    or_no_memory(Interface(&ALLOCATOR).calloc(count, size))
}

/// Frees.
#[unsafe(no_mangle)]
unsafe extern "C" fn free(pointer: *mut u8) {
    // SAFETY: the caller's promise.
    unsafe { Interface(&ALLOCATOR).free(pointer) };
}

/// Resizes.
#[unsafe(no_mangle)]
unsafe extern "C" fn realloc(pointer: *mut u8, size: usize) -> *mut u8 {
    // SAFETY: the caller's promise.
    or_no_memory(unsafe { Interface(&ALLOCATOR).realloc(pointer, size) })
}

/// Allocates with an alignment, which is a power of two.
#[unsafe(no_mangle)]
extern "C" fn aligned_alloc(align: usize, size: usize) -> *mut u8 {
    if !align.is_power_of_two() {
        set_errno(EINVAL);
        return core::ptr::null_mut();
    }
    or_no_memory(Interface(&ALLOCATOR).aligned_alloc(align, size))
}

/// The same, with the error as the result. Does not change `errno` and, if it fails, does not write to `result`.
#[unsafe(no_mangle)]
unsafe extern "C" fn posix_memalign(result: *mut *mut u8, align: usize, size: usize) -> c_int {
    if !align.is_power_of_two() || align < size_of::<*mut u8>() {
        return EINVAL;
    }
    let pointer = Interface(&ALLOCATOR).aligned_alloc(align, size);
    if pointer.is_null() {
        return ENOMEM;
    }
    // SAFETY: the caller promises a pointer to a pointer.
    unsafe { result.write(pointer) };
    0
}

/// Size of an allocation in bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn malloc_usable_size(pointer: *mut u8) -> usize {
    // SAFETY: the caller's promise.
    unsafe { Interface(&ALLOCATOR).usable_size(pointer) }
}

#[cfg(feature = "wasi-libc")]
mod of_wasi_libc {
    //! The functions that wasi-libc calls to allocate for itself. If these were missing, it would bring its own allocator
    //! along, whose functions have the same names as those above.

    #[unsafe(no_mangle)]
    extern "C" fn __libc_malloc(size: usize) -> *mut u8 {
        super::malloc(size)
    }

    #[unsafe(no_mangle)]
    extern "C" fn __libc_calloc(count: usize, size: usize) -> *mut u8 {
        super::calloc(count, size)
    }

    #[unsafe(no_mangle)]
    unsafe extern "C" fn __libc_free(pointer: *mut u8) {
        // SAFETY: the caller's promise.
        unsafe { super::free(pointer) };
    }
}
