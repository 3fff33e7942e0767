//! The behaviour of each host function.

use guest_abi::value::{Kind, ValueRef};
use guest_host::{Instance, InstanceConfig, MemoryState};

use super::{Source, guest, load, state};

/// The customer with the `Id` 7, a value.
fn customer(source: &Source) -> String {
    format!(
        r#"(local.set $key {}) (call $hostRowWriterPutInt64 (local.get $key) (i32.const 0) {} (i64.const 7))
           (local.set $value (call $hostGetValue (local.get $key)))"#,
        source.key("sys.Record", "shop.Customer"),
        source.text("Id")
    )
}

/// Puts what was read by name, of a value or the key of a row, into the intent `$seen`.
fn sees(source: &Source, family: &str, handle: &str, ty: &str, name: &str, into: &str) -> String {
    let read = format!("(call ${family}{ty} {handle} {})", source.text(name));
    put(source, ty, &read, into)
}

/// Puts what was read into the field `into` of the intent `$seen`.
fn put(source: &Source, ty: &str, read: &str, into: &str) -> String {
    let head = format!("(local.get $seen) (i32.const 1) {}", source.text(into));
    match ty {
        "Bool" => format!("(call $hostRowWriterPutBool {head} (i32.wrap_i64 {read}))"),
        "String" | "Bytes" | "QNamePkg" | "QNameEntity" => {
            let ty = if ty == "Bytes" { "Bytes" } else { "String" };
            format!(
                r#"(local.set $packed {read}) (call $hostRowWriterPut{ty} {head}
                     (i32.wrap_i64 (i64.shr_u (local.get $packed) (i64.const 32))) (i32.wrap_i64 (local.get $packed)))"#
            )
        }
        ty => format!("(call $hostRowWriterPut{ty} {head} {read})"),
    }
}

const LOCALS: &str = "(local $key i64) (local $value i64) (local $seen i64) (local $packed i64) (local $part i64)";

fn instance(wasm: &[u8], state: MemoryState) -> Instance {
    load(wasm).instantiate(&InstanceConfig::default(), state).expect("the guest can be initialised")
}

/// The fields of the only intent that a function leaves, each as the state file would have it.
fn fields(instance: &mut Instance, function: &str) -> Vec<String> {
    let outcome = instance.invoke_by_name(function).unwrap_or_else(|failure| panic!("{failure}"));
    let intents: Vec<_> = outcome.intents().collect();
    let [intent] = intents.as_slice() else { panic!("{intents:?}") };
    let intent = intent.as_ref().expect("the host wrote it");
    intent
        .value
        .fields()
        .unwrap()
        .map(|field| field.unwrap())
        .map(|(name, value)| format!("{name}={}", show(value)))
        .collect()
}

fn show(value: ValueRef<'_>) -> String {
    let text = value.kind().and_then(|kind| match kind {
        Kind::Integer => value.as_i64().map(|value| value.to_string()),
        Kind::Float32 => value.as_f32().map(|value| format!("{value}f32")),
        Kind::Float64 => value.as_f64().map(|value| format!("{value}f64")),
        Kind::Bool => value.as_bool().map(|value| value.to_string()),
        Kind::Text => value.as_str().map(|value| format!("{value:?}")),
        Kind::Bytes => value.as_bytes().map(|value| format!("{value:?}")),
        Kind::QName => value.as_qname().map(|value| value.to_string()),
        _ => Ok(format!("{value:?}")),
    });
    text.expect("the host wrote it")
}

