//! The bytes that the runner writes into allocations: they depend on the allocation and on the offset in it.
#![expect(unsafe_code, reason = "writes and reads allocations through their pointers")]

use core::{ops::Range, slice};

const LENGTH: usize = 4096;

/// Bytes without a short period, none of them zero.
static TABLE: [u8; 2 * LENGTH] = table();

const fn table() -> [u8; 2 * LENGTH] {
    let mut table = [0; 2 * LENGTH];
    let mut state = 0x2545_F491_u32;
    let mut at = 0;
    while at < LENGTH {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        table[at] = (state >> 11) as u8 | 1;
        table[at + LENGTH] = table[at];
        at += 1;
    }
    table
}

/// The bytes of allocation `seed` from `at` on, up to the end of a stretch of the table.
fn stretch(seed: usize, at: usize, end: usize) -> &'static [u8] {
    let from = (seed.wrapping_mul(797).wrapping_add(at)) % LENGTH;
    &TABLE[from..][..(end - at).min(LENGTH)]
}

/// Writes the pattern to a part of an allocation.
///
/// # Safety
/// The part is valid for writes.
pub(super) unsafe fn write(pointer: *mut u8, seed: usize, part: Range<usize>) {
    let mut at = part.start;
    while at < part.end {
        let bytes = stretch(seed, at, part.end);
        // SAFETY: inside the part; the table is a static.
        unsafe { pointer.add(at).copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        at += bytes.len();
    }
}

/// First offset below `size` at which the bytes differ from the pattern.
///
/// # Safety
/// The allocation is valid for reads, `size` bytes long and initialised.
pub(super) unsafe fn first_difference(pointer: *const u8, seed: usize, size: usize) -> Option<usize> {
    let mut at = 0;
    while at < size {
        let expected = stretch(seed, at, size);
        // SAFETY: inside the allocation; nobody writes to it meanwhile.
        let found = unsafe { slice::from_raw_parts(pointer.add(at), expected.len()) };
        if found != expected {
            return found.iter().zip(expected).position(|(found, expected)| found != expected).map(|i| at + i);
        }
        at += expected.len();
    }
    None
}

/// First offset below `size` whose byte is not zero.
///
/// # Safety
/// As [`first_difference`].
pub(super) unsafe fn first_not_zero(pointer: *const u8, size: usize) -> Option<usize> {
    // SAFETY: the caller's.
    let found = unsafe { slice::from_raw_parts(pointer, size) };
    let chunk = found.chunks(LENGTH).position(|chunk| chunk != &[0; LENGTH][..chunk.len()])?;
    found[chunk * LENGTH..].iter().position(|byte| *byte != 0).map(|at| chunk * LENGTH + at)
}
