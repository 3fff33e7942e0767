//! The head of an item: its first bytes, which hold its major type and its argument.

/// Major types, the upper three bits of an item's first byte.
pub mod major {
    /// A non-negative integer; the argument is its value.
    pub const UNSIGNED: u8 = 0;
    /// A negative integer: -1 less the argument.
    pub const NEGATIVE: u8 = 1;
    /// Bytes; the argument is their number.
    pub const BYTES: u8 = 2;
    /// UTF-8 text; the argument is its length in bytes.
    pub const TEXT: u8 = 3;
    /// An array; the argument is the number of its elements.
    pub const ARRAY: u8 = 4;
    /// A map; the argument is the number of its pairs.
    pub const MAP: u8 = 5;
    /// A tag, which the argument names; the tagged item follows.
    pub const TAG: u8 = 6;
    /// A float, a truth value or another simple value.
    pub const SIMPLE: u8 = 7;
}

/// Lower five bits of the first byte of an array or a map that ends with [`BREAK`] and does not state its length.
pub const INDEFINITE: u8 = 31;

/// Byte that ends an item of indefinite length.
pub const BREAK: u8 = 0xFF;

/// The head of an item.
///
/// ```
/// use guest_abi::cbor::{Head, major};
///
/// let head = Head::read(b"\x63abc", 0).unwrap();
/// assert_eq!((head.major, head.argument, head.behind), (major::TEXT, 3, 1));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Major type, one of the constants of [`major`].
    pub major: u8,
    /// Argument, or `usize::MAX` if it does not fit: no length in memory is as large.
    pub argument: usize,
    /// Position of the first byte behind the head.
    pub behind: usize,
}

impl Head {
    /// Reads the head at `at`. `None` if the bytes end inside of it, for an item of indefinite length, and for first
    /// bytes that CBOR reserves.
    #[must_use]
    #[inline(always)]
    pub fn read(bytes: &[u8], at: usize) -> Option<Self> {
        let initial = *bytes.get(at)?;
        let (major, info) = (initial >> 5, initial & 0x1F);
        if info < 24 {
            return Some(Self { major, argument: usize::from(info), behind: at + 1 });
        }
        let (argument, width) = long_argument(bytes, at, info)?;
        Some(Self { major, argument, behind: at + 1 + width })
    }

    /// Whether the head, which began at `at`, could not have been written in fewer bytes.
    #[must_use]
    pub const fn is_shortest(self, at: usize) -> bool {
        match self.behind - at {
            1 => true,
            2 => self.argument >= 24,
            3 => self.argument > 0xFF,
            5 => self.argument > 0xFFFF,
            _ => self.argument as u64 > 0xFFFF_FFFF,
        }
    }
}

/// The argument behind the first byte, and the number of its bytes.
#[cfg(not(target_pointer_width = "32"))]
#[inline]
fn long_argument(bytes: &[u8], at: usize, info: u8) -> Option<(usize, usize)> {
    let (argument, width) = argument(bytes, at, info)?;
    Some((usize::try_from(argument).unwrap_or(usize::MAX), width))
}

/// The same out of line, as most heads have one byte, and by a number, as a function of wasm32 returns that in a register.
/// (A result in memory makes each read of a field some 15 instructions longer, even if it is never written.)
#[cfg(target_pointer_width = "32")]
#[inline(always)]
fn long_argument(bytes: &[u8], at: usize, info: u8) -> Option<(usize, usize)> {
    #[inline(never)]
    fn packed_argument(bytes: &[u8], at: usize, info: u8) -> u64 {
        argument(bytes, at, info).map_or(0, pack)
    }
    unpack(packed_argument(bytes, at, info))
}

#[inline(always)]
fn argument(bytes: &[u8], at: usize, info: u8) -> Option<(u64, usize)> {
    let rest = bytes.get(at + 1..)?;
    Some(match info {
        24 => (u64::from(*rest.first()?), 1),
        25 => (u16::from_be_bytes(*rest.first_chunk()?).into(), 2),
        26 => (u32::from_be_bytes(*rest.first_chunk()?).into(), 4),
        27 => (u64::from_be_bytes(*rest.first_chunk()?), 8),
        _ => return None,
    })
}

/// An argument that is cut to 32 bits, and above it its width.
#[cfg(any(test, target_pointer_width = "32"))]
fn pack((argument, width): (u64, usize)) -> u64 {
    argument.min(0xFFFF_FFFF) | (width as u64) << 32
}

#[cfg(any(test, target_pointer_width = "32"))]
#[expect(clippy::cast_possible_truncation, reason = "each half is of 32 bits")]
#[inline(always)]
fn unpack(packed: u64) -> Option<(usize, usize)> {
    (packed != 0).then_some((packed as u32 as usize, (packed >> 32) as usize))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn argument_of(bytes: &[u8]) -> Option<(u64, usize)> {
        argument(bytes, 0, bytes[0] & 0x1F)
    }

    #[test]
    fn every_width_is_read_and_cut_short_is_none() {
        let heads: [(&[u8], usize); 5] = [
            (&[0x17], 0x17),
            (&[0x18, 0x99], 0x99),
            (&[0x19, 0xAB, 0xCD], 0xABCD),
            (&[0x1A, 1, 2, 3, 4], 0x0102_0304),
            (&[0x1B, 0, 0, 0, 0, 0xFE, 2, 3, 4], 0xFE02_0304),
        ];
        for (bytes, argument) in heads {
            let head = Head { major: major::UNSIGNED, argument, behind: bytes.len() };
            assert_eq!(Head::read(bytes, 0), Some(head));
            if let Some((argument, width)) = argument_of(bytes) {
                assert_eq!(unpack(pack((argument, width))), Some((head.argument, width)));
            }
            for cut in 0..bytes.len() {
                assert_eq!(Head::read(&bytes[..cut], 0), None, "{bytes:x?} cut at {cut}");
            }
        }
        for initial in (0..8).flat_map(|major| (28..32).map(move |info| major << 5 | info)) {
            assert_eq!(Head::read(&[initial; 10], 0), None, "{initial:#x}");
        }
    }

    #[test]
    fn a_length_that_no_memory_has_stays_one() {
        let head = Head::read(&[0x5B, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF], 0).unwrap();
        assert_eq!(head.argument, usize::MAX);
        assert_eq!(unpack(pack((u64::MAX, 8))), Some((0xFFFF_FFFF, 8)), "on wasm32");
    }

    #[test]
    fn the_shortest_head_is_told_from_longer_ones() {
        let is_shortest = |bytes: &[u8]| Head::read(bytes, 0).unwrap().is_shortest(0);
        for bytes in [&[0x17][..], &[0x18, 24], &[0x19, 1, 0], &[0x1A, 0, 1, 0, 0]] {
            assert!(is_shortest(bytes), "{bytes:x?}");
        }
        for bytes in
            [&[0x18, 23][..], &[0x19, 0, 255], &[0x1A, 0, 0, 255, 255], &[0x1B, 0, 0, 0, 0, 255, 255, 255, 255]]
        {
            assert!(!is_shortest(bytes), "{bytes:x?}");
        }
    }
}
