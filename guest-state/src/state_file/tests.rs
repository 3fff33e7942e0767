//! Texts that are read, and texts that are refused with their place.

use guest_abi::value::Kind;

use super::*;

fn error(text: &str) -> String {
    parse_state(text, Path::new("s.json")).unwrap_err().to_string()
}

/// Expects that each text is refused at this place and with these words.
fn refused(cases: &[(&str, &str, &str)]) {
    for (text, place, words) in cases {
        let error = error(text);
        assert!(error.starts_with(&format!("s.json:{place}: ")) && error.contains(words), "{text}\n{error}");
        for foreign in ["RecordInFile", "CBOR", "intents", "struct", "expected a sequence"] {
            assert!(!error.contains(foreign), "{text}\n{error}");
        }
    }
}

fn read_back(text: &str) -> serde_json::Value {
    let mut state = parse_state(text, Path::new("s.json")).unwrap();
    let value = state.get(&Key::of_storage("sys.Event")).unwrap().unwrap();
    json::to_json(ValueRef::new(value)).unwrap()
}

#[test]
fn the_documented_example_loads_and_reads_back() {
    let text = r#"[
      {"storage": "sys.Event", "value": {"qname": "shop.NewOrder", "Raw": {"$bytes": "AP8="}, "Name": {"$qname": ["shop", "Order"]},
        "ArgumentObject": {"Year": 2023, "Items": [{"Quantity": 2, "SinglePrice": 50.5}]}}},
      {"storage": "sys.View", "entity": "example.com/shop.OrderedItems", "key": {"Year": 2023, "Month": 1}, "value": {"Amount": 400}}
    ]"#;
    assert_eq!(parse_state(text, Path::new("s.json")).unwrap().len(), 2);
    let written: serde_json::Value = serde_json::from_str(text).unwrap();
    assert_eq!(read_back(text), written[0]["value"]);
}

#[test]
fn what_is_no_array_of_records_is_told_in_plain_words() {
    refused(&[
        ("[\n  {\"storage\": }", "2:15", "expected value"),
        ("", "1:1", "expected an array of records, found nothing"),
        (" {}", "1:2", "expected an array of records, found an object"),
        ("7", "1:1", "expected an array of records, found a number"),
        ("nonsense", "1:2", "expected ident"),
        ("[] []", "1:4", "trailing characters"),
        ("[\n[]]", "2:1", "a record must be an object, not an array"),
        ("[null]", "1:2", "must be an object, not null"),
        ("[{\"storage\": \"\u{e9}\", \"x\": ?}]", "1:24", "expected value"),
    ]);
}