#[test]
fn fields_are_read_by_name_in_every_type() {
    let wasm = guest(|source| {
        let sees = |ty, name, into| sees(source, "hostValueAs", "(local.get $value)", ty, name, into);
        let reads = [
            sees("Int32", "Age", "a"),
            sees("Int64", "Large", "b"),
            sees("Float32", "Half", "c"),
            sees("Float64", "Third", "d"),
            sees("Bool", "Good", "e"),
            sees("String", "Name", "f"),
            sees("Bytes", "Logo", "g"),
            sees("QNamePkg", "Kind", "h"),
            sees("QNameEntity", "Kind", "i"),
            // Numbers that another type holds exactly.
            sees("Float64", "Age", "j"),
            sees("Int64", "Age", "k"),
            // The nearest value of a float type.
            sees("Float32", "Third", "l"),
        ];
        format!(
            r#"(func (export "reads") {LOCALS} {} (local.set $seen {}) {})"#,
            customer(source),
            source.seen(),
            reads.concat()
        )
    });
    let expected = [
        "a=41",
        "b=4294967296",
        "c=0.5f32",
        "d=0.1f64",
        "e=true",
        "f=\"Söhne\"",
        "g=[1, 2, 3]",
        "h=\"shop\"",
        "i=\"Best\"",
        "j=41f64",
        "k=41",
        "l=0.1f32",
    ];
    assert_eq!(fields(&mut instance(&wasm, state()), "reads"), expected);
}

#[test]
fn elements_are_read_by_index_and_parts_by_handle() {
    let wasm = guest(|source| {
        let mixed = format!("(local.set $part (call $hostValueAsValue (local.get $value) {}))", source.text("Mixed"));
        let element = |ty: &str, index: u32, into| {
            put(source, ty, &format!("(call $hostValueGetAs{ty} (local.get $part) (i32.const {index}))"), into)
        };
        // Not in order: forth, back, and the same again.
        let reads = [
            element("Int32", 1, "one"),
            element("QNameEntity", 5, "five"),
            element("QNamePkg", 5, "five again"),
            element("String", 0, "zero"),
            element("Float32", 2, "two"),
            element("Float64", 2, "two again"),
            element("Int64", 1, "one again"),
            element("Bytes", 4, "four"),
            element("Bool", 3, "three"),
            put(source, "Int32", "(call $hostValueLength (local.get $part))", "length"),
            "(local.set $packed (call $hostValueGetAsValue (local.get $part) (i32.const 6)))
                 (local.set $part (call $hostValueGetAsValue (local.get $part) (i32.const 7)))"
                .to_owned(),
            sees(source, "hostValueAs", "(local.get $packed)", "Int32", "In", "six"),
            element("Int64", 0, "seven"),
            format!("(local.set $part (call $hostValueAsValue (local.get $value) {}))", source.text("Address")),
            sees(source, "hostValueAs", "(local.get $part)", "String", "City", "city"),
            format!("(local.set $part (call $hostValueAsValue (local.get $part) {}))", source.text("Zip")),
            element("Int32", 1, "zip"),
        ];
        format!(
            r#"(func (export "reads") {LOCALS} {} {mixed} (local.set $seen {}) {})"#,
            customer(source),
            source.seen(),
            reads.concat()
        )
    });
    let expected = [
        "one=5",
        "five=\"B\"",
        "five again=\"a\"",
        "zero=\"text\"",
        "two=6.5f32",
        "two again=6.5f64",
        "one again=5",
        "four=[4]",
        "three=true",
        "length=8",
        "six=1",
        "seven=2",
        "city=\"Ulm\"",
        "zip=9",
    ];
    assert_eq!(fields(&mut instance(&wasm, state()), "reads"), expected);
}

