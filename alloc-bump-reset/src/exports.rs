//! Exports for hosts that prefer a call to writing the control block.
#![expect(unsafe_code, reason = "functions that a host calls by name, one of which resets")]

use crate::BumpResetAllocator;
use guest_abi::names::{EXPORT_ALLOC_MARK, EXPORT_ALLOC_RESET};

// `export_name` takes a literal only; this keeps the literals below the contract's.
const _: () = assert!(same(EXPORT_ALLOC_MARK, "__alloc_mark") && same(EXPORT_ALLOC_RESET, "__alloc_reset"));

/// Whether two strings are equal, at compile time.
const fn same(left: &str, right: &str) -> bool {
    let (left, right) = (left.as_bytes(), right.as_bytes());
    let mut at = 0;
    while at < left.len() && at < right.len() && left[at] == right[at] {
        at += 1;
    }
    at == left.len() && at == right.len()
}

/// Sets the mark.
#[unsafe(no_mangle)]
extern "C" fn __alloc_mark() {
    <BumpResetAllocator>::new().mark();
}

/// Resets to the mark. Only the host calls it: between two calls no guest code holds on to what it allocated, except
/// through statics, which the host restores.
#[unsafe(no_mangle)]
extern "C" fn __alloc_reset() {
    // SAFETY: the host calls this between two calls of the guest and restores its statics; nothing reaches above the
    // mark then.
    unsafe { <BumpResetAllocator>::new().reset() }
}
