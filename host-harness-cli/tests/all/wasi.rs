//! WASI on the command line: what is granted, and how output is shown.

use host_harness::report::{Content, read};

use crate::folder::Folder;
use test_support::text_guests;
use test_support::wasi::imports;

/// `echo` writes its arguments and its environment, `red` what a terminal would obey, `much` more than is kept, `draw`
/// the time of day and random bytes.
fn folder() -> Folder {
    let names = ["args_get", "environ_get", "clock_time_get", "random_get", "fd_write"];
    let wasm = text_guests::guest(
        &imports(&names),
        r#"
        (func $write (param $address i32) (param $length i32)
          (i32.store (i32.const 64) (local.get $address)) (i32.store (i32.const 68) (local.get $length))
          (drop (call $fd_write (i32.const 1) (i32.const 64) (i32.const 1) (i32.const 72))))
        (func (export "echo") (result i64)
          (drop (call $args_get (i32.const 128) (i32.const 256)))
          (drop (call $environ_get (i32.const 128) (i32.const 262)))
          (call $write (i32.const 256) (i32.const 12)) i64.const 0)
        (data (i32.const 512) "\1b[31mred\nand\ff\n")
        (func (export "red") (result i64) (call $write (i32.const 512) (i32.const 14)) unreachable)
        (func (export "much") (result i64) (call $write (i32.const 512) (i32.const 2000)) i64.const 0)
        (func (export "draw") (result i64)
          (drop (call $clock_time_get (i32.const 0) (i64.const 0) (i32.const 1024)))
          (drop (call $random_get (i32.const 1032) (i32.const 16)))
          (call $write (i32.const 1024) (i32.const 24)) i64.const 0)"#,
    );
    let folder = Folder::new();
    folder.file("wasi.wasm", &wasm);
    folder
}

/// The output of the calls of a run.
fn outputs(folder: &Folder, line: &str) -> Vec<String> {
    let said = folder.run(&format!("run wasi.wasm {line} --format json"));
    let Content::Run(run) = read(&said.stdout).unwrap().content else { panic!("{}", said.stdout) };
    run.calls.into_iter().map(|call| call.output).collect()
}

#[test]
fn a_guest_sees_what_is_granted_and_nothing_of_the_hosts() {
    let folder = folder();
    let granted = "echo --wasi-arg shop --wasi-arg= --wasi-env A=b=c";
    assert_eq!(outputs(&folder, granted), ["shop\0\0A=b=c\0"]);
    assert_eq!(outputs(&folder, "echo"), ["\0".repeat(12)]);
    for (option, words) in [
        ("--wasi-env A", "such as LANG=C"),
        ("--wasi-env =b", "such as LANG=C"),
        ("--wasi-clock now", "system, fixed, fixed=NANOSECONDS"),
        ("--wasi-random seed=-1", "whole number"),
    ] {
        folder.refuses(&format!("run wasi.wasm echo {option}"), &[words]);
    }
}

#[test]
fn clocks_and_randomness_can_be_repeated() {
    let folder = folder();
    let fixed = outputs(&folder, "draw --times 2 --wasi-clock fixed=0 --wasi-random seed=7");
    assert_eq!(fixed[0], fixed[1]);
    // It is given out lossily, but a microsecond is readable.
    assert!(fixed[0].starts_with("\u{FFFD}\u{3}\0\0\0\0\0\0"), "{fixed:?}");
    assert_eq!(outputs(&folder, "draw --wasi-clock fixed=0 --wasi-random seed=7"), fixed[..1]);
    let other = outputs(&folder, "draw --times 2 --wasi-clock fixed --wasi-random system");
    assert_ne!(other[0], other[1]);
    let said = folder.run("verify wasi.wasm --calls 20 --wasi-random system --allow-failing *");
    assert_eq!(said.status, Some(0), "{}", said.stdout);
}

#[test]
fn output_is_shown_and_gives_no_orders() {
    let folder = folder();
    let said = folder.run("run wasi.wasm red --export-html r.html");
    assert_eq!(said.status, Some(1), "{}", said.stderr);
    let shown = "Output\n\n  \\u001b[31mred\n  and\u{FFFD}\n";
    assert!(said.stdout.contains(shown), "{}", said.stdout);
    let html = std::fs::read_to_string(folder.path().join("r.html")).unwrap();
    assert!(html.contains("<h2>Output</h2>") && html.contains("[31mred"), "{html}");
    let said = folder.run("run wasi.wasm much");
    assert!(said.stdout.contains("Output\n\n  ... 976 bytes before these were dropped\n"), "{}", said.stdout);
    assert!(!folder.run("run plain.wasm do_nothing").stdout.contains("Output"));
}
