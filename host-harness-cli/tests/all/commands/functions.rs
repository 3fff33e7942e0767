//! `functions` and `call`.

use guest_abi::function::{Declaration, Kind, Scalar, Type, Volatility};

use crate::folder::{Folder, Said};

/// A module with signatures, and one of somebody who has never heard of them.
fn folder() -> Folder {
    const NUMBER: Type = Type::of(Scalar::I64);
    const RATIO: Declaration<'static> = Declaration::new(
        Kind::Scalar,
        "ratio",
        &[("of", NUMBER), ("to", NUMBER.nullable())],
        &[("", Type::of(Scalar::F64))],
    )
    .with_documentation(" The ratio of two numbers.\n\n 0 to null.")
    .with_volatility(Volatility::Stable);
    const SPIN: Declaration<'static> = Declaration::new(Kind::Scalar, "spin", &[], &[("", NUMBER)]).with_strict(false);
    let section = [&RATIO.entry::<{ RATIO.size() }>()[..], &SPIN.entry::<{ SPIN.size() }>()].concat();
    let section: String = section.iter().map(|byte| format!("\\{byte:02x}")).collect();
    let folder = Folder::new();
    let typed = format!(
        r#"(module (memory (export "memory") 5)
            (func (export "__guest_exchange") (param i32) (result i32) (i32.const 64))
            (func (export "__guest_function_ratio") (param i64 i32 i64) (result f64)
                (if (i32.eqz (local.get 1)) (then (return (f64.const 0))))
                (f64.div (f64.convert_i64_s (local.get 0)) (f64.convert_i64_s (local.get 2))))
            (func (export "__guest_function_spin") (result i64) (loop $again (br $again)) (i64.const 0))
            (@custom "guest-abi" "\01\00\00\00") (@custom "guest-functions" "{section}"))"#
    );
    folder.file("typed.wat", typed.as_bytes());
    folder.file(
        "foreign.wat",
        br#"(module (memory 1)
            (func (export "malloc") (param i32) (result i32) (i32.const 1024))
            (func (export "double") (param i32) (result i32) (i32.mul (local.get 0) (i32.const 2)))
            (func (export "first") (param i32 i32) (result i64) (i64.const 4398046511105)))"#,
    );
    folder
}

/// Runs words that hold spaces.
fn run(folder: &Folder, words: &[&str]) -> Said {
    let output = folder.command("").args(words).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Said {
        status: output.status.code(),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
        progress: Vec::new(),
    }
}

#[test]
fn functions_are_listed_with_behaviour_and_documentation() {
    let folder = folder();
    let said = folder.run("functions typed.wat");
    assert_eq!(
        (said.status, said.stdout.as_str()),
        (
            Some(0),
            "ratio(of: i64, to: i64?) -> f64\n    stable function, null for a null argument\n    The ratio of two numbers.\n\n    \
             0 to null.\n\nspin() -> i64\n    immutable function\n"
        ),
        "{}",
        said.stderr
    );
    let said = folder.run("inspect typed.wat --width 100");
    assert!(
        said.stdout.contains("\n  extension functions  none\n  typed functions      ratio, spin\n"),
        "{}",
        said.stdout
    );
    let said = folder.run("functions foreign.wat");
    assert!(said.stdout.starts_with("malloc(p0: i32) -> i32\n"), "{}", said.stdout);
    assert!(said.stdout.contains("\n\ndouble(p0: i32) -> i32\n    immutable function"), "{}", said.stdout);
    // Nothing is run, so what would never end does not matter.
    folder.file(
        "spins.wat",
        br#"(module (func (export "_initialize") (loop $again (br $again))) (func (export "one") (result i32) (i32.const 1)))"#,
    );
    let said = folder.run("functions spins.wat");
    assert_eq!(
        (said.status, said.stdout.as_str()),
        (Some(0), "one() -> i32\n    immutable function\n"),
        "{}",
        said.stderr
    );
    let said = folder.run("functions plain.wasm");
    assert!(said.status == Some(0) && said.stdout.starts_with("plain has no typed functions"), "{}", said.stdout);
    let said = folder.run("functions typed.wat --format json");
    let listed: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(listed[0]["parameters"][1], serde_json::json!({"name": "to", "type": "i64?"}));
    assert_eq!((&listed[0]["strict"], &listed[1]["volatility"]), (&true.into(), &"immutable".into()));
}

#[test]
fn a_function_is_called_with_what_stands_on_the_command_line() {
    let folder = folder();
    for (line, result) in [
        ("call typed.wat ratio -3 4", "-0.75"),
        ("call typed.wat ratio 3 null", "0"),
        ("call typed.wat ratio null 4", "null"),
        ("call --declare first(text:string)->string foreign.wat first null", "n"),
        ("call typed.wat ratio 1 0", "inf"),
        ("call foreign.wat double 21", "42"),
        ("call foreign.wat double -21", "-42"),
    ] {
        let said = folder.run(line);
        assert_eq!((said.status, said.stdout.trim_end()), (Some(0), result), "{line}: {}", said.stderr);
    }
    let declared = ["call", "--declare", "first(text: string) -> string", "foreign.wat", "first", "iPhone 15"];
    let said = run(&folder, &declared);
    assert_eq!((said.status, said.stdout.as_str()), (Some(0), "i\n"), "{}", said.stderr);
    // The book's example.
    let in_c = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/guests/c-functions-leaking.wasm");
    let said = run(&folder, &["call", "--declare", "upper(text: string) -> string", in_c, "upper", "to be"]);
    assert_eq!((said.status, said.stdout.as_str()), (Some(0), "TO BE\n"), "{}", said.stderr);
    let said = folder.run("call --format json typed.wat ratio 1 0");
    let called: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(called, serde_json::json!({"function": "ratio", "type": "f64", "result": "inf"}));
}

