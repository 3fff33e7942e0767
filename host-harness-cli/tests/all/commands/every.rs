//! Behaviour that commands share: refusals, reports and their exports.

use std::process::Stdio;

use host_harness::report::read;
use test_support::text_guests;

use crate::folder::Folder;

#[test]
fn what_is_no_guest_is_refused_by_every_command() {
    let folder = Folder::new();
    let without_exchange = wat::parse_str(
        r#"(module (memory (export "memory") 1) (@custom "guest-abi" "\01\00\00\00") (func (export "f") (result i64) i64.const 0))"#,
    );
    let version_9 = wat::parse_str(r#"(module (memory (export "memory") 1) (@custom "guest-abi" "\09\00\00\00"))"#);
    let no_version =
        wat::parse_str(r#"(module (func (export "__guest_exchange") (param i32) (result i32) i32.const 0))"#);
    folder.file("text.wasm", b"(module)");
    folder.file("empty.wasm", b"");
    folder.file("noise.wasm", b"hello");
    folder.file("cut.wasm", &text_guests::plain()[..100]);
    folder.file("component.wasm", b"\0asm\x0d\0\x01\0");
    folder.file("import.wasm", &text_guests::guest(r#"(import "extension" "got" (func (param i32)))"#, ""));
    folder.file("type.wasm", &text_guests::guest(r#"(import "extension" "get" (func (param i32)))"#, ""));
    folder.file("exchange.wasm", &without_exchange.unwrap());
    folder.file("version.wasm", &version_9.unwrap());
    folder.file("silent.wasm", &no_version.unwrap());
    let cases: [(&str, &[&str]); 11] = [
        ("missing.wasm", &["cannot be read"]),
        ("text.wasm", &["WebAssembly text", "wasm-tools parse"]),
        ("empty.wasm", &["not a WebAssembly file", "empty"]),
        ("noise.wasm", &["not a WebAssembly file"]),
        ("cut.wasm", &["not valid", "byte"]),
        ("component.wasm", &["component", "core module"]),
        ("import.wasm", &["`extension.got`", "did you mean `extension.get`?"]),
        ("type.wasm", &["`extension.get`", "(i32, i32, i32, i32) -> i32"]),
        ("exchange.wasm", &["does not export `__guest_exchange`", "guest-sdk"]),
        ("version.wasm", &["version 9", "version 1"]),
        ("silent.wasm", &["guest-abi", "guest-sdk"]),
    ];
    for (file, words) in cases {
        for line in ["run FILE f", "measure FILE --export-json r.json", "verify FILE --export-html r.html"] {
            folder.refuses_in_one_line(&line.replace("FILE", file), words);
            let said = folder.run(&line.replace("FILE", file));
            assert!(said.stderr.starts_with(&format!("error: {file}: ")), "{}", said.stderr);
        }
    }
    // An inspection is for finding out why, so it only refuses what is no module.
    for (file, words) in &cases[..6] {
        folder.refuses_in_one_line(&format!("inspect {file}"), words);
    }
    for (file, words) in &cases[6..] {
        let said = folder.run(&format!("inspect {file}"));
        assert_eq!(said.status, Some(1), "{file}: {}", said.stderr);
        assert!(words.iter().all(|word| said.stdout.contains(word)), "{file}: {}", said.stdout);
    }
}

#[test]
fn wrong_usage_is_told_with_what_to_do() {
    let folder = Folder::new();
    folder.file("state.json", b"[\n  {\"storage\": \"sys.View\",\n   \"valeu\": {}}]");
    folder.file("null.json", b"[{\"storage\": \"sys.View\", \"value\": {\"x\": null}}]");
    let one_line: [(&str, &[&str]); 11] = [
        ("run plain.wasm do_nothin", &["no extension function `do_nothin`", "did you mean `do_nothing`"]),
        ("measure plain.wasm --function do_nothin", &["did you mean `do_nothing`"]),
        ("verify plain.wasm --function do_nothin", &["did you mean `do_nothing`"]),
        ("run plain.wasm do_nothing --memory-limit 64KiB", &["65536", "131072", "--memory-limit"]),
        ("measure plain.wasm --memory-limit 1KiB --export-json r.json", &["131072"]),
        ("run plain.wasm do_nothing --state state.json", &["state.json:3:4: ", "unknown field `valeu`"]),
        ("measure plain.wasm --state null.json", &["null.json:1:41: ", "at `x`: null"]),
        ("run plain.wasm do_nothing --state missing.json", &["cannot read the state file missing.json"]),
        ("run plain.wasm do_nothing --export-json none/r.json", &["there is no folder none"]),
        ("run plain.wasm do_nothing --strategy full-copy,watermark", &["one strategy"]),
        ("run plain.wasm do_nothing --strategy bump-reset", &["`bump-reset`", "full-copy"]),
    ];
    for (line, words) in one_line {
        folder.refuses_in_one_line(line, words);
    }
    let by_the_parser: [(&str, &[&str]); 7] = [
        ("inspect", &["GUEST.wasm"]),
        ("run plain.wasm", &["FUNCTION"]),
        ("run plain.wasm f --strategy full", &["`full`", "full-copy"]),
        ("run plain.wasm f --restore sometimes", &["every-call"]),
        ("run plain.wasm f --memory-limit 64mb", &["64MiB"]),
        ("run plain.wasm f --deadline 100", &["100ms"]),
        ("run plain.wasm f --times 0", &["--times"]),
    ];
    for (line, words) in by_the_parser {
        folder.refuses(line, words);
    }
    folder.refuses_in_one_line("run plain.wasm do_nothing --export-json - --export-html -", &["standard output"]);
    folder.refuses_in_one_line("compare --manifest-path missing/Cargo.toml", &["missing/Cargo.toml"]);
}

#[test]
fn reports_are_read_back_as_they_were_written() {
    let folder = Folder::new();
    for line in [
        "inspect counted.wasm",
        "run counted.wasm allocate --times 20",
        "run plain.wasm abort",
        "measure counted.wasm plain.wasm --calls 20 --budget 5ms --deadline 5ms",
        "verify counted.wasm --calls 20",
    ] {
        let said = folder.run(&format!("{line} --format json"));
        let report = read(&said.stdout).unwrap_or_else(|error| panic!("{line}: {error}\n{}", said.stdout));
        assert_eq!(format!("{}\n", serde_json::to_string_pretty(&report).unwrap()), said.stdout, "{line}");
        let json: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
        assert_eq!(json["schema_version"], 3, "{line}");
        assert_eq!(json["command"], line.split(' ').next().unwrap(), "{line}");
    }
    assert!(read(r#"{"schema_version": 4}"#).unwrap_err().to_string().contains("version 4"));
    assert!(read("{}").is_err());
}

#[test]
fn exports_stand_beside_or_in_place_of_the_output() {
    let folder = Folder::new();
    folder.file("r.json", b"an older report");
    let said = folder.run("inspect counted.wasm --export-json r.json --export-html r.html");
    assert_eq!(said.status, Some(0), "{}", said.stderr);
    assert!(said.stdout.starts_with("Guest counted"), "{}", said.stdout);
    let json = std::fs::read_to_string(folder.path().join("r.json")).unwrap();
    assert_eq!(read(&json).unwrap().command(), "inspect");
    let html = std::fs::read_to_string(folder.path().join("r.html")).unwrap();
    assert!(html.starts_with("<!DOCTYPE html>") && html.trim_end().ends_with("</html>"), "{html}");
    assert!(html.contains("counted") && !html.contains("<link") && !html.contains("src="), "it needs no other file");
    assert_eq!(folder.names(), ["counted.wasm", "plain.wasm", "r.html", "r.json"]);
    let said = folder.run("inspect counted.wasm --export-json -");
    assert!(read(&said.stdout).is_ok(), "{}", said.stdout);
}

#[test]
fn a_strategy_that_was_asked_for_and_is_refused_is_a_failure() {
    let folder = Folder::new();
    for (line, word) in [
        ("measure plain.wasm --function grow --calls 5 --strategy bump-reset", "not-restorable"),
        ("verify plain.wasm --function grow --calls 5 --strategy bump-reset", "not verified"),
        ("verify plain.wasm --function grow --calls 5 --strategy bump-reset", "what could not be verified is listed"),
    ] {
        let said = folder.run(line);
        assert_eq!((said.status, said.stderr.as_str()), (Some(1), ""), "{line}");
        assert!(!said.stdout.contains("differs"), "{line}: {}", said.stdout);
        assert!(said.stdout.contains(word) && said.stdout.contains("no allocator of this project"), "{}", said.stdout);
    }
    let said = folder.run("measure plain.wasm --function grow --calls 5");
    assert_eq!(said.status, Some(0), "what is not asked for is only told: {}", said.stdout);
}

#[test]
fn nobody_reading_the_output_is_no_error() {
    let folder = Folder::new();
    let mut command = folder.command("inspect counted.wasm --format json");
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), stderr.as_str()), (Some(0), ""));
}
