//! The command line as users meet it: the real binary, its output and its exit status.

use std::process::{Command, Stdio};

use host_harness::report::{Content, read};
use test_support::text_guests;

use crate::folder::Folder;

#[test]
fn what_is_no_guest_is_refused_by_every_command() {
    let folder = Folder::new();
    let without_exchange = wat::parse_str(
        r#"(module (memory (export "memory") 1) (@custom "guest-abi" "\01\00\00\00") (func (export "f") (result i64) i64.const 0))"#,
    );
    let version_9 = wat::parse_str(r#"(module (memory (export "memory") 1) (@custom "guest-abi" "\09\00\00\00"))"#);
    let no_version = wat::parse_str(r#"(module (memory (export "memory") 1))"#);
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
fn a_guest_that_fails_is_status_1_and_says_why() {
    let folder = Folder::new();
    let cases: [(&str, &[&str]); 4] = [
        ("run plain.wasm refuse", &["guest-error", "hello", "code 1000"]),
        ("run plain.wasm abort", &["unreachable", "Backtrace", "at abort"]),
        ("run plain.wasm spin --deadline 20ms", &["deadline-exceeded", "20ms"]),
        ("run plain.wasm grow_or_abort --memory-limit 512KiB", &["out-of-memory", "524288"]),
    ];
    for (line, words) in cases {
        let said = folder.run(line);
        assert_eq!((said.status, said.stderr.as_str()), (Some(1), ""), "{line}: {}", said.stdout);
        assert!(words.iter().all(|word| said.stdout.contains(word)), "{line}: {}", said.stdout);
    }
}

#[test]
fn out_of_memory_under_a_lazy_policy_is_tried_again() {
    let said = Folder::new().run("run plain.wasm grow_or_abort --times 2 --memory-limit 2MiB --restore never");
    assert_eq!(said.status, Some(0), "{}", said.stdout);
    assert!(said.stdout.contains("retried"), "{}", said.stdout);
}

#[test]
fn a_run_applies_intents_between_calls() {
    let folder = Folder::new();
    let said = folder.run("run plain.wasm new_view --times 2 --format json");
    let Content::Run(run) = read(&said.stdout).unwrap().content else { panic!("{}", said.stdout) };
    let intent = &run.calls[0].intents[0];
    assert_eq!((intent.operation.as_str(), intent.storage.as_str(), intent.entity.as_str()), ("new", "sys.View", "e"));
    assert_eq!((&intent.key, &intent.value), (&serde_json::json!({"Id": 1}), &serde_json::json!({"Amount": 400})));
    assert_eq!((run.times, run.failed_calls, said.status), (2, 0, Some(0)));
    let said = folder.run("run plain.wasm say_hello");
    assert!(said.stdout.contains("info  hello"), "{}", said.stdout);
}

#[test]
fn the_log_lines_of_a_failed_call_are_printed_but_give_no_orders() {
    let folder = Folder::new();
    let said = folder.run("run plain.wasm say_and_abort");
    assert_eq!(said.status, Some(1), "{}", said.stderr);
    let log = said.stdout.split("Log\n").nth(1).unwrap_or_else(|| panic!("{}", said.stdout));
    assert!(log.starts_with("\n  info  hello\n  warn  \\u001b[31mred\\r\\nResult\n"), "{log}");
    let said = folder.run("run plain.wasm say_and_abort --times 2 --format json");
    let Content::Run(run) = read(&said.stdout).unwrap().content else { panic!("{}", said.stdout) };
    for call in &run.calls {
        let lines: Vec<_> = call.log.iter().map(|log| (log.level.as_str(), log.line.as_str())).collect();
        assert_eq!(lines, [("info", "hello"), ("warn", "\u{1b}[31mred\r\nResult")]);
        assert_eq!((call.log_dropped, call.failure.is_some()), (0, true));
    }
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
fn a_failed_check_still_gives_a_whole_report() {
    let folder = Folder::new();
    let said = folder.run("measure plain.wasm --function abort --calls 5 --export-json r.json");
    assert_eq!(said.status, Some(1), "{}", said.stderr);
    let json = std::fs::read_to_string(folder.path().join("r.json")).unwrap();
    let Content::Measure(report) = read(&json).unwrap().content else { panic!("{json}") };
    assert!(report.rows.iter().all(|row| row.failure.as_ref().is_some_and(|failed| failed.cause == "unreachable")));
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
fn a_guest_that_is_named_twice_is_taken_once() {
    let folder = Folder::new();
    let said = folder.run("verify plain.wasm ./plain.wasm plain.wasm --function grow --calls 5 --format json");
    let Content::Verify(report) = read(&said.stdout).unwrap().content else { panic!("{}", said.stdout) };
    let ways: Vec<_> =
        report.verdicts.iter().map(|verdict| (verdict.guest.as_str(), verdict.strategy.as_str())).collect();
    assert_eq!(ways, [("plain", "reinstantiate"), ("plain", "full-copy"), ("plain", "dirty-cards")]);
    // Another file with the same bytes is another guest.
    folder.file("copy.wasm", &text_guests::plain());
    let said = folder.run("verify plain.wasm copy.wasm --function grow --calls 5 --format json");
    let Content::Verify(report) = read(&said.stdout).unwrap().content else { panic!("{}", said.stdout) };
    assert_eq!(report.verdicts.len(), 6);
}

#[test]
fn a_function_that_runs_out_of_memory_is_one_row() {
    let folder = Folder::new();
    let said = folder.run("measure plain.wasm --function grow_or_abort --calls 5 --memory-limit 512KiB");
    assert_eq!(said.status, Some(1), "{}", said.stderr);
    let rows: Vec<_> =
        said.stdout.lines().filter(|line| line.starts_with("| plain ") && line.contains("any")).collect();
    let [row] = rows.as_slice() else { panic!("{}", said.stdout) };
    assert!(row.trim_end_matches(['|', ' ']).ends_with("out-of-memory"), "{row}");
    assert_eq!(said.stdout.matches("524288 bytes; raise the memory limit").count(), 1, "{}", said.stdout);
    assert!(said.stdout.contains("(none: also when retried on the restored instance)"), "{}", said.stdout);
    assert!(!said.stdout.contains("Per call, counted"), "there is nothing in that table: {}", said.stdout);
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

#[cfg(unix)]
#[test]
fn an_interrupt_leaves_no_file() {
    use std::time::Duration;

    let folder = Folder::new();
    let before = folder.names();
    let line = "measure plain.wasm --function spin --deadline none --export-json r.json --export-html r.html";
    let mut child = folder.command(line).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    // Long enough that it is at work; it would never end by itself.
    std::thread::sleep(Duration::from_secs(1));
    assert!(child.try_wait().unwrap().is_none(), "it is at work");
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    assert!(!child.wait().unwrap().success());
    assert_eq!(folder.names(), before);
}
