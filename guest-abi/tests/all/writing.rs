//! Values written in place and piece by piece equal those of another implementation.
#![expect(unsafe_code, reason = "implements a sink")]

use guest_abi::cbor::encode::{self, Encoded, Scalar, Sink};
use guest_abi::intent::{self, Intent, Operation};
use guest_abi::key::Key;
use guest_abi::value::{ArrayEncoder, ObjectEncoder, QName};
use minicbor::Encoder;
use minicbor::data::Tag;
use proptest::prelude::*;

/// A sink that never has room.
#[derive(Default)]
struct Cramped(Vec<u8>);

// SAFETY: it gives no room.
unsafe impl Sink for Cramped {
    fn room(&mut self, _bytes: usize) -> Option<*mut u8> {
        None
    }

    unsafe fn written(&mut self, _end: *mut u8) {
        unreachable!("there was no room to write to");
    }

    fn append(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }
}

/// Checks a field and an element with this value.
fn check<T: Scalar>(name: &str, value: T, expected: impl Fn(&mut Encoder<&mut Vec<u8>>)) -> Result<(), TestCaseError> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes);
    encoder.str(name).unwrap();
    expected(&mut encoder);
    expected(&mut encoder);
    let (mut roomy, mut cramped) = (Vec::new(), Cramped::default());
    encode::field(&mut roomy, name, value);
    encode::element(&mut roomy, value);
    encode::field(&mut cramped, name, value);
    encode::element(&mut cramped, value);
    prop_assert_eq!(&roomy, &bytes);
    prop_assert_eq!(&cramped.0, &bytes);
    Ok(())
}

proptest! {
    #[test]
    fn scalars_and_names(
        name in "[a-zä]{0,40}", integer: i64, shift in 0..64_u32, narrow: i32, double: f64, float: f32,
        text in "[a-zä]{0,300}", blob in prop::collection::vec(any::<u8>(), 0..70_000), truth: bool, encoded: [u8; 5],
    ) {
        let integer = integer >> shift;
        let narrow = narrow >> (shift / 2);
        check(&name, integer, |encoder| drop(encoder.i64(integer)))?;
        check(&name, narrow, |encoder| drop(encoder.i32(narrow)))?;
        check(&name, float, |encoder| drop(encoder.f32(float)))?;
        check(&name, double, |encoder| drop(encoder.f64(double)))?;
        check(&name, truth, |encoder| drop(encoder.bool(truth)))?;
        check(&name, text.as_str(), |encoder| drop(encoder.str(&text)))?;
        check(&name, blob.as_slice(), |encoder| drop(encoder.bytes(&blob)))?;
        check(&name, Encoded(encoded), |encoder| encoder.writer_mut().extend_from_slice(&encoded))?;
    }

    #[test]
    fn qualified_names_and_heads(package in "[a-z.]{0,30}", entity in "[a-z]{0,300}", length in 0..70_000_usize) {
        let mut expected = Vec::new();
        let mut encoder = Encoder::new(&mut expected);
        encoder.tag(Tag::new(0x514E)).unwrap().array(2).unwrap().str(&package).unwrap().str(&entity).unwrap();
        encoder.map(length as u64).unwrap().array(length as u64).unwrap().begin_map().unwrap().begin_array().unwrap();
        encoder.end().unwrap();
        let (mut roomy, mut cramped) = (Vec::new(), Cramped::default());
        fn write<S: Sink>(sink: &mut S, name: QName<'_>, length: usize) {
            encode::qname(sink, name);
            encode::object_of(sink, length);
            encode::array_of(sink, length);
            for mark in [encode::BEGIN_OBJECT, encode::BEGIN_ARRAY, encode::END] {
                encode::mark(sink, mark);
            }
        }
        let name = QName { package: &package, entity: &entity };
        write(&mut roomy, name, length);
        write(&mut cramped, name, length);
        prop_assert_eq!(&roomy, &expected);
        prop_assert_eq!(&cramped.0, &expected);
    }

    #[test]
    fn intents_are_begun_the_same_way_by_both_functions(storage in "[a-z.]{0,30}", is_new: bool, value: i64) {
        let operation = if is_new { Operation::New } else { Operation::Update };
        let mut key = Vec::new();
        encode::element(&mut key, storage.as_str());
        encode::element(&mut key, "");
        encode::object_of(&mut key, 1);
        encode::field(&mut key, "Id", value);

        let mut pieces = Vec::new();
        intent::encode_header(&mut pieces, operation);
        pieces.extend_from_slice(&key);
        encode::mark(&mut pieces, encode::BEGIN_OBJECT);
        let (mut roomy, mut cramped) = (Vec::new(), Cramped::default());
        intent::begin(&mut roomy, operation, &key);
        intent::begin(&mut cramped, operation, &key);
        prop_assert_eq!(&roomy, &pieces);
        prop_assert_eq!(&cramped.0, &pieces);

        let mut object = ObjectEncoder::resume(&mut roomy);
        object.put_i64("Value", value);
        object.end();
        let intents: Result<Vec<Intent<'_>>, _> = intent::intents(&roomy).collect();
        let intents = intents.unwrap();
        prop_assert_eq!(intents.len(), 1);
        prop_assert_eq!((intents[0].operation, intents[0].key), (operation, Key::parse(&key).unwrap()));
        prop_assert_eq!(intents[0].value.field("Value").unwrap().unwrap().as_i64(), Ok(value));
    }
}

#[test]
fn intents_are_read_whatever_the_width_of_their_heads() {
    let rest = b"\x60\x60\xA0\xA0";
    for (start, operation) in [
        (&b"\x85\x00"[..], Operation::New),
        (b"\x85\x01", Operation::Update),
        (b"\x98\x05\x18\x01", Operation::Update),
        (b"\x99\x00\x05\x19\x00\x00", Operation::New),
    ] {
        let bytes = [start, rest].concat();
        let intent = intent::intents(&bytes).next().unwrap().unwrap();
        assert_eq!(intent.operation, operation);
    }
    use guest_abi::cbor::WireError::{Truncated, Unsupported};
    for (bytes, error) in [
        (&b"\x85\x02\x60\x60\xA0\xA0"[..], Unsupported { at: 0 }),
        (b"\x84\x00\x60\x60\xA0", Unsupported { at: 0 }),
        (b"\x9F\x00\x60\x60\xA0\xA0\xFF", Unsupported { at: 0 }),
        (b"\x85\x20\x60\x60\xA0\xA0", Unsupported { at: 0 }),
        (b"\x85\x9F", Unsupported { at: 0 }),
        (b"\x85", Truncated),
        (b"\x98", Truncated),
        (b"\x85\x00\x60\x60\xA0\x80", Unsupported { at: 5 }),
    ] {
        assert_eq!(intent::validate(bytes), Err(error), "{bytes:x?}");
    }
}

#[test]
fn an_array_without_elements_is_written_as_such() {
    let mut bytes = Vec::new();
    ArrayEncoder::begin(&mut bytes).end();
    assert_eq!(bytes, [0x9F, 0xFF]);
}