#[test]
fn every_type_can_be_put_into_keys_and_intents() {
    let wasm = guest(|source| {
        let puts = |kind: u32| {
            let put = |ty: &str, name: &str, value: &str| {
                let handle = if kind == 0 { "(local.get $key)" } else { "(local.get $seen)" };
                format!("(call $hostRowWriterPut{ty} {handle} (i32.const {kind}) {} {value})", source.text(name))
            };
            [
                put("Int32", "i32", "(i32.const -1)"),
                put("Int64", "i64", "(i64.const 1099511627776)"),
                put("Float32", "f32", "(f32.const 1.5)"),
                put("Float64", "f64", "(f64.const 0.1)"),
                put("Bool", "bool", "(i32.const 256)"),
                put("String", "text", &source.text("größe")),
                put("Bytes", "bytes", &source.text("\u{1}\u{2}")),
                put("QName", "name", &format!("{} {}", source.text("a.b/c"), source.text("D"))),
                put("QName", "nobody", &format!("{} {}", source.text(""), source.text(""))),
                put("Int32", "i32", "(i32.const -2)"),
            ]
            .concat()
        };
        format!(
            r#"(func (export "puts") {LOCALS} (local.set $key {}) {}
                 (local.set $seen (call $hostNewValue (local.get $key))) {})
               (func (export "queries") {LOCALS} (local.set $key {}) {}
                 (local.set $value (call $hostQueryValue (local.get $key)))
                 (if (i64.eq (local.get $value) (i64.const -1)) (then (return)))
                 (local.set $seen (call $hostUpdateValue (local.get $key) (local.get $value)))
                 (call $hostRowWriterPutBool (local.get $seen) (i32.const 1) {} (i32.const 1)))"#,
            source.key("sys.View", "a.View"),
            puts(0),
            puts(1),
            source.key("sys.View", "a.View"),
            puts(0),
            source.text("again")
        )
    });
    let mut instance = instance(&wasm, MemoryState::new());
    assert_eq!(instance.invoke_by_name("queries").unwrap().intents().count(), 0, "there is none");
    let outcome = instance.invoke_by_name("puts").unwrap();
    let intents = outcome.intent_bytes().to_vec();
    let put = outcome.intents().next().unwrap().unwrap();
    let all = |object: ValueRef<'_>| -> Vec<String> {
        object
            .fields()
            .unwrap()
            .map(|field| field.unwrap())
            .map(|(name, value)| format!("{name}={}", show(value)))
            .collect()
    };
    let expected = [
        "i64=1099511627776",
        "f32=1.5f32",
        "f64=0.1f64",
        "bool=true",
        "text=\"größe\"",
        "bytes=[1, 2]",
        "name=a.b/c.D",
        "nobody=.",
        "i32=-2",
    ];
    assert_eq!(
        (all(put.key.object()), all(put.value)),
        (expected.map(String::from).to_vec(), expected.map(String::from).to_vec())
    );
    assert_eq!((put.key.storage, put.key.entity), ("sys.View", "a.View"));
    instance.state_mut().unwrap().apply(&intents).unwrap();
    assert_eq!(fields(&mut instance, "queries"), ["again=true"]);
}

/// Sums the amounts of the rows of 2023 and remembers the last name, in globals; `within` reads rows within rows.
fn reader() -> Vec<u8> {
    guest(|source| {
        let year = |function: &str, value: u32| {
            format!(
                r#"(local.set $key {}) (call $hostRowWriterPutInt32 (local.get $key) (i32.const 0) {} (i32.const {value}))
                   (global.set $read (i32.const {function})) (call $hostReadValues (local.get $key))"#,
                source.key("sys.View", "a.b/c.Rows"),
                source.text("Year")
            )
        };
        let amount = source.text("Amount");
        let total = put(source, "Int64", "(global.get $sum)", "total");
        let name = sees(source, "hostKeyAs", "(global.get $last)", "String", "Name", "name");
        let key_year = sees(source, "hostKeyAs", "(global.get $last)", "Int32", "Year", "year");
        format!(
            r#"(global $sum (mut i64) (i64.const 0)) (global $last (mut i64) (i64.const 0)) (global $read (mut i32) (i32.const 0))
               (global $depth (mut i32) (i32.const 0))
               (func (export "WasmOnReadValue") (param $row i64) (param $found i64) {LOCALS}
                 (global.set $sum (i64.add (global.get $sum) (call $hostValueAsInt64 (local.get $found) {amount})))
                 (global.set $last (local.get $row))
                 (if (i32.eq (global.get $read) (i32.const 1)) (then
                   (global.set $depth (i32.add (global.get $depth) (i32.const 1)))
                   {within} (global.set $read (i32.const 1))))
                 (if (i32.eq (global.get $read) (i32.const 2)) (then unreachable))
                 (if (i32.eq (global.get $read) (i32.const 3)) (then (drop (call $hostValueAsInt32 (local.get $found) {missing}))))
                 (if (i32.eq (global.get $read) (i32.const 4)) (then (call $hostReadValues (global.get $again))))
                 (if (i32.eq (global.get $read) (i32.const 5)) (then (loop $for_ever (br $for_ever)))))
               (global $again (mut i64) (i64.const 0))
               (func (export "total") {LOCALS} {total_of} (local.set $seen {seen}) {total} {name} {key_year})
               (func (export "nested") {LOCALS} {nested} (local.set $seen {seen_again}) {total_again})
               (func (export "traps") {LOCALS} {traps})
               (func (export "misses") {LOCALS} {misses})
               (func (export "recurses") {LOCALS} (local.set $key {rows}) (global.set $again (local.get $key))
                 (global.set $read (i32.const 4)) (call $hostReadValues (local.get $key)))
               (func (export "never_ends") {LOCALS} {never_ends})
               (func (export "none") {LOCALS} {none} (local.set $seen {seen_last}) {total_last})
               (func (export "unsupported") (call $hostReadValues {unsupported}))"#,
            within = year("0", 2024),
            missing = source.text("Missing"),
            total_of = year("0", 2023),
            seen = source.seen(),
            nested = year("1", 2023),
            seen_again = source.seen(),
            total_again = put(source, "Int64", "(global.get $sum)", "total"),
            traps = year("2", 2023),
            misses = year("3", 2023),
            rows = source.key("sys.View", "a.b/c.Rows"),
            never_ends = year("5", 2023),
            none = year("0", 1999),
            seen_last = source.seen(),
            total_last = put(source, "Int64", "(global.get $sum)", "total"),
            unsupported = source.key("nobody.Knows", ""),
        )
    })
}

