//! `find`: JSON Lines through the functions of a guest.

use std::io::{Read as _, Write as _};
use std::process::Stdio;

use guest_abi::document::DocumentBuf;
use guest_abi::function::{Declaration, Kind, Scalar, Type};

use crate::folder::{Folder, Said};

/// Lines of which the fourth is blank; the last one does not end.
const LINES: &str = "{\"id\": \"a\", \"score\": 2}\n{\"score\":0.5 }\n{ \"id\":\"c\",\"score\":9.5}\r\n\n{\"id\":\"d\", \"score\": 2.0}";

/// A module with functions of a document's score: bytes 2 to 9, and most significant first.
fn folder() -> Folder {
    const DOCUMENT: Type = Type::of(Scalar::Document);
    const NUMBER: Type = Type::of(Scalar::F64);
    const ABOVE: Declaration<'static> = Declaration::new(
        Kind::Scalar,
        "above",
        &[("limit", NUMBER), ("document", DOCUMENT)],
        &[("", Type::of(Scalar::Bool))],
    );
    const SCORE: Declaration<'static> =
        Declaration::new(Kind::Scalar, "score", &[("document", DOCUMENT)], &[("", NUMBER)]);
    const EMPTY: Declaration<'static> =
        Declaration::new(Kind::Scalar, "empty", &[("document", DOCUMENT)], &[("", DOCUMENT.nullable())]);
    const TRAP: Declaration<'static> =
        Declaration::new(Kind::Scalar, "trap", &[("document", DOCUMENT)], &[("", Type::of(Scalar::Bool))]);
    const PLUS: Declaration<'static> =
        Declaration::new(Kind::Scalar, "plus", &[("a", NUMBER), ("b", NUMBER)], &[("", NUMBER)]);
    let section = [
        ABOVE.entry::<{ ABOVE.size() }>().to_vec(),
        SCORE.entry::<{ SCORE.size() }>().to_vec(),
        EMPTY.entry::<{ EMPTY.size() }>().to_vec(),
        TRAP.entry::<{ TRAP.size() }>().to_vec(),
        PLUS.entry::<{ PLUS.size() }>().to_vec(),
    ];
    let escaped = |bytes: &[u8]| bytes.iter().map(|byte| format!("\\{byte:02x}")).collect::<String>();
    let empty = DocumentBuf::new(|fields| fields.put("empty").bool(true));
    // Byte by byte from the most significant one, as WebAssembly reads the least significant one first.
    let score: String = (2..10)
        .map(|at| format!("(i64.shl (i64.load8_u offset={at} (local.get $at)) (i64.const {}))", 8 * (9 - at)))
        .reduce(|sum, byte| format!("(i64.or {sum} {byte})"))
        .unwrap();
    let text = format!(
        r#"(module (memory (export "memory") 5)
            (func $score (param $at i32) (param i32) (result f64) (f64.reinterpret_i64 {score}))
            (func (export "__guest_exchange") (param i32) (result i32) (i32.const 64))
            (func (export "__guest_function_score") (param i32 i32) (result f64) (call $score (local.get 0) (local.get 1)))
            (func (export "__guest_function_above") (param f64 i32 i32) (result i32)
                (f64.gt (call $score (local.get 1) (local.get 2)) (local.get 0)))
            (func (export "__guest_function_empty") (param i32 i32) (result i64)
                (if (f64.lt (call $score (local.get 0) (local.get 1)) (f64.const 1)) (then (return (i64.const -1))))
                (i64.or (i64.shl (i64.const 320000) (i64.const 32)) (i64.const {})))
            (func (export "__guest_function_trap") (param i32 i32) (result i32)
                (if (f64.gt (call $score (local.get 0) (local.get 1)) (f64.const 9)) (then unreachable)) (i32.const 1))
            (func (export "__guest_function_plus") (param f64 f64) (result f64) (f64.add (local.get 0) (local.get 1)))
            (data (i32.const 320000) "{}")
            (@custom "guest-abi" "\01\00\00\00") (@custom "guest-functions" "{}"))"#,
        empty.as_bytes().len(),
        escaped(empty.as_bytes()),
        escaped(&section.concat()),
    );
    let folder = Folder::new();
    folder.file("documents.wat", text.as_bytes());
    folder.file("lines.jsonl", LINES.as_bytes());
    folder
}

