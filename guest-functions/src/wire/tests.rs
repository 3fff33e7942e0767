use guest_abi::document::DocumentBuf;
use guest_abi::function::{Field, Kind, Scalar};
use proptest::prelude::*;

use super::*;
use crate::value::{Date, Decimal, Timestamp};

fn signature(params: &[(&str, Type)]) -> Signature {
    let mut signature = Signature::new(Kind::Scalar, "f");
    signature.params = params.iter().map(|(name, ty)| Field::new(*name, *ty)).collect();
    signature.results = vec![Field::new("", Type::of(Scalar::I64))];
    signature.strict = false;
    signature
}

const I64: Type = Type::of(Scalar::I64);
const TEXT: Type = Type::of(Scalar::String);
const DOCUMENT: Type = Type::of(Scalar::Document);

/// The arguments of a JSON text as text, or the error.
fn read(params: &[(&str, Type)], text: &str) -> String {
    match arguments(Encoding::Json, &signature(params), text.as_bytes()) {
        Ok(values) => Value::List(values).to_string(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn arguments_are_by_position_by_name_or_bare() {
    let two = [("a", I64), ("b", TEXT.nullable())];
    for (text, found) in [
        ("[1, \"x\"]", "[1, \"x\"]"),
        (" { \"b\": \"\\u0041\\n\", \"a\": -1 } ", "[-1, \"A\n\"]"),
        ("{\"a\": 1}", "[1, null]"),
        ("[1, null]", "[1, null]"),
    ] {
        assert_eq!(read(&two, text), found, "{text}");
    }
    for (text, found) in [("7", "[7]"), ("[7]", "[7]"), ("{\"a\": 7}", "[7]"), ("\"7\"", "[7]")] {
        assert_eq!(read(&[("a", I64)], text), found, "{text}");
    }
    for text in ["[]", "{}", "null", ""] {
        assert_eq!(read(&[], text), "[]", "{text}");
    }
    assert_eq!(arguments(Encoding::Cbor, &signature(&two), b"\xA1\x61a\x01").unwrap(), [Value::I64(1), Value::Null]);
}

#[test]
fn the_only_list_or_document_is_told_from_the_arguments() {
    let list = [("items", I64.list())];
    for (text, found) in [
        ("[1, 2]", "[[1, 2]]"),
        ("[1]", "[[1]]"),
        ("[]", "[[]]"),
        ("[[1, 2]]", "[[1, 2]]"),
        ("[[]]", "[[]]"),
        ("{\"items\": [1]}", "[[1]]"),
    ] {
        assert_eq!(read(&list, text), found, "{text}");
    }
    assert_eq!(read(&[("items", I64.nullable().list())], "[null]"), "[[null]]");
    assert_eq!(read(&[("items", I64.list().nullable())], "[null]"), "[null]");
    let document = [("order", DOCUMENT)];
    for (text, found) in [
        ("{\"id\": 7}", "[{\"id\":7}]"),
        ("[{\"id\": 7}]", "[{\"id\":7}]"),
        ("{\"order\": {\"id\": 7}}", "[{\"id\":7}]"),
        ("{\"order\": 7}", "[{\"order\":7}]"),
        ("{}", "[{}]"),
    ] {
        assert_eq!(read(&document, text), found, "{text}");
    }
}

#[test]
fn an_error_has_its_place_and_its_argument() {
    let params = [("a", I64), ("b", DOCUMENT), ("c", TEXT)];
    for (text, found) in [
        ("", "line 1, column 1: there is no JSON; write the arguments as"),
        ("[1,\n 2", "line 2, column 2: the text is not JSON: EOF"),
        ("[1] x", "line 1, column 5: the text is not JSON: trailing characters"),
        ("[\"ü\", {}, \"\"]", "line 1, column 2: the argument `a`: `ü` is not of type i64: an integer from"),
        ("[1.5, {}, \"\"]", "line 1, column 2: the argument `a`: `1.5` is not of type i64"),
        (
            "[9223372036854775808, {}, \"\"]",
            "line 1, column 2: the argument `a`: `9223372036854775808` is not of type i64",
        ),
        ("[null, {}, \"\"]", "line 1, column 2: the argument `a`: `null` is not of type i64"),
        ("[1, {}]", "line 1, column 1: `f(a: i64, b: document, c: string) -> i64` takes 3 arguments, and 2 were given"),
        ("7", "line 1, column 1: write the arguments of `f(a: i64, b: document, c: string) -> i64` as an array, or"),
        ("{\"a\": 1, \"b\": {}}", "line 1, column 1: the argument `c`: it is missing; its type is string"),
        ("{\"a\": 1,\n\"a\": 1}", "line 2, column 6: the argument `a`: it is there twice"),
        ("{\"x\": 1}", "line 1, column 7: `f` has no parameter `x`; there are `a`, `b`, `c`"),
        ("[1,\n{\"ü\": 1,\n \"y\": [nul]}, \"\"]", "line 3, column 11: the text is not JSON: expected ident"),
        (
            "[1,\n{\"ü\": 1,\n \"y\": 1, \"y\": 2}, \"\"]",
            "line 3, column 10: the argument `b`: the object has a member of this name",
        ),
        ("[1, [], \"\"]", "line 1, column 5: the argument `b`: `[]` is not of type document: a document is an object"),
        ("[1, {}, 5]", "line 1, column 9: the argument `c`: `5` is not of type string: write text, in JSON in double"),
    ] {
        let error = read(&params, text);
        assert!(error.starts_with(found), "{text}: {error}");
    }
    let cbor = |bytes: &[u8]| arguments(Encoding::Cbor, &signature(&params), bytes).unwrap_err().to_string();
    for (bytes, found) in [
        (&b""[..], "byte 0: the bytes end within an item"),
        (b"\x83\x01\xA0", "byte 3: the bytes end within an item"),
        (b"\x83\x61x\xA0\x60", "byte 1: the argument `a`: `x` is not of type i64"),
        (b"\x83\x01\xA1\x61a\x41\x00\x60", "byte 5: the argument `b`: a document has no bytes; write text"),
        (b"\x83\x01\xA2\x61a\x01\x61a\x01\x60", "byte 2: the argument `b`: the object has a member of this name"),
        (b"\x83\x01\xA0\x60\x00", "byte 4: the item has ended"),
        (b"\x9F\x01\xFF", "byte 0: lengths must be definite"),
        (b"\x83\x01\xA1\x01\x01\x60", "byte 3: the names of a map are texts"),
        (b"\xC1\x01", "byte 0: the tag has no meaning here"),
        (b"\x61\xFF", "byte 0: the text is not UTF-8"),
        (b"\xBB\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF", "byte 9: the bytes end within an item"),
    ] {
        let error = cbor(bytes);
        assert!(error.starts_with(found), "{bytes:x?}: {error}");
    }
    assert!(cbor(&[0x81; 1000]).contains("nested too deep"));
}

#[test]
fn null_reaches_a_strict_function() {
    let mut strict = signature(&[("a", I64), ("b", I64.list())]);
    strict.strict = true;
    assert_eq!(arguments(Encoding::Json, &strict, b"[null, null]").unwrap(), [Value::Null, Value::Null]);
    let error = arguments(Encoding::Json, &strict, b"[true, null]").unwrap_err().to_string();
    assert!(error.contains("`true` is not of type i64"), "{error}");
}

#[test]
fn numbers_of_other_widths_are_read() {
    let read = |ty, bytes: &[u8]| value(Encoding::Cbor, Type::of(ty), bytes).unwrap();
    assert_eq!(read(Scalar::F64, b"\xF9\x3C\x00"), Value::F64(1.0));
    assert_eq!(read(Scalar::F32, b"\xF9\xC4\x00"), Value::F32(-4.0));
    assert_eq!(read(Scalar::F64, b"\xF9\x00\x01"), Value::F64(5.960_464_477_539_063e-8));
    assert_eq!(read(Scalar::F64, b"\xF9\x7C\x00"), Value::F64(f64::INFINITY));
    assert_eq!(read(Scalar::F64, b"\xFA\x3F\x80\x00\x00"), Value::F64(1.0));
    assert_eq!(read(Scalar::U64, b"\x1B\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"), Value::U64(u64::MAX));
    assert_eq!(read(Scalar::Date, b"\xD9\x03\xEC\x6A1970-01-02"), Value::Date(Date { days: 1 }));
    let json = |ty, text: &str| value(Encoding::Json, Type::of(ty), text.as_bytes());
    assert_eq!(json(Scalar::F64, "2"), Ok(Value::F64(2.0)));
    assert_eq!(json(Scalar::F32, "16777217.0"), Ok(Value::F32(16_777_216.0)));
    assert_eq!(json(Scalar::F64, "-0").map(|value| value.to_string()), Ok("-0".to_owned()));
    assert!(json(Scalar::F64, "1e999").is_err() && json(Scalar::F32, "1e39").is_err());
    assert_eq!(json(Scalar::U64, "\"18446744073709551615\""), Ok(Value::U64(u64::MAX)));
    let price = Scalar::Decimal { precision: 5, scale: 2 };
    assert_eq!(json(price, "12.5"), Ok(Value::Decimal(Decimal { units: 1250, scale: 2 })));
    assert!(json(price, "12.505").unwrap_err().to_string().contains("no more digits than the type has"));
}

fn documents() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<u64>().prop_map(Into::into),
        (-1e9..1e9).prop_map(|value: f64| value.into()),
        any::<String>().prop_map(Into::into),
    ];
    let items = leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            proptest::collection::btree_map(any::<String>(), inner, 0..8)
                .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    });
    proptest::collection::btree_map(any::<String>(), items, 0..6).prop_map(|members| {
        let object = serde_json::Value::Object(members.into_iter().collect());
        Value::Document(DocumentBuf::from_json(&object.to_string()).unwrap())
    })
}