#[test]
fn the_guest_is_called_back_for_each_row() {
    let mut instance = instance(&reader(), state());
    for _ in 0..3 {
        assert_eq!(fields(&mut instance, "total"), ["total=21", "name=\"two\"", "year=2023"]);
        assert_eq!(fields(&mut instance, "nested"), ["total=621"]);
        assert_eq!(fields(&mut instance, "none"), ["total=0"]);
    }
    assert_eq!(instance.last_stats().crossings, 6, "a read is one crossing");
}

#[test]
fn many_rows_come_in_their_order() {
    let rows: Vec<_> = (0..2000)
        .map(|row| {
            format!(
                r#"{{"storage": "sys.View", "entity": "a.b/c.Rows", "key": {{"Year": 2023, "Name": "row {row:04}"}},
                     "value": {{"Amount": {row}, "Text": "{}"}}}}"#,
                "x".repeat(row % 50)
            )
        })
        .collect();
    let state = host_harness::parse_state(&format!("[{}]", rows.join(",")), "rows.json".as_ref()).unwrap();
    let mut instance = instance(&reader(), state);
    assert_eq!(fields(&mut instance, "total"), ["total=1999000", "name=\"row 1999\"", "year=2023"]);
}

#[test]
fn what_happens_within_a_read_is_reported_as_such() {
    use guest_abi::ErrorCode;
    use guest_host::Cause;
    let mut config = InstanceConfig::default();
    config.deadline = Some(std::time::Duration::from_millis(100));
    let mut instance = load(&reader()).instantiate(&config, state()).unwrap();
    let mut cause = |function: &str| {
        let failure = instance.invoke_by_name(function).unwrap_err();
        let ready = instance.is_pristine();
        assert!(ready, "{failure}");
        let _ = fields(&mut instance, "total");
        failure
    };
    let trap = cause("traps");
    assert!(matches!(trap.cause, Cause::Unreachable), "{trap}");
    assert_eq!(trap.backtrace.len(), 2, "the callback and the function that reads: {:?}", trap.backtrace);
    let missing = cause("misses");
    assert!(
        matches!(&missing.cause, Cause::GuestError { code: ErrorCode::MissingField, message } if message.contains("`Missing`")),
        "{missing}"
    );
    assert!(matches!(cause("recurses").cause, Cause::StackOverflow));
    assert!(matches!(cause("never_ends").cause, Cause::DeadlineExceeded { .. }));
    let unsupported = cause("unsupported");
    assert!(
        matches!(unsupported.cause, Cause::State(_)) && unsupported.to_string().contains("nobody.Knows"),
        "{unsupported}"
    );
}