/// What was found, and what was said besides the last line, which has times.
fn found(folder: &Folder, line: &str) -> (String, String) {
    let Said { status, stdout, stderr, .. } = folder.run(line);
    assert_eq!(status, Some(0), "{line}: {stderr}");
    let (rest, last) = stderr.trim_end().rsplit_once('\n').unwrap_or(("", stderr.trim_end()));
    assert!(last.starts_with("found ") && last.contains(" documents/s, ") && last.ends_with(" MB/s"), "{stderr}");
    let counts = last.split(" documents in ").next().unwrap();
    (stdout, format!("{rest}{}{counts}", if rest.is_empty() { "" } else { "\n" }))
}

#[test]
fn lines_are_printed_as_they_are() {
    let folder = folder();
    let (first, third, fourth) =
        ("{\"id\": \"a\", \"score\": 2}\n", "{ \"id\":\"c\",\"score\":9.5}\r\n", "{\"id\":\"d\", \"score\": 2.0}\n");
    for (line, expected, said) in [
        ("find documents.wat lines.jsonl --where above(1)", [first, third, fourth].concat(), "found 3 of 4"),
        ("find documents.wat lines.jsonl --where above(1) --where above(2)", third.to_owned(), "found 1 of 4"),
        ("find documents.wat lines.jsonl --where above(1e9)", String::new(), "found 0 of 4"),
        ("find documents.wat lines.jsonl --score score --top 2", [third, first].concat(), "found 2 of 4"),
        (
            "find documents.wat lines.jsonl --score score --where above(0.5)",
            [third, first, fourth].concat(),
            "found 3 of 4",
        ),
        ("find documents.wat lines.jsonl --select score", "2\n0.5\n9.5\n2\n".to_owned(), "found 4 of 4"),
        ("find documents.wat lines.jsonl --select empty", "{\"empty\":true}\n".repeat(3), "found 3 of 4"),
        (
            "find documents.wat lines.jsonl lines.jsonl --score score --select empty --top 1 --format json",
            "{\"file\":\"lines.jsonl\",\"line\":3,\"score\":9.5,\"selected\":{\"empty\":true}}\n".to_owned(),
            "found 1 of 8",
        ),
        (
            "find documents.wat lines.jsonl --where above(9) --format json",
            "{\"file\":\"lines.jsonl\",\"line\":3,\"document\":{ \"id\":\"c\",\"score\":9.5}}\n".to_owned(),
            "found 1 of 4",
        ),
        ("find documents.wat lines.jsonl --score-member id --where above(0)", String::new(), "found 0 of 4"),
    ] {
        assert_eq!(found(&folder, line), (expected, said.to_owned()), "{line}");
    }
    let said = folder.run("find documents.wat lines.jsonl --where above(9) --quiet");
    assert_eq!((said.stdout.as_str(), said.stderr.as_str()), (third, ""));
}

#[test]
fn a_line_that_is_no_document_has_a_place() {
    let folder = folder();
    folder.file("bad.jsonl", b"{\"score\": 3}\n{\"a\": {\"b\": NaN}}\n[1]\n{\"score\": 4}\n");
    let said = folder.run("find documents.wat bad.jsonl --where above(1)");
    assert_eq!((said.status, said.stdout.as_str()), (Some(2), "{\"score\": 3}\n"));
    let told = "error: bad.jsonl: line 2, column 13: JSON has neither NaN nor infinities; write null, at `a.b`; --skip-invalid leaves";
    assert!(said.stderr.starts_with(told), "{}", said.stderr);
    let (stdout, told) = found(&folder, "find documents.wat bad.jsonl --where above(1) --skip-invalid");
    assert_eq!(stdout, "{\"score\": 3}\n{\"score\": 4}\n");
    assert!(
        told.starts_with("note: left out 2 lines that are no documents, first: bad.jsonl: line 2, column 13"),
        "{told}"
    );
    assert!(told.ends_with("found 2 of 2"), "{told}");
    folder.file("text.jsonl", b"{\"a\": \"\xFF\"}\n");
    let said = folder.run("find documents.wat text.jsonl --where above(1)");
    assert!(said.stderr.contains("text.jsonl: line 1, column 8: the text is not UTF-8"), "{}", said.stderr);
}

