//! CRC-32, with a table that is built once, before the snapshot.

use std::hint::black_box;
use std::sync::OnceLock;

static TABLE: OnceLock<Box<[u32; 256]>> = OnceLock::new();

/// The reversed polynomial of IEEE 802.3.
const POLYNOMIAL: u32 = 0xEDB8_8320;

/// Builds the table, so that no call has to.
#[crate::sdk::init]
fn build_table() {
    table();
}

fn table() -> &'static [u32; 256] {
    TABLE.get_or_init(|| {
        // Hidden from the compiler, which would otherwise compute the table itself and leave nothing to do before the
        // snapshot but a copy.
        let polynomial = black_box(POLYNOMIAL);
        let mut table = Box::new([0; 256]);
        for (index, entry) in (0..).zip(table.iter_mut()) {
            *entry = (0..8).fold(index, |rest: u32, _| match rest & 1 {
                0 => rest >> 1,
                _ => (rest >> 1) ^ polynomial,
            });
        }
        table
    })
}

/// The CRC-32 of `bytes`.
pub(crate) fn crc32(bytes: &[u8]) -> u32 {
    let table = table();
    let mut rest = !0_u32;
    for byte in bytes {
        let [low, ..] = rest.to_le_bytes();
        rest = table[usize::from(low ^ byte)] ^ (rest >> 8);
    }
    !rest
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_check_value_of_the_catalogue() {
        super::build_table();
        assert_eq!(super::crc32(b"123456789"), 0xCBF4_3926);
    }
}
