//! Copying few bytes without `memory.copy`, which engines turn into a call.
#![expect(unsafe_code, reason = "reads and writes through pointers")]

use core::ptr::copy_nonoverlapping;

/// Up to here, copies are a few loads and stores.
const SHORT: usize = 32;

/// Copies `length` bytes.
///
/// # Safety
/// As [`copy_nonoverlapping`]: the source is readable, the target writable, and they do not overlap.
#[inline(always)]
pub unsafe fn copy_bytes(from: *const u8, to: *mut u8, length: usize) {
    /// Copies the first and the last `N` bytes, which may overlap each other.
    ///
    /// # Safety
    /// As `copy_bytes`, and `N <= length`.
    #[inline(always)]
    unsafe fn ends<const N: usize>(from: *const u8, to: *mut u8, length: usize) {
        // SAFETY: the caller's promise, and `N` is at most the length.
        unsafe {
            let last = from.add(length - N).cast::<[u8; N]>().read();
            let first = from.cast::<[u8; N]>().read();
            to.cast::<[u8; N]>().write(first);
            to.add(length - N).cast::<[u8; N]>().write(last);
        }
    }
    // SAFETY: the caller's promise; each arm stays within the length.
    unsafe {
        match length {
            0 => {}
            1 => to.write(from.read()),
            2..4 => ends::<2>(from, to, length),
            4..8 => ends::<4>(from, to, length),
            8..16 => ends::<8>(from, to, length),
            16..=SHORT => {
                ends::<8>(from, to, 16);
                ends::<8>(from.add(length - 16), to.add(length - 16), 16);
            }
            _ => copy_nonoverlapping(from, to, length),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_the_bytes_asked_for_are_copied() {
        let from: [u8; 80] = core::array::from_fn(|at| u8::try_from(at + 1).unwrap());
        for length in 0..=70 {
            let mut to = [0; 80];
            // SAFETY: both are longer.
            unsafe { copy_bytes(from.as_ptr(), to.as_mut_ptr().add(5), length) };
            assert_eq!(to[5..5 + length], from[..length]);
            assert!(to[..5].iter().chain(&to[5 + length..]).all(|byte| *byte == 0));
        }
    }
}