#[test]
fn what_a_record_lacks_or_has_too_much_is_told_with_its_place() {
    refused(&[
        ("[\n\n  {\"storage\": \"a\",\n   \"valeu\": {}}]", "4:4", "unknown field `valeu`"),
        (r#"[{"value": {}}]"#, "1:2", "the record has no field `storage`"),
        (r#"[{"storage": "a"}]"#, "1:2", "the record has no field `value`"),
        (r#"[{"storage": 1, "value": {}}]"#, "1:14", "`storage` must be a string, not a number"),
        (r#"[{"storage": "a", "entity": null, "value": {}}]"#, "1:29", "`entity` must be a string, not null"),
        (r#"[{"storage": "a", "value": [1]}]"#, "1:28", "`value` must be an object, not an array"),
        (r#"[{"storage": "a", "value": {"$bytes": ""}}]"#, "1:28", "`value` must be an object, not bytes"),
        (r#"[{"storage": "a", "key": 5, "value": {}}]"#, "1:26", "`key` must be an object, not a number"),
    ]);
}

#[test]
fn errors_name_the_field_and_point_at_the_value() {
    refused(&[
        (
            r#"[{"storage": "a", "value": {"x": {"y": [1, null]}}}]"#,
            "1:44",
            "record 0 (storage `a`): value at `x.y.1`: null is not a value",
        ),
        (r#"[{"storage": "a", "value": {"x": {"$bytes": "?"}}}]"#, "1:45", "at `x`: `$bytes` is not base64"),
        (r#"[{"storage": "a", "value": {"x": {"$qname": ["p"]}}}]"#, "1:45", "at `x`: `$qname` needs an array"),
        (r#"[{"storage": "a", "value": {"x": "\ud800"}}]"#, "1:34", "at `x`: "),
        (
            r#"[{"storage": "a", "key": {"x": {"y": 1}}, "value": {}}]"#,
            "1:32",
            "key at `x`: an object is not allowed in a key",
        ),
        (
            r#"[{"storage": "a", "key": {"x": [1]}, "value": {}}]"#,
            "1:32",
            "key at `x`: an array is not allowed in a key",
        ),
    ]);
}

#[test]
fn a_field_that_is_given_twice_is_refused_wherever_it_stands() {
    refused(&[
        (r#"[{"storage": "a", "storage": "b", "value": {}}]"#, "1:19", "field `storage` occurs twice"),
        (r#"[{"storage": "a", "key": {"x": 1, "x": 1}, "value": {}}]"#, "1:35", "field `x` occurs twice"),
        (r#"[{"storage": "a", "value": {"x": 1, "\u0078": 1}}]"#, "1:37", "field `x` occurs twice"),
        (r#"[{"storage": "a", "value": {"x": [{"y": 1, "y": 1}]}}]"#, "1:44", "at `x.0`: field `y` occurs twice"),
    ]);
}

#[test]
fn a_marker_beside_other_fields_is_refused() {
    refused(&[
        (r#"[{"storage": "a", "value": {"x": {"$bytes": "", "y": 1}}}]"#, "1:35", "`$bytes` must be the only field"),
        (
            r#"[{"storage": "a", "value": {"x": {"y": 1, "$qname": ["a", "b"]}}}]"#,
            "1:43",
            "`$qname` must be the only field",
        ),
    ]);
}

#[test]
fn integers_never_become_floats() {
    let text = |number: &str| format!(r#"[{{"storage": "sys.Event", "value": {{"x": {number}}}}}]"#);
    for number in ["9223372036854775808", "-9223372036854775809", "100000000000000000000000"] {
        refused(&[(&text(number), "1:42", "does not fit a signed 64-bit integer")]);
    }
    refused(&[(&text("1e999"), "1:42", "does not fit a 64-bit float")]);
    for (number, read) in [
        ("9223372036854775807", serde_json::json!(i64::MAX)),
        ("-9223372036854775808", serde_json::json!(i64::MIN)),
        ("1e3", serde_json::json!(1000.0)),
        ("-9223372036854775809.0", serde_json::json!(-9_223_372_036_854_775_809.0_f64)),
    ] {
        assert_eq!(read_back(&text(number))["x"], read, "{number}");
    }
}

#[test]
fn a_decimal_is_the_nearest_value_of_the_type_that_reads_it() {
    let text = r#"[{"storage": "sys.Event", "value": {"x": 1.1, "y": {"$f32": 1.1}, "z": {"$f64": 2}, "i": {"$i32": -7},
        "a": [{"$i64": 8}]}}]"#;
    let mut state = parse_state(text, Path::new("s.json")).unwrap();
    let value = ValueRef::new(state.get(&Key::of_storage("sys.Event")).unwrap().unwrap());
    let field = |name| value.field(name).unwrap().unwrap();
    assert_eq!((field("x").as_f32(), field("x").as_f64()), (Ok(1.1), Ok(1.1)));
    assert_eq!((field("y").as_f32(), field("y").kind()), (Ok(1.1), Ok(Kind::Float32)));
    assert_eq!((field("z").as_f64(), field("z").kind()), (Ok(2.0), Ok(Kind::Float64)));
    assert_eq!(field("i").as_i32(), Ok(-7));
    assert_eq!(field("a").items().unwrap().next().unwrap().unwrap().as_i64(), Ok(8));
}

#[test]
fn a_marker_of_a_type_refuses_what_the_type_does_not_hold() {
    let text = |value: &str| format!(r#"[{{"storage": "a", "value": {{"x": {value}}}}}]"#);
    refused(&[
        (&text(r#"{"$f32": 1e39}"#), "1:43", "`$f32` needs a number in the range of a 32-bit float, not 1e39"),
        (&text(r#"{"$f32": "1"}"#), "1:43", "`$f32` needs a number"),
        (&text(r#"{"$f64": 1e999}"#), "1:43", "`$f64` needs a number in the range"),
        (&text(r#"{"$i32": 2147483648}"#), "1:43", "`$i32` needs an integer of 32 bits"),
        (&text(r#"{"$i64": 1.0}"#), "1:43", "`$i64` needs an integer of 64 bits"),
        (&text(r#"{"$i64": 1, "y": 1}"#), "1:35", "`$i64` must be the only field"),
    ]);
}

#[test]
fn values_nest_to_the_limit_and_no_deeper() {
    let text = |levels: usize| {
        let (open, close) = ("[".repeat(levels - 1), "]".repeat(levels - 1));
        format!(r#"[{{"storage": "sys.Event", "value": {{"x": {open}{close}}}}}]"#)
    };
    assert!(read_back(&text(64))["x"].is_array());
    refused(&[
        (&text(65), "1:105", "values may be nested to 64 levels and no deeper"),
        (&text(100_000), "1:105", "values may be nested to 64 levels and no deeper"),
    ]);
}

#[test]
fn a_byte_order_mark_is_skipped_and_another_encoding_told() {
    let text = "\u{feff}[{\"storage\": \"sys.Event\", \"value\": {\"x\": 1}}]";
    assert_eq!(read_back(text)["x"], 1);
    refused(&[("\u{feff}{}", "1:1", "an object")]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.json");
    for (bytes, line, words) in
        [(&b"[\n\xe9]"[..], ":2: ", "byte 0xe9 is not UTF-8"), (b"\xff\xfe[\0", ":1: ", "UTF-16")]
    {
        std::fs::write(&path, bytes).unwrap();
        let error = load_state_file(&path).unwrap_err().to_string();
        assert!(error.contains(line) && error.contains(words), "{error}");
    }
    let folder = load_state_file(folder.path()).unwrap_err().to_string();
    assert!(folder.contains("it is a folder"), "{folder}");
}

#[test]
fn places_count_lines_and_characters() {
    assert_eq!(line_and_column("a\n\u{e9}b", 4), (2, 2));
    assert_eq!(offset("a\n\u{e9}b", 2, 3), 4);
}

#[test]
fn a_value_alone_is_read_or_refused_with_its_place() {
    assert_eq!(value_from_json(" {} \n").unwrap(), [0xA0]);
    let typed = value_from_json(r#"{"a": {"$bytes": "AP8="}, "b": [{"$f32": 1.5}]}"#).unwrap();
    assert_eq!(json::to_json(ValueRef::new(&typed)).unwrap().to_string(), r#"{"a":{"$bytes":"AP8="},"b":[1.5]}"#);
    let deep = format!("{}1{}", "{\"a\":".repeat(99), "}".repeat(99));
    for (text, place, words) in [
        ("", "line 1, column 1", "EOF"),
        ("{\n\"a\": 1,}", "line 2, column 8", "key must be"),
        ("[1]", "line 1, column 1", "the value must be an object, not an array"),
        ("{\"$bytes\": \"AP8=\"}", "line 1, column 1", "not bytes"),
        ("{\"a\": 1, \"a\": 2}", "line 1, column 10", "field `a` occurs twice"),
        ("{} {}", "line 1, column 4", "trailing characters"),
        (deep.as_str(), "line 1, column", "nested"),
    ] {
        let error = value_from_json(text).unwrap_err().to_string();
        assert!(error.starts_with(place) && error.contains(words), "{text}: {error}");
    }
}