/// Values of each type that is no list.
fn scalars() -> impl Strategy<Value = (Scalar, BoxedStrategy<Value>)> {
    let not_nan = any::<f64>().prop_filter("equal to itself", |value| !value.is_nan());
    let not_nan_32 = any::<f32>().prop_filter("equal to itself", |value| !value.is_nan());
    prop::sample::select(vec![
        (Scalar::Bool, any::<bool>().prop_map(Value::from).boxed()),
        (Scalar::I32, any::<i32>().prop_map(Value::from).boxed()),
        (Scalar::I64, any::<i64>().prop_map(Value::from).boxed()),
        (Scalar::U64, any::<u64>().prop_map(Value::from).boxed()),
        (Scalar::F32, not_nan_32.prop_map(Value::from).boxed()),
        (Scalar::F64, not_nan.prop_map(Value::from).boxed()),
        (Scalar::String, any::<String>().prop_map(Value::from).boxed()),
        (Scalar::Bytes, any::<Vec<u8>>().prop_map(Value::from).boxed()),
        (Scalar::Record, any::<Vec<u8>>().prop_map(Value::Record).boxed()),
        (Scalar::Date, (-700_000..2_900_000).prop_map(|days| Date { days }.into()).boxed()),
        (
            Scalar::Timestamp,
            (-60_000_000_000_000_000..250_000_000_000_000_000_i64)
                .prop_map(|microseconds| Timestamp { microseconds }.into())
                .boxed(),
        ),
        (
            Scalar::Decimal { precision: 30, scale: 7 },
            any::<i128>().prop_map(|units| Decimal { units: units / 1_000_000_000, scale: 7 }.into()).boxed(),
        ),
        (Scalar::Document, documents().boxed()),
    ])
}