#[test]
fn a_function_that_fails_names_the_line() {
    let folder = folder();
    let said = folder.run("find documents.wat lines.jsonl --where trap");
    assert_eq!((said.status, said.stdout.lines().count()), (Some(1), 2), "{}", said.stderr);
    assert!(said.stderr.starts_with("error: lines.jsonl: line 3: "), "{}", said.stderr);
    let large = format!("{{\"a\": \"{}\"}}\n", "x".repeat(300_000));
    folder.file("large.jsonl", large.as_bytes());
    let said = folder.run("find documents.wat large.jsonl --where above(1)");
    assert!(said.status == Some(1) && said.stderr.contains("large.jsonl: line 1: "), "{}", said.stderr);
    assert!(said.stderr.contains("the arguments need"), "{}", said.stderr);
}

#[test]
fn calls_that_do_not_fit_are_refused() {
    let folder = folder();
    for (line, words) in [
        ("find documents.wat lines.jsonl", &["give --where, --score or --select"][..]),
        (
            "find documents.wat lines.jsonl --where score",
            &["`--where`", "type bool", "score(document: document) -> f64"],
        ),
        ("find documents.wat lines.jsonl --score empty", &["`--score`", "a number"]),
        ("find documents.wat lines.jsonl --where plus(1)", &["does not take one document"]),
        (
            "find documents.wat lines.jsonl --where above",
            &["takes 2 arguments, and 1 was given, the document among them"],
        ),
        ("find documents.wat lines.jsonl --where above(x)", &["the parameter `limit` of `above`", "a number such as"]),
        ("find documents.wat lines.jsonl --where above(1", &["write a function and its arguments"]),
        ("find documents.wat lines.jsonl --where abov(1)", &["no function `abov`", "`above`"]),
        ("find documents.wat missing.jsonl --where above(1)", &["cannot read missing.jsonl"]),
        ("find documents.wat lines.jsonl --where above(1) --top 3", &["--score"]),
    ] {
        folder.refuses(line, words);
    }
}

#[test]
fn standard_input_is_read_while_it_is_written() {
    let folder = folder();
    let mut child = folder
        .command("find documents.wat --where above(1)")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (mut to, mut from) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    to.write_all(b"{\"score\": 3}\n").unwrap();
    let mut line = [0; 13];
    from.read_exact(&mut line).unwrap();
    assert_eq!(&line, b"{\"score\": 3}\n");
    // Nobody reads any more: it ends, and has not failed.
    drop(from);
    while to.write_all(&b"{\"score\": 3}\n".repeat(1000)).is_ok() {}
    drop(to);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn call_takes_and_prints_documents_as_json() {
    let folder = folder();
    let call = |words: &[&str]| folder.command("call documents.wat").args(words).output().unwrap();
    let said = call(&["empty", "{\"score\": 2}"]);
    assert_eq!((said.status.code(), said.stdout.as_slice()), (Some(0), &b"{\"empty\":true}\n"[..]));
    let said = call(&["empty", "{\"score\": 2,}"]);
    let told = String::from_utf8(said.stderr).unwrap();
    assert!(said.status.code() == Some(2) && told.contains("line 1, column 13: "), "{told}");
    let said = folder.command("call --format json documents.wat").args(["empty", "{\"score\": 2}"]).output().unwrap();
    let called: serde_json::Value = serde_json::from_slice(&said.stdout).unwrap();
    assert_eq!(called["result"], serde_json::json!({"empty": true}));
}
