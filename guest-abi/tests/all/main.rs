//! CBOR beside another implementation of it, and flat values.

mod flat;
mod functions;
mod oracle;
mod reading;
mod scanning;
mod writing;

use proptest::prelude::*;

/// Bytes that are often CBOR: heads and short texts in any order.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        any::<u8>().prop_map(|byte| vec![byte]),
        "[a-zé]{0,5}".prop_map(|text| {
            let mut bytes = vec![0x60 | u8::try_from(text.len()).unwrap()];
            bytes.extend_from_slice(text.as_bytes());
            bytes
        }),
        prop_oneof![Just(0x80_u8), Just(0x9F), Just(0xA1), Just(0xA2), Just(0xBF), Just(0xFF), Just(0xF5)]
            .prop_map(|byte| vec![byte]),
        any::<(u8, u32)>().prop_map(|(major, argument)| {
            let mut bytes = vec![major << 5 | 26];
            bytes.extend_from_slice(&(argument % 8).to_be_bytes());
            bytes
        }),
        (any::<u8>(), 0_u64..8, any::<bool>()).prop_map(|(major, argument, is_large)| {
            let mut bytes = vec![major << 5 | 27];
            bytes.extend_from_slice(&if is_large { u64::MAX - argument } else { argument }.to_be_bytes());
            bytes
        }),
        Just(b"\xD9\x51\x4E\x82\x61a\x61b".to_vec()),
        Just(b"\xD9\x51\x4E".to_vec()),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}