/// A type, and a value of it.
fn typed() -> impl Strategy<Value = (Type, Value)> {
    scalars().prop_flat_map(|(scalar, values)| {
        let ty = Type::of(scalar);
        let items = proptest::option::of(values.clone()).prop_map(|value| value.unwrap_or(Value::Null));
        prop_oneof![
            values.clone().prop_map(move |value| (ty, value)),
            items.clone().prop_map(move |value| (ty.nullable(), value)),
            proptest::collection::vec(values, 0..5).prop_map(move |items| (ty.list(), Value::List(items))),
            proptest::collection::vec(items, 0..5).prop_map(move |items| (ty.nullable().list(), Value::List(items))),
        ]
    })
}

proptest! {
    #[test]
    fn a_value_that_is_written_is_read_back((ty, written) in typed()) {
        for encoding in [Encoding::Json, Encoding::Cbor] {
            let mut bytes = Vec::new();
            write(encoding, &written, &mut bytes);
            prop_assert_eq!(&value(encoding, ty, &bytes), &Ok(written.clone()), "{} {:?}", ty, bytes);
        }
    }

    #[test]
    fn arguments_that_are_written_are_read_back(params in proptest::collection::vec(typed(), 0..4)) {
        let names = ["a", "b", "c", "d"];
        let types: Vec<(&str, Type)> = names.iter().zip(&params).map(|(name, (ty, _))| (*name, *ty)).collect();
        let values: Vec<Value> = params.into_iter().map(|(_, value)| value).collect();
        for encoding in [Encoding::Json, Encoding::Cbor] {
            // The only argument is ambiguous where it is a list of one null.
            if !matches!(values.as_slice(), [Value::Null]) || types[0].1.list.is_none() {
                let mut bytes = Vec::new();
                write(encoding, &Value::List(values.clone()), &mut bytes);
                prop_assert_eq!(&arguments(encoding, &signature(&types), &bytes), &Ok(values.clone()), "{:?}", bytes);
            }
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>, text: String, (ty, _) in typed()) {
        let params = [("a", ty), ("b", I64)];
        for count in 0..=2 {
            let signature = signature(&params[..count]);
            for encoding in [Encoding::Json, Encoding::Cbor] {
                let _ = arguments(encoding, &signature, &bytes);
                let _ = arguments(encoding, &signature, text.as_bytes());
            }
        }
    }

    /// Bytes that are nearly right: what is read of them is a value like any other.
    #[test]
    fn a_changed_byte_is_read_or_refused((ty, written) in typed(), at: prop::sample::Index, byte: u8) {
        for encoding in [Encoding::Json, Encoding::Cbor] {
            let mut bytes = Vec::new();
            write(encoding, &written, &mut bytes);
            *at.get_mut(&mut bytes) = byte;
            let Ok(read) = value(encoding, ty, &bytes) else { continue };
            let (mut once, mut twice) = (Vec::new(), Vec::new());
            write(encoding, &read, &mut once);
            write(encoding, &value(encoding, ty, &once).unwrap(), &mut twice);
            // By their bytes, as NaN is not equal to itself.
            prop_assert_eq!(once, twice);
        }
    }
}
