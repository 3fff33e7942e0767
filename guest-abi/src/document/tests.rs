//! Documents: paths, types, bytes from anywhere.

extern crate std;

use std::string::{String, ToString};
use std::vec::Vec;
use std::{format, vec};

use proptest::prelude::*;

use super::*;
use crate::cbor::WireError;
use crate::path;
use crate::value::{Kind, ValueError};

fn document(json: &str) -> DocumentBuf {
    DocumentBuf::from_json(json).unwrap_or_else(|error| panic!("{error}\n{json}"))
}

const SAMPLE: &str = r#"{"id":"A-1","score":1.5,"a":{"b.c":{"":7},"list":[1,[2.5,null],{"x":"y"}],"q\"":true},"0":"digit","n":null,"big":18446744073709551615,"odd":9007199254740993,"low":-9223372036854775808}"#;

#[test]
fn paths_lead_to_members_and_elements() {
    let sample = document(SAMPLE);
    let sample = sample.as_document();
    assert_eq!((sample.id(), sample.score()), ("A-1", 1.5));
    assert_eq!(sample.get_i64(path!(r#"a."b.c"."""#)), Ok(Some(7)));
    assert_eq!(sample.get_i64("a.list[0]"), Ok(Some(1)));
    assert_eq!(sample.get_i64("a.list.0"), Ok(Some(1)));
    assert_eq!(sample.get_f64(path!("a.list[1][0]")), Ok(Some(2.5)));
    assert_eq!(sample.get_str("a.list.2.x"), Ok(Some("y")));
    assert_eq!(sample.get_bool(r#"a."q\"""#), Ok(Some(true)));
    assert_eq!(
        (sample.get_str("0"), sample.get_str("[0]"), sample.get_str(r#"a.list."2".x"#)),
        (Ok(Some("digit")), Ok(None), Ok(None))
    );
    assert_eq!(sample.get_list_len("a.list"), Ok(Some(3)));
    let kinds: Vec<_> = sample.get_list("a.list").unwrap().unwrap().map(|item| item.unwrap().unwrap().kind()).collect();
    assert_eq!(kinds, [Ok(Kind::Integer), Ok(Kind::Array), Ok(Kind::Object)]);
}

#[test]
fn missing_null_and_wrong_type_are_told_apart() {
    let sample = document(SAMPLE);
    let sample = sample.as_document();
    for path in ["m", "a.m", "a.list[3]", "a.list[0].x", "id.x", "a.list.x", "n.x"] {
        assert_eq!((sample.get_str(path), sample.exists(path)), (Ok(None), Ok(false)), "{path}");
    }
    assert_eq!((sample.get_str("n"), sample.exists("n")), (Ok(None), Ok(true)));
    let wrong = |asked, found| ValueError::WrongType { asked, found };
    let error = |result: Result<(), FieldError<'static>>| match result {
        Err(FieldError::Value { error, .. }) => error,
        other => panic!("{other:?}"),
    };
    assert_eq!(error(sample.get_str("score").map(drop)), wrong("string", Kind::Float64));
    assert_eq!(error(sample.get_str("big").map(drop)), wrong("string", Kind::Integer));
    assert_eq!(error(sample.get_i64("score").map(drop)), wrong("i64", Kind::Float64));
    assert_eq!(error(sample.get_f64("id").map(drop)), wrong("f64", Kind::Text));
    assert_eq!(error(sample.get_bool("a").map(drop)), wrong("bool", Kind::Object));
    assert_eq!(error(sample.get_list_len("a").map(drop)), wrong("list", Kind::Object));
    let range = |asked| ValueError::OutOfRange { asked, found: Kind::Integer };
    assert_eq!(error(sample.get_i64("big").map(drop)), range("i64"));
    assert_eq!(error(sample.get_u64("low").map(drop)), range("u64"));
    assert_eq!(error(sample.get_f64("odd").map(drop)), range("f64"));
    assert_eq!(error(sample.get_f64("big").map(drop)), range("f64"));
    assert_eq!((sample.get_u64("big"), sample.get_i64("low")), (Ok(Some(u64::MAX)), Ok(Some(i64::MIN))));
    assert_eq!(
        (sample.get_f64("low"), sample.get_i64("odd")),
        (Ok(Some(-9_223_372_036_854_775_808.0)), Ok(Some((1 << 53) + 1)))
    );
}

#[test]
fn a_path_that_is_not_well_formed_is_an_error_whatever_the_document_has() {
    let empty = document("{}");
    for (path, at, reason) in [
        ("", 0, "empty"),
        (".a", 0, "a name is missing"),
        ("a.", 2, "a name is missing"),
        ("a..b", 2, "a name is missing"),
        ("a[", 2, "an index"),
        ("a[x]", 2, "an index"),
        ("a[-1]", 2, "an index"),
        ("a[99999999999999999999999]", 2, "an index"),
        ("a[0]b", 4, "a dot or a bracket"),
        ("a\"b", 1, "in double quotes"),
        ("a]", 1, "in double quotes"),
        ("a.\"b", 2, "not closed"),
        ("a.\"b\\n\"", 4, "a backslash precedes"),
        ("\"a\"b", 3, "a dot or a bracket"),
    ] {
        let Err(FieldError::Path { error, .. }) = empty.as_document().get_str(path) else { panic!("{path}") };
        assert!(error.at == at && error.reason.contains(reason), "{path}: {error}");
        assert_eq!(Path::check(path), Err(error));
    }
    for (path, steps) in [("a", 1), ("größe.β x", 2), ("[0][1].a", 3), ("\"\".\"a\\\\\"", 2)] {
        assert_eq!((Path::check(path), path.steps().count()), (Ok(steps), steps), "{path}");
        assert_eq!(empty.as_document().exists(path), Ok(false));
    }
}

#[test]
fn json_that_is_no_document_says_where_and_why() {
    let deep = format!("{{\"a\":{}", "[".repeat(64));
    for (json, place, reason) in [
        ("", (1, 1, ""), "ends within"),
        ("[1]", (1, 1, ""), "is a JSON object"),
        ("{\"a\": 1} {", (1, 10, ""), "has ended"),
        ("{\"a\": {\"b\": [0, nope]}}", (1, 17, "a.b[1]"), "true, false or null"),
        ("{\n \"ä\": NaN}", (2, 7, "ä"), "neither NaN"),
        ("{\"ä\": -Infinity}", (1, 7, "ä"), "neither NaN"),
        ("{\"a.b\": 18446744073709551616}", (1, 9, "\"a.b\""), "write it as text"),
        ("{\"a\": -9223372036854775809}", (1, 7, "a"), "write it as text"),
        ("{\"a\": 1e999}", (1, 7, "a"), "64-bit floats"),
        ("{\"a\": 01}", (1, 8, "a"), "no leading zero"),
        ("{\"a\": 1.}", (1, 9, "a"), "a number is digits"),
        ("{\"a\": +1}", (1, 7, "a"), "must be a value"),
        ("{\"a\": 1, \"a\": 2}", (1, 10, ""), "already"),
        ("{\"a\": 1, \"\\u0061\": 2}", (1, 10, ""), "already"),
        ("{\"a\" 1}", (1, 6, ""), "a colon"),
        ("{a: 1}", (1, 2, ""), "double quotes"),
        ("{\"a\": 1,}", (1, 9, ""), "double quotes"),
        ("{\"a\": [1 2]}", (1, 10, "a"), "a comma or ]"),
        ("{\"a\": \"\\x\"}", (1, 8, "a"), "a backslash precedes"),
        ("{\"a\": \"\\ud800\"}", (1, 8, "a"), "not alone"),
        ("{\"a\": \"\\u00e\"}", (1, 8, "a"), "hexadecimal"),
        ("{\"a\": \"\t\"}", (1, 8, "a"), "control character"),
        ("{\"a\": \"b", (1, 9, "a"), "ends within"),
        (
            &deep,
            (
                1,
                69,
                "a[0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0]",
            ),
            "deeper than 64",
        ),
    ] {
        let error = DocumentBuf::from_json(json).unwrap_err();
        assert_eq!((error.line, error.column, error.path.as_str()), place, "{json}: {error}");
        assert!(error.reason.contains(reason), "{json}: {error}");
    }
    let error = JsonOptions::default().read(b"{\"a\": \"\xC3\xA4\xFF\"}").unwrap_err();
    assert_eq!((error.column, error.reason), (9, "the text is not UTF-8"));
}

#[test]
fn json_leads_back() {
    let text = r#"{"s":"\"\\\n\u0001é😀","n":[0,-1,1.0,-0.0,1e300,5e-324,18446744073709551615],"o":{},"l":[],"t":[true,false,null]}"#;
    let read = document(text);
    assert_eq!(read.to_json(), text);
    assert_eq!(DocumentBuf::from_bytes(read.as_bytes().to_vec()), Ok(read.clone()));
    assert_eq!(
        document(r#" { "a" : "\ud83d\ude00\/\b\f\r\t" , "z":-0 } "#).to_json(),
        "{\"a\":\"😀/\\u0008\\u000c\\r\\t\",\"z\":-0.0}"
    );
    let nan = DocumentBuf::new(|fields| fields.put("a").f64(f64::NAN));
    assert_eq!(nan.to_json(), r#"{"a":null}"#);
}

#[test]
fn id_and_score_are_members_of_these_names_and_types() {
    let of = |options: JsonOptions, json: &str| {
        let read = options.read(json.as_bytes()).unwrap();
        (String::from(read.as_document().id()), read.as_document().score())
    };
    let default = JsonOptions::default;
    assert_eq!(of(default(), r#"{"_id":"b","id":"a","_score":2,"score":1}"#), ("a".into(), 1.0));
    assert_eq!(of(default(), r#"{"_id":-5,"_score":0.5}"#), ("-5".into(), 0.5));
    assert_eq!(of(default(), r#"{"id":[1],"score":"high"}"#), (String::new(), 0.0));
    // The nearest float: a score ranks.
    assert_eq!(of(default(), r#"{"score":9007199254740993}"#).1, 9_007_199_254_740_992.0);
    assert_eq!(of(default(), r#"{"score":18446744073709551615}"#).1, 18_446_744_073_709_551_615.0);
    assert_eq!(of(default().with_id("a.b").with_score("r"), r#"{"id":"x","a.b":"y","r":3}"#), ("y".into(), 3.0));
    let moved = document("{\"id\":\"long enough to move the fields\",\"x\":1}").with_id("").with_score(-1.0);
    assert_eq!((moved.as_document().id(), moved.as_document().get_i64("x")), ("", Ok(Some(1))));
    let long = moved.with_id(&"i".repeat(300));
    assert_eq!((long.as_document().id().len(), DocumentBuf::from_bytes(long.clone().into_bytes())), (300, Ok(long)));
}

#[test]
fn a_projection_has_what_its_paths_lead_to() {
    let sample = document(SAMPLE);
    for (paths, expected) in [
        (vec!["a.list[2].x", "n", "missing", "id.x"], r#"{"a":{"list":[{"x":"y"}]},"n":null}"#),
        (vec!["a.list[1]", "a.list"], r#"{"a":{"list":[1,[2.5,null],{"x":"y"}]}}"#),
        (vec!["0", "a.list.1.1"], r#"{"a":{"list":[[null]]},"0":"digit"}"#),
        (vec![], "{}"),
        (vec!["a.missing", "a.list[9]"], "{}"),
    ] {
        let projected = sample.as_document().project(paths.iter().copied()).unwrap();
        assert_eq!(projected.to_json(), expected, "{paths:?}");
        assert_eq!((projected.as_document().id(), projected.as_document().score()), ("A-1", 1.5));
        assert!(DocumentBuf::from_bytes(projected.into_bytes()).is_ok());
    }
    assert!(sample.as_document().project(["a."]).is_err());
}

#[test]
#[should_panic(expected = "put each name once")]
fn a_name_is_put_once() {
    let _ = DocumentBuf::new(|fields| {
        fields.put("a").list(|list| list.push().null());
        fields.put("b").null();
        fields.put("a").null();
    });
}

#[test]
fn bytes_that_are_no_document_have_a_fault_and_a_place() {
    let with = |fields: &[u8]| [b"\x83\xFB\0\0\0\0\0\0\0\0\x60".as_slice(), fields].concat();
    for (fields, fault) in [
        (&b"\xA2\x61a\x01\x61a\x02"[..], WireError::Duplicate { at: 15 }),
        (b"\xA1\x61a\xA0", WireError::Unsupported { at: 14 }),
        (b"\xA1\x61a\x41a", WireError::Unsupported { at: 14 }),
        (b"\xA1\x61a\xD8\x18\x41\x01", WireError::Unsupported { at: 17 }),
        (b"\xA1\x61a\xD8\x18\x42\x80\x01", WireError::Malformed { at: 18 }),
        (b"\xA1\x61a\xFA\0\0\0\0", WireError::Unsupported { at: 14 }),
        (b"\xA1\x61a\x3B\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF", WireError::Unsupported { at: 14 }),
        (b"\xA1\x61\xFF\x01", WireError::Malformed { at: 12 }),
        (b"\xA1\x61a", WireError::Truncated),
        (b"\xA1\x61a\xFB\0", WireError::Truncated),
        (b"\xA0\x01", WireError::Malformed { at: 12 }),
        (b"\xBF\xFF", WireError::Unsupported { at: 11 }),
        (b"\x80", WireError::Unsupported { at: 11 }),
    ] {
        assert_eq!(DocumentBuf::from_bytes(with(fields)), Err(fault), "{fields:x?}");
    }
    let mut deep = vec![0x80];
    for _ in 0..80 {
        let mut outer = vec![0x81, 0xD8, 0x18, 0x59];
        outer.extend(u16::try_from(deep.len()).unwrap().to_be_bytes());
        outer.append(&mut deep);
        deep = outer;
    }
    let mut fields = b"\xA1\x61a\xD8\x18\x59".to_vec();
    fields.extend(u16::try_from(deep.len()).unwrap().to_be_bytes());
    fields.append(&mut deep);
    let bytes = with(&fields);
    assert!(matches!(DocumentBuf::from_bytes(bytes.clone()), Err(WireError::TooDeep { .. })));
    assert!(matches!(Document::new(&bytes).unwrap().to_json(), Err(WireError::TooDeep { .. })));
}

#[test]
fn an_object_of_many_members_has_an_index_and_it_is_checked() {
    let names: Vec<String> = (0..300).map(|number| format!("n{number}")).chain(["".into(), "a.\"b".into()]).collect();
    for count in [4, 5, 6, names.len()] {
        let names = &names[names.len() - count..];
        let written = DocumentBuf::new(|fields| {
            for (value, name) in (0..).zip(names) {
                fields.put(name).i64(value);
            }
        });
        let document = written.as_document();
        for (value, name) in (0..).zip(names) {
            let path = format!("\"{}\"", name.replace('"', "\\\""));
            assert_eq!(document.get_i64(&path), Ok(Some(value)), "{name} of {count}");
            let plain = !name.is_empty() && !name.contains('.');
            assert!(!plain || document.get_i64(name) == Ok(Some(value)), "{name} of {count}");
        }
        assert_eq!((document.exists("m1"), document.fields().as_object().unwrap().left()), (Ok(false), count as u64));
        let bytes = written.as_bytes();
        assert_eq!(DocumentBuf::from_bytes(bytes.to_vec()), Ok(written.clone()));
        // Behind the head of the map is the first name, or the index.
        let head = crate::cbor::Head::read(bytes, 11).unwrap();
        assert_eq!(bytes[head.behind] == 0, count > 4, "{count}");
        for at in (head.behind..head.behind + 5 * count).filter(|_| count > 4) {
            let mut damaged = bytes.to_vec();
            damaged[at] ^= 1;
            assert!(DocumentBuf::from_bytes(damaged.clone()).is_err(), "byte {at} of {count}");
            if let Ok(document) = Document::new(&damaged) {
                read_all(document, "n299");
            }
        }
    }
    // An index where there is none, and none where there must be one.
    for fields in [
        &b"\xA1\x00\x40"[..],
        b"\xA2\x00\x45\x00\0\0\0\0\x61a\x01",
        b"\xA5\x61a\x01\x61b\x01\x61c\x01\x61d\x01\x61e\x01",
    ] {
        let bytes = [b"\x83\xFB\0\0\0\0\0\0\0\0\x60", fields].concat();
        assert_eq!(DocumentBuf::from_bytes(bytes), Err(WireError::Malformed { at: 12 }), "{fields:x?}");
    }
}

/// Reads as much of a document as there is to read.
fn read_all(document: Document<'_>, path: &str) {
    let _ =
        (document.id(), document.get_str(path), document.get_bool(path), document.get_f64(path), document.exists(path));
    let _ = (document.get_i64(path), document.get_u64(path), document.get_list_len(path), document.project([path]));
    let _ = (document.to_json(), document.to_buf());
    for item in document.get_list(path).into_iter().flatten().flatten().flatten().flatten() {
        let _ = (item.kind(), item.as_str(), item.as_object().map(Iterator::count));
    }
}

fn json() -> impl Strategy<Value = String> {
    let name = || "[a-c0.\\[\"\\\\ß]{0,3}";
    let leaf = prop_oneof![
        Just("null".to_string()),
        any::<bool>().prop_map(|value| value.to_string()),
        any::<i64>().prop_map(|value| value.to_string()),
        any::<u64>().prop_map(|value| value.to_string()),
        any::<f64>().prop_filter("finite", |value| value.is_finite()).prop_map(|value| format!("{value:?}")),
        name().prop_map(|text| format!("{text:?}")),
    ];
    let object = move |inner: BoxedStrategy<String>| {
        prop::collection::btree_map(name(), inner, 0..5).prop_map(|members| {
            let members: Vec<String> = members.iter().map(|(name, value)| format!("{name:?}:{value}")).collect();
            format!("{{{}}}", members.join(","))
        })
    };
    let value = leaf.prop_recursive(4, 40, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(|items| format!("[{}]", items.join(","))),
            object(inner.boxed()),
        ]
    });
    object(value.boxed())
}

proptest! {
    #[test]
    fn any_document_leads_back_and_is_valid(json in json()) {
        let read = document(&json);
        prop_assert_eq!(read.to_json(), json);
        prop_assert_eq!(DocumentBuf::from_bytes(read.as_bytes().to_vec()), Ok(read));
    }

    #[test]
    fn damaged_documents_are_read_without_a_panic(json in json(), path in "[a-c.0]{1,5}", at: prop::sample::Index, byte: u8) {
        let mut bytes = document(&json).into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        for cut in [bytes.len(), at] {
            if let Ok(document) = Document::new(&bytes[..cut]) {
                read_all(document, &path);
            }
        }
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..60), path: String) {
        if let Ok(document) = Document::new(&bytes) {
            read_all(document, &path);
        }
        bytes.splice(0..0, *b"\x83\xFB\0\0\0\0\0\0\0\0\x60\xA2\x61a");
        if let Ok(document) = Document::new(&bytes) {
            read_all(document, &path);
        }
        let _ = JsonOptions::default().read(&bytes);
    }

    #[test]
    fn any_text_is_read_as_json_or_refused(text in "[{}\\[\\]:,\"a0-9.eE+\\\\u -]{0,20}") {
        if let Ok(read) = DocumentBuf::from_json(&text) {
            prop_assert_eq!(&DocumentBuf::from_json(&read.to_json()), &Ok(read));
        }
    }
}

#[test]
fn the_fields_of_a_document_are_an_item_of_another() {
    let inner = document(r#"{"a":{"b":[1]}}"#);
    let outer = DocumentBuf::try_new(|fields| fields.put("of").item(inner.as_document().fields())).unwrap();
    assert_eq!(check(outer.as_bytes()), Ok(()));
    assert_eq!(outer.as_document().get_i64("of.a.b[0]"), Ok(Some(1)));
    // Each level is one more, until there are as many as a document may have.
    let mut deep = inner;
    let mut levels = 0;
    let error = loop {
        match DocumentBuf::try_new(|fields| fields.put("of").item(deep.as_document().fields())) {
            Ok(deeper) => deep = deeper,
            Err(error) => break error,
        }
        assert_eq!(check(deep.as_bytes()), Ok(()));
        levels += 1;
    };
    assert!(matches!(error, WireError::TooDeep { .. }), "{error}");
    assert_eq!(levels, crate::cbor::MAX_DEPTH - 3);
}
