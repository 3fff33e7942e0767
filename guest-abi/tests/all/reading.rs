//! The check of bytes from the other side.

use guest_abi::cbor::{MAX_DEPTH, Reader, WireError, skip};
use guest_abi::value::{Kind, ValueError, ValueRef};
use proptest::prelude::*;

use crate::{oracle, pieces};

fn validated(bytes: &[u8]) -> Result<usize, WireError> {
    let mut reader = Reader::new(bytes);
    reader.value().map(|value| {
        assert_eq!(value.len(), reader.position());
        reader.position()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(4096) })]

    #[test]
    fn the_same_is_valid_and_the_same_is_wrong(bytes in pieces()) {
        prop_assert_eq!(validated(&bytes), oracle::value(&bytes));
        let mut reader = Reader::new(&bytes);
        prop_assert_eq!(reader.text().map(|text| (text, reader.position())), oracle::text(&bytes));
    }

    #[test]
    fn the_same_of_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        prop_assert_eq!(validated(&bytes), oracle::value(&bytes));
    }
}

#[test]
fn a_tagged_integer_that_is_cut_short_is_no_qualified_name() {
    let bytes = [0xD9, 0x51, 0x4E, 0x38];
    assert_eq!(validated(&bytes), Err(WireError::Unsupported { at: 0 }));
    assert_eq!(validated(&bytes), oracle::value(&bytes));
    assert_eq!(validated(&bytes[..3]), Err(WireError::Truncated));
}

#[test]
fn every_kind_is_accepted_and_skipped_alike() {
    let samples: [&[u8]; 13] = [
        &[0x00],
        &[0x3B, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF],
        &[0xFA, 0, 0, 0, 0],
        &[0xFB, 0, 0, 0, 0, 0, 0, 0, 0],
        &[0xF5],
        b"\x63abc",
        b"\x43abc",
        b"\xD9\x51\x4E\x82\x61a\x61b",
        b"\x82\x01\x80",
        b"\xA1\x61a\xA0",
        b"\xBF\x61a\x9F\x01\x02\xFF\xFF",
        b"\x81\x9F\xFF",
        b"\x9B\0\0\0\0\0\0\0\x01\x7B\0\0\0\0\0\0\0\x01a",
    ];
    for sample in samples {
        assert_eq!(validated(sample), Ok(sample.len()), "{sample:x?}");
        assert_eq!(skip(sample, 0), Ok(sample.len()), "{sample:x?}");
        for cut in 0..sample.len() {
            assert_eq!(validated(&sample[..cut]), Err(WireError::Truncated), "{sample:x?} cut at {cut}");
            assert_eq!(skip(&sample[..cut], 0), Err(WireError::Truncated), "{sample:x?} cut at {cut}");
        }
    }
}

#[test]
fn what_is_not_of_the_model_is_refused_where_it_stands() {
    assert_eq!(validated(&[0xF6]), Err(WireError::Unsupported { at: 0 }), "null");
    assert_eq!(validated(b"\x82\x01\xF7"), Err(WireError::Unsupported { at: 2 }), "undefined");
    assert_eq!(validated(b"\xA1\x01\x01"), Err(WireError::Unsupported { at: 1 }), "a key that is no text");
    assert_eq!(validated(b"\xC1\x01"), Err(WireError::Unsupported { at: 0 }), "another tag");
    assert_eq!(validated(b"\x62\xC3\x28"), Err(WireError::Malformed { at: 0 }), "not UTF-8");
    assert_eq!(validated(b"\x7F\x61a\xFF"), Err(WireError::Unsupported { at: 0 }), "chunked text");
    assert_eq!(validated(b"\x9B\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"), Err(WireError::Truncated), "a huge array");
    assert_eq!(validated(b"\x7B\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFFa"), Err(WireError::Truncated), "a huge text");
}

