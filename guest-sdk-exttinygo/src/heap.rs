//! `malloc` and its kin over the guest's global allocator, for the host's buffers.
//!
//! An allocation is preceded by its size, which the allocator wants to know when it is freed. It is as aligned as C's
//! largest type, and null where the allocator has nothing.
#![expect(unsafe_code, reason = "these hand out memory")]

use alloc::alloc::{Layout, alloc, alloc_zeroed, dealloc, realloc as resize};
use core::ptr::null_mut;

/// Alignment of an allocation, and number of bytes before it.
const HEADER: usize = 16;

/// The layout of an allocation of `size` bytes with its header.
fn layout(size: usize) -> Option<Layout> {
    Layout::from_size_align(size.checked_add(HEADER)?, HEADER).ok()
}

/// Writes the header of an allocation that the allocator gave, if it gave one, and returns what is behind it.
///
/// # Safety
/// `start` is null or begins an allocation of [`layout`] for `size`.
unsafe fn begin(start: *mut u8, size: usize) -> *mut u8 {
    if start.is_null() {
        return start;
    }
    // SAFETY: the header lies in the allocation, and is aligned for more than a size.
    unsafe {
        start.cast::<usize>().write(size);
        start.add(HEADER)
    }
}

/// The allocation's own start, and its layout.
///
/// # Safety
/// `pointer` is from here and has not been freed.
unsafe fn whole(pointer: *mut u8) -> (*mut u8, Layout) {
    // SAFETY: the header is before it; the layout is the one that it was allocated with, which was valid.
    unsafe {
        let start = pointer.sub(HEADER);
        let size = start.cast::<usize>().read();
        (start, Layout::from_size_align_unchecked(size + HEADER, HEADER))
    }
}

/// `size` bytes.
pub(crate) fn malloc(size: usize) -> *mut u8 {
    match layout(size) {
        // SAFETY: the size is at least the header's.
        Some(layout) => unsafe { begin(alloc(layout), size) },
        None => null_mut(),
    }
}

/// `count * size` bytes, all zero.
pub(crate) fn calloc(count: usize, size: usize) -> *mut u8 {
    let Some((size, layout)) = count.checked_mul(size).and_then(|size| Some((size, layout(size)?))) else {
        return null_mut();
    };
    // SAFETY: the size is at least the header's.
    unsafe { begin(alloc_zeroed(layout), size) }
}

/// Gives an allocation back; null is none.
///
/// # Safety
/// `pointer` is null, or from here and has not been freed.
pub(crate) unsafe fn free(pointer: *mut u8) {
    if !pointer.is_null() {
        // SAFETY: the caller's promise.
        unsafe {
            let (start, layout) = whole(pointer);
            dealloc(start, layout);
        }
    }
}

/// Makes an allocation `size` bytes long, possibly elsewhere; of null it makes one. Where that fails, it stays as it is.
///
/// # Safety
/// `pointer` is null, or from here and has not been freed.
pub(crate) unsafe fn realloc(pointer: *mut u8, size: usize) -> *mut u8 {
    if pointer.is_null() {
        return malloc(size);
    }
    match layout(size) {
        // SAFETY: the caller's promise; the new size is valid for the alignment.
        Some(wanted) => unsafe {
            let (start, layout) = whole(pointer);
            begin(resize(start, layout, wanted.size()), size)
        },
        None => null_mut(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use core::slice;
    use proptest::prelude::*;

    #[derive(Debug, Clone)]
    enum Operation {
        Malloc(usize),
        Calloc(usize, usize),
        Realloc(usize, usize),
        Free(usize),
    }

    fn operation() -> impl Strategy<Value = Operation> {
        prop_oneof![
            (0..300_usize).prop_map(Operation::Malloc),
            (0..20_usize, 0..20_usize).prop_map(|(count, size)| Operation::Calloc(count, size)),
            (any::<usize>(), 0..600_usize).prop_map(|(which, size)| Operation::Realloc(which, size)),
            any::<usize>().prop_map(Operation::Free),
        ]
    }

    /// Fills an allocation with bytes that are its own.
    fn fill(pointer: *mut u8, size: usize, with: u8) -> (*mut u8, usize, u8) {
        assert!(!pointer.is_null() && pointer.addr().is_multiple_of(HEADER));
        // SAFETY: it is that long.
        unsafe { pointer.write_bytes(with, size) };
        (pointer, size, with)
    }

    fn holds(pointer: *mut u8, size: usize, with: u8) -> bool {
        // SAFETY: it is that long, and was filled.
        unsafe { slice::from_raw_parts(pointer, size) }.iter().all(|byte| *byte == with)
    }

    proptest! {
        #[test]
        fn allocations_keep_what_was_written(program in proptest::collection::vec(operation(), 0..100)) {
            let mut live = Vec::new();
            for (step, operation) in program.into_iter().enumerate() {
                let with = (step % 255) as u8 + 1;
                match operation {
                    Operation::Malloc(size) => live.push(fill(malloc(size), size, with)),
                    Operation::Calloc(count, size) => {
                        let pointer = calloc(count, size);
                        prop_assert!(holds(pointer, count * size, 0));
                        live.push(fill(pointer, count * size, with));
                    }
                    Operation::Realloc(which, size) if !live.is_empty() => {
                        let which = which % live.len();
                        let (pointer, old, old_with) = live.swap_remove(which);
                        // SAFETY: it is live.
                        let pointer = unsafe { realloc(pointer, size) };
                        prop_assert!(holds(pointer, old.min(size), old_with));
                        live.push(fill(pointer, size, with));
                    }
                    Operation::Free(which) if !live.is_empty() => {
                        let which = which % live.len();
                        let (pointer, size, with) = live.swap_remove(which);
                        prop_assert!(holds(pointer, size, with));
                        // SAFETY: it is live.
                        unsafe { free(pointer) };
                    }
                    _ => {}
                }
                prop_assert!(live.iter().all(|(pointer, size, with)| holds(*pointer, *size, *with)));
            }
            // SAFETY: they are live.
            live.into_iter().for_each(|(pointer, ..)| unsafe { free(pointer) });
        }
    }

    #[test]
    fn what_cannot_be_is_null_and_null_is_nothing() {
        assert!(malloc(usize::MAX).is_null() && malloc(isize::MAX as usize).is_null());
        assert!(calloc(usize::MAX, 2).is_null());
        let pointer = malloc(1);
        // SAFETY: null is allowed, and the pointer is live until it is freed.
        unsafe {
            assert!(realloc(pointer, usize::MAX).is_null());
            free(pointer);
            free(null_mut());
            free(realloc(null_mut(), 5));
        }
    }
}
