//! Finding members in bytes that were checked, and in bytes that were not.

use guest_abi::cbor::scan::{Members, Unreadable, end_of, field, integer};
use guest_abi::cbor::{MAX_DEPTH, Reader, WireError, skip};
use guest_abi::value::{ObjectEncoder, ValueRef};
use minicbor::{Decoder, Encoder};
use proptest::prelude::*;

use crate::pieces;

/// The field with this name, as another implementation finds it.
fn careful_field<'b>(object: &'b [u8], name: &str) -> Option<&'b [u8]> {
    let mut decoder = Decoder::new(object);
    let length = decoder.map().unwrap();
    for _ in 0..length.unwrap_or(u64::MAX) {
        if length.is_none() && object[decoder.position()] == 0xFF {
            return None;
        }
        if decoder.str().unwrap() == name {
            return Some(&object[decoder.position()..]);
        }
        decoder.skip().unwrap();
    }
    None
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    #[test]
    fn in_valid_bytes_the_same_is_found_and_no_bytes_panic(bytes in pieces(), name in "[a-c]{0,2}") {
        let found = field(&bytes, &name);
        let skipped = skip(&bytes, 0);
        prop_assert_eq!(end_of(&bytes, 0).ok(), skipped.ok());
        let _ = (integer(&bytes), Members::of_array(&bytes).map(|mut members| {
            while members.next_element().is_some() {}
        }));
        if let Ok(value) = Reader::new(&bytes).value() {
            prop_assert_eq!(skipped, Ok(value.len()));
            let mut decoder = Decoder::new(&bytes);
            decoder.skip().unwrap();
            prop_assert_eq!(decoder.position(), value.len());
            match bytes[0] >> 5 {
                5 => prop_assert_eq!(found, Ok(careful_field(&bytes, &name))),
                _ => prop_assert_eq!(found, Err(Unreadable)),
            }
        }
    }

    #[test]
    fn integers_are_read_as_they_were_written(value: i64, shift in 0..64_u32, rest: u8) {
        let mut bytes = Vec::new();
        Encoder::new(&mut bytes).i64(value >> shift).unwrap();
        bytes.push(rest);
        prop_assert_eq!(integer(&bytes), Some(value >> shift));
        prop_assert_eq!(integer(&bytes[..bytes.len() - 1]), Some(value >> shift));
        prop_assert_eq!(integer(&bytes[..bytes.len() - 2]), None);
    }

    #[test]
    fn every_field_of_an_object_is_found(
        fields in prop::collection::vec(("[a-c]{0,30}", 0..6_u8, any::<i64>(), "[a-z]{0,300}"), 0..40),
        definite: bool,
    ) {
        let mut bytes = Vec::new();
        let mut object = ObjectEncoder::begin(&mut bytes);
        for (name, kind, number, text) in &fields {
            match kind {
                0 => {
                    object.put_i64(name, *number);
                }
                1 => {
                    object.put_f64(name, 0.5);
                }
                2 => {
                    object.put_str(name, text);
                }
                3 => {
                    object.put_bool(name, true);
                }
                4 => object.put_object(name, |inner| {
                    inner.put_str(name, text);
                }),
                _ => object.put_array(name, |inner| {
                    inner.push_i64(*number).push_str(text);
                }),
            }
        }
        object.end();
        if definite {
            // The same with its length stated.
            let mut head = Vec::new();
            Encoder::new(&mut head).map(fields.len() as u64).unwrap();
            bytes.pop();
            bytes.splice(..1, head);
        }
        for (name, ..) in &fields {
            prop_assert_eq!(field(&bytes, name).unwrap(), careful_field(&bytes, name));
        }
        prop_assert_eq!(field(&bytes, "absent"), Ok(None));
        prop_assert_eq!(skip(&bytes, 0), Ok(bytes.len()));
        for cut in (1..bytes.len()).step_by(bytes.len() / 50 + 1) {
            prop_assert_eq!(skip(&bytes[..cut], 0), Err(WireError::Truncated));
        }
    }

    #[test]
    fn names_are_compared_whole(one in "[ab]{0,20}", other in "[ab]{0,20}") {
        let mut bytes = Vec::new();
        let mut object = ObjectEncoder::begin(&mut bytes);
        object.put_i32(&one, 1);
        object.end();
        prop_assert_eq!(field(&bytes, &other).unwrap().is_some(), one == other);
        prop_assert!(field(&bytes, &one).unwrap().is_some());
    }
}

#[test]
fn lengths_that_overflow_are_unreadable() {
    assert_eq!(end_of(b"\x5B\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF", 0), Err(Unreadable));
    assert_eq!(end_of(b"\xBB\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x61a\x01", 0), Err(Unreadable));
}

#[test]
fn nesting_has_a_limit_only_where_lengths_are_not_stated() {
    let depth = MAX_DEPTH as usize;
    assert_eq!(skip(&[&[0x81; 100_000][..], b"\x01"].concat(), 0), Ok(100_001));
    assert_eq!(skip(&[0x81; 5000], 0), Err(WireError::TooDeep { at: depth + 2 }));
    assert_eq!(skip(&[0x9F; 5000], 0), Err(WireError::TooDeep { at: depth + 2 }));
}

#[test]
fn heads_of_nine_bytes_are_read_too() {
    let object = b"\xBB\0\0\0\0\0\0\0\x02\x7B\0\0\0\0\0\0\0\x01a\x9B\0\0\0\0\0\0\0\x01\x05\x61b\x07";
    assert_eq!(Reader::new(object).value(), Ok(&object[..]));
    assert_eq!(skip(object, 0), Ok(object.len()));
    let array = field(object, "a").unwrap().unwrap();
    let mut elements = Members::of_array(array).unwrap();
    assert_eq!((elements.left(), elements.next_element().unwrap().map(integer)), (Some(1), Ok(Some(5))));
    assert_eq!(field(object, "b").unwrap().and_then(integer), Some(7));
}

#[test]
fn members_end_after_an_error() {
    let mut members = Members::of_array(b"\x83\x01\x1C\x01").unwrap();
    assert_eq!(members.next_element(), Some(Ok(&b"\x01\x1C\x01"[..])));
    assert_eq!(members.next_element(), Some(Ok(&b"\x1C\x01"[..])), "nothing is looked into before it is passed");
    assert_eq!((members.next_element(), members.next_element()), (Some(Err(Unreadable)), None));
    let mut members = Members::of_object(b"\xA2\x01\x01").unwrap();
    assert_eq!((members.next_field(), members.next_field()), (Some(Err(Unreadable)), None));
}

#[test]
fn a_fault_is_told_with_its_place() {
    let fault = |bytes| ValueRef::new(bytes).field("b").unwrap_err().to_string();
    assert_eq!(fault(b"\xA2\x61a\x1C\x61b\x01"), "malformed CBOR or text that is not UTF-8 at byte 3");
    assert_eq!(fault(b"\xA2\x61a"), "the CBOR ends in the middle of an item");
    assert_eq!(fault(b"\x80"), "asked for object, found array");
    assert_eq!(
        ValueRef::new(b"\x61\xFF").as_str().unwrap_err().to_string(),
        "malformed CBOR or text that is not UTF-8 at byte 0"
    );
}