#[test]
fn what_is_no_cbor_is_malformed_and_not_beyond_the_model() {
    for byte in [0x1C, 0x3D, 0x5E, 0x7C, 0x9D, 0xBE, 0xDC, 0xFC, 0xFF, 0x1F, 0x3F, 0xDF] {
        let bytes = [byte, 0, 0];
        let malformed = WireError::Malformed { at: 0 };
        assert_eq!(validated(&bytes), Err(malformed), "{byte:#x}");
        assert_eq!(skip(&bytes, 0), Err(malformed), "{byte:#x}");
        assert_eq!(Reader::new(&bytes).map(), Err(malformed), "{byte:#x}");
        assert_eq!(Reader::new(&bytes).key_map(), Err(malformed), "{byte:#x}");
        assert_eq!(ValueRef::new(&bytes).kind(), Err(ValueError::Malformed(malformed)), "{byte:#x}");
        let name = [0xA1, byte, 0, 0];
        assert_eq!(validated(&name), Err(WireError::Malformed { at: 1 }), "{byte:#x} for a name");
    }
    for item in [&[0xF6][..], &[0xF7], &[0xF9, 0, 0], &[0xE0], &[0xF8, 0x20]] {
        assert_eq!(validated(item), Err(WireError::Unsupported { at: 0 }), "{item:x?}");
        assert_eq!(skip(item, 0), Ok(item.len()), "{item:x?}");
    }
}

#[test]
fn an_integer_beyond_64_bits_with_sign_is_not_of_the_model_on_either_side() {
    for sign in [0x1B, 0x3B] {
        let least = [sign, 0x80, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(validated(&least), Err(WireError::Unsupported { at: 0 }));
        assert_eq!(validated(&[sign; 9]), Ok(9), "{:x?} fits", [sign; 9]);
        let value = ValueRef::new(&least);
        let unsupported = ValueError::Malformed(WireError::Unsupported { at: 0 });
        assert_eq!((value.kind(), value.as_i64()), (Err(unsupported), Err(unsupported)));
        assert_eq!(
            (value.as_i32(), value.as_f32(), value.as_f64()),
            (Err(unsupported), Err(unsupported), Err(unsupported))
        );
        assert_eq!(skip(&least, 0), Ok(9), "it is well-formed");
        let nested = [&[0x81][..], &least].concat();
        assert_eq!(validated(&nested), Err(WireError::Unsupported { at: 1 }));
        for cut in 0..9 {
            assert_eq!(validated(&least[..cut]), Err(WireError::Truncated), "cut at {cut}");
        }
        assert_eq!(ValueRef::new(&[sign; 9]).kind(), Ok(Kind::Integer));
        assert_eq!(ValueRef::new(&[sign; 9]).as_i64().map(i64::is_negative), Ok(sign == 0x3B));
    }
}

#[test]
fn nesting_ends_at_the_limit() {
    let depth = MAX_DEPTH as usize;
    let mut nested = [0x81_u8; 66];
    nested[depth] = 0x01;
    assert_eq!(validated(&nested[..=depth]), Ok(depth + 1));
    nested[depth] = 0x81;
    nested[depth + 1] = 0x01;
    assert_eq!(validated(&nested), Err(WireError::TooDeep { at: depth }));
    assert_eq!(validated(&[0x9F; 5000]), Err(WireError::TooDeep { at: depth }));
}

#[test]
fn a_key_has_scalars_alone() {
    let key_map = |bytes| Reader::new(bytes).key_map().map(<[u8]>::len);
    assert_eq!(key_map(b"\xA2\x61a\x01\x61b\x61c"), Ok(8));
    assert_eq!(key_map(b"\xA1\x61a\xA0"), Err(WireError::Unsupported { at: 3 }));
    assert_eq!(key_map(b"\xA1\x61a\x9F\xFF"), Err(WireError::Unsupported { at: 3 }));
    assert_eq!(key_map(b"\x80"), Err(WireError::Unsupported { at: 0 }));
    assert_eq!(key_map(b""), Err(WireError::Truncated));
}

#[test]
fn after_an_error_the_reader_stays() {
    let mut reader = Reader::new(b"\x01\xF6");
    assert_eq!(reader.value(), Ok(&[1][..]));
    assert!(reader.value().is_err() && reader.text().is_err() && reader.map().is_err());
    assert_eq!((reader.position(), reader.rest()), (1, &[0xF6][..]));
}