#[test]
fn what_does_not_fit_is_told_in_a_line() {
    let folder = folder();
    for (line, words) in [
        ("call typed.wat ratio 1", &["`ratio(of: i64, to: i64?) -> f64` takes 2 arguments, and 1 was given"][..]),
        ("call typed.wat ratio x 1", &["the parameter `of` of `ratio`: `x` is not of type i64", "an integer from"]),
        ("call typed.wat ratios 1 1", &["the module `typed` has no function `ratios`; there is `ratio`"]),
        ("call typed.wat ratio 1 1 --format json", &["takes 2 arguments, and 4 were given"]),
        ("call --declare double foreign.wat double 1", &["foreign.wat: `double`: write a function as"]),
        ("measure typed.wat", &["typed.wat: the module exports no extension function; `host-harness functions` lists"]),
        ("functions none.wasm", &["none.wasm"]),
        ("functions typed.wat --export-json -", &["`functions` makes no report"]),
        ("call --strategy auto,full-copy typed.wat spin", &["`call` uses one strategy"]),
    ] {
        folder.refuses_in_one_line(line, words);
    }
    let said = folder.run("call --deadline 20ms typed.wat spin");
    assert_eq!(said.status, Some(1), "{}", said.stderr);
    assert_eq!(said.stderr, "error: `spin` failed: the deadline of 20ms passed\n");
}

/// An aggregate that counts its rows and traps for 666, and a table function whose rows have no end.
fn counting() -> Folder {
    const NUMBER: Type = Type::of(Scalar::I64);
    const COUNT: Declaration<'static> =
        Declaration::new(Kind::Aggregate, "count", &[("of", NUMBER), ("and", NUMBER)], &[("", NUMBER)]);
    const ZEROS: Declaration<'static> = Declaration::new(Kind::Table, "zeros", &[], &[("a", NUMBER), ("b", NUMBER)]);
    let section = [&COUNT.entry::<{ COUNT.size() }>()[..], &ZEROS.entry::<{ ZEROS.size() }>()].concat();
    let section: String = section.iter().map(|byte| format!("\\{byte:02x}")).collect();
    let folder = Folder::new();
    let text = format!(
        r#"(module (memory (export "memory") 5)
            (func (export "__guest_exchange") (param i32) (result i32) (i32.const 4096))
            (func (export "__guest_aggregate_count") (param i32 i32 i32 i32 i32 i32 i32) (result i32)
                (if (i32.eqz (local.get 0))
                    (then
                        (if (i64.eq (i64.load (i32.load offset=8 (local.get 2))) (i64.const 666)) (then (unreachable)))))
                (if (i32.eq (local.get 0) (i32.const 3))
                    (then
                        (i64.store (i32.load offset=8 (local.get 6))
                            (i64.load32_u offset=4 (i32.load offset=8 (local.get 5)))))
                    (else
                        (i32.store (i32.const 68) (i32.const 8))
                        (i32.store (i32.const 76) (local.get 1))
                        (i32.store offset=8 (local.get 6) (i32.const 72))
                        (i32.store offset=12 (local.get 6) (i32.const 64))))
                (i32.const -1))
            (func (export "__guest_table_zeros") (param i32 i32 i32) (result i32) (local.get 0))
            (@custom "guest-abi" "\01\00\00\00") (@custom "guest-functions" "{section}"))"#
    );
    folder.file("counting.wat", text.as_bytes());
    folder
}

#[test]
fn aggregates_take_rows_and_table_functions_print_them() {
    let folder = counting();
    for (line, printed) in [
        ("call counting.wat count 1 2 3 4", "2\n"),
        ("call counting.wat count 1 2 null 4 5 6", "3\n"),
        ("call --limit 2 counting.wat zeros", "a\tb\n0\t0\n0\t0\n"),
        ("call --limit 0 counting.wat zeros", "a\tb\n"),
    ] {
        let said = folder.run(line);
        assert_eq!((said.status, said.stdout.as_str()), (Some(0), printed), "{line}: {}", said.stderr);
    }
    let said = folder.run("call --limit 3000 counting.wat zeros");
    assert_eq!(said.stdout.lines().count(), 3001);
    let said = folder.run("call --format json --limit 1 counting.wat zeros");
    let called: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(called, serde_json::json!({"function": "zeros", "columns": ["a", "b"], "rows": [[0, 0]]}));
    let said = folder.run("call counting.wat count 666 1");
    assert_eq!((said.status, said.stdout.as_str()), (Some(1), ""), "{}", said.stderr);
    assert!(said.stderr.contains("`count`"), "{}", said.stderr);
    // A reader that leaves ends rows that have no end.
    #[cfg(unix)]
    {
        use std::process::Stdio;
        let mut command = folder.command("call counting.wat zeros");
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0));
    }
    let said = folder.run("functions counting.wat");
    for told in ["count(of: i64, and: i64) -> i64\n    immutable aggregate", "zeros() -> table(a: i64, b: i64)"] {
        assert!(said.stdout.contains(told), "{}", said.stdout);
    }
    for (line, words) in [
        (
            "call counting.wat count 1 2 3",
            &["takes 2 arguments for each row, and 3 were given", "one behind the other"][..],
        ),
        ("call counting.wat count 1 x", &["the parameter `and` of `count`: `x` is not of type i64"]),
        ("call --limit 1 counting.wat count 1 2", &["`--limit` is for table functions"]),
        ("call counting.wat zeros 1", &["`zeros() -> table(a: i64, b: i64)` takes 0 arguments, and 1 was given"]),
    ] {
        folder.refuses_in_one_line(line, words);
    }
}
