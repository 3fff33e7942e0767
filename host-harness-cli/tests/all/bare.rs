//! Bare modules on the command line: arguments, return values, and messages that lead on.

use host_harness::report::{Content, RunReport, read};

use crate::folder::{Folder, Said};

/// A module of 41 bytes that exports nothing but `add`.
const ADD: &[u8] = b"\0asm\x01\0\0\0\x01\x07\x01\x60\x02\x7f\x7f\x01\x7f\x03\x02\x01\0\x07\x07\x01\x03add\0\0\x0a\x09\x01\x07\0\x20\0\x20\x01\x6a\x0b";

/// Functions of every kind, with a memory that is hidden and output through WASI.
const NUMBERS: &str = r#"(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\10\00\00\00\06\00\00\00") (data (i32.const 16) "hello\n")
  (func (export "gcd") (param $a i64) (param $b i64) (result i64) (local $rest i64)
    (block $done
      (loop $again
        (br_if $done (i64.eqz (local.get $b)))
        (local.set $rest (i64.rem_u (local.get $a) (local.get $b)))
        (local.set $a (local.get $b)) (local.set $b (local.get $rest)) (br $again)))
    (local.get $a))
  (func (export "half") (param f64) (result f64 f32) (f64.div (local.get 0) (f64.const 2)) (f32.const nan))
  (func (export "negate") (param i32) (result i32) (i32.sub (i32.const 0) (local.get 0)))
  (func (export "hello") (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"#;

fn folder() -> Folder {
    let folder = Folder::new();
    folder.file("add.wasm", ADD);
    folder.file("numbers.wat", NUMBERS.as_bytes());
    folder
}

fn run_of(said: &Said) -> RunReport {
    let Content::Run(run) = read(&said.stdout).unwrap().content else { panic!("{}", said.stdout) };
    *run
}

/// What the calls of a run returned.
fn returned(folder: &Folder, line: &str) -> Vec<String> {
    // Behind `--` there are no options.
    let run = run_of(&folder.run(&format!("--format json run {line}")));
    run.calls[0].results.iter().flatten().map(ToString::to_string).collect()
}

#[test]
fn run_takes_arguments_behind_the_function_and_prints_what_it_returns() {
    let folder = folder();
    let said = folder.run("run add.wasm add 20 22");
    assert_eq!((said.status, said.stderr.as_str()), (Some(0), ""), "{}", said.stdout);
    for words in ["Return values: 1\n\n  42 (i32)\n", "  arguments        add(20, 22)\n", "not counted"] {
        assert!(said.stdout.contains(words), "`{words}` is missing: {}", said.stdout);
    }
    assert!(!said.stdout.contains("Intents"), "{}", said.stdout);
    assert_eq!(returned(&folder, "add.wasm add -3 0x10"), ["13 (i32)"]);
    assert_eq!(returned(&folder, "add.wasm add -- -0x10 4294967295"), ["-17 (i32)"]);
    assert_eq!(returned(&folder, "add.wasm add --args add=1,2"), ["3 (i32)"]);
    assert_eq!(returned(&folder, "numbers.wat gcd 48 18 --times 2"), ["6 (i64)"]);
    assert_eq!(returned(&folder, "numbers.wat half -2.5e0"), ["-1.25 (f64)", "NaN (f32)"]);
    assert_eq!(returned(&folder, "numbers.wat half -- -inf"), ["-inf (f64)", "NaN (f32)"]);
    let run = run_of(&folder.run("run numbers.wat hello --format json"));
    assert_eq!((run.calls[0].results.as_deref(), run.calls[0].output.as_str()), (Some(&[][..]), "hello\n"));
    let run = run_of(&folder.run("run plain.wasm do_nothing --format json"));
    assert_eq!(run.calls[0].results, None, "an extension function returns intents");
}

#[test]
fn arguments_that_do_not_fit_are_refused_before_anything_runs() {
    let folder = folder();
    let hint = "`run` takes them behind the function's name, other commands by `--args";
    for (line, words) in [
        ("run add.wasm add", &["`add`", "type `(i32, i32) -> i32`, and no arguments were given", hint][..]),
        ("run add.wasm add 1", &["`add`", "takes 2 arguments; 1 was given", hint]),
        ("run add.wasm add 1 x", &["`add`", "argument 2 is `x`, which is not of type `i32`", "an integer from"]),
        ("run add.wasm add 1 2 --args add=1,2", &["not both"]),
        ("run plain.wasm do_nothing 1", &["takes no arguments"]),
        ("run plain.wasm do_nothing --args other=1", &["no extension function `other`"]),
        ("measure add.wasm", &["`add`", "no arguments were given", hint]),
        ("measure numbers.wat --function gcd", &["`gcd`", "no arguments were given", hint]),
        ("verify add.wasm", &["`add`", "no arguments were given", hint]),
        ("verify add.wasm --args add=1,2,3", &["takes 2 arguments; 3 were given"]),
        ("measure add.wasm numbers.wat --args add=1,2.5", &["argument 2 is `2.5`", "add.wasm"]),
        ("measure numbers.wat --args negat=1", &["did you mean `negate`?"]),
        ("verify numbers.wat --args negat=1", &["did you mean `negate`?"]),
        ("verify plain.wasm --args do_nothing=1", &["an extension function, which takes none"]),
        ("measure numbers.wat --args gcd=1,2 --args gcd=3,4", &["`gcd` twice"]),
    ] {
        folder.refuses_in_one_line(line, words);
    }
    folder.refuses("measure add.wasm --args add", &["write the function's name, `=` and its arguments"]);
}

#[test]
fn measure_skips_what_has_no_arguments_and_says_so_in_every_format() {
    let folder = folder();
    let line = "measure numbers.wat add.wasm --calls 20 --budget 1ms --args add=20,22 --args gcd=48,18 \
                --export-json r.json --export-html r.html --markdown r.md --details";
    let said = folder.run(line);
    assert_eq!(said.status, Some(0), "{}{}", said.stdout, said.stderr);
    let [json, html, markdown] =
        ["r.json", "r.html", "r.md"].map(|name| std::fs::read_to_string(folder.path().join(name)).unwrap());
    for text in [&said.stdout, &html, &markdown] {
        assert!(text.contains("half") && text.contains("no arguments were given"), "{text}");
    }
    assert!(said.stdout.contains("arguments        add(20, 22); gcd(48, 18)"), "{}", said.stdout);
    assert!(html.contains("gcd(48, 18)"), "{html}");
    let Content::Measure(report) = read(&json).unwrap().content else { panic!("{json}") };
    assert_eq!(report.functions_of("numbers"), ["gcd", "hello"]);
    assert_eq!(report.functions_of("add"), ["add"]);
    assert_eq!(report.notes.iter().filter(|note| note.starts_with("skipped")).count(), 2, "{:?}", report.notes);
    assert_eq!(report.settings.arguments.get("gcd"), Some(&["48".to_owned(), "18".to_owned()][..]));
    assert!(report.guests.iter().all(|guest| guest.allocator == "unknown"), "{:?}", report.guests);
    for row in &report.rows {
        let counts = row.counts.as_ref().unwrap_or_else(|| panic!("{row:?}"));
        assert!(counts.allocations.is_none() && counts.peak_live_bytes.is_none(), "{row:?}");
    }
}

#[test]
fn verify_proves_bare_modules_by_every_strategy_that_admits_them() {
    let folder = folder();
    let said = folder
        .run("verify numbers.wat add.wasm plain.wasm --calls 30 --allow-failing * --args add=1,2 --args gcd=48,18");
    assert_eq!(said.status, Some(0), "{}{}", said.stdout, said.stderr);
    for words in
        ["dirty-cards", "full-copy", "reinstantiate", "skipped `half` of numbers", "arguments        add(1, 2)"]
    {
        assert!(said.stdout.contains(words), "`{words}` is missing: {}", said.stdout);
    }
}

/// A stage that drops its block, and one that always fails.
const STAGES: &str = r#"(module
  (import "test:shm/exchange" "[resource-drop]memory-block" (func $drop (param i32)))
  (memory (export "memory") 1)
  (func (export "take") (param i32) (result i32)
    (if (local.get 0) (then (call $drop (local.get 0)))) (i32.const 0))
  (func (export "fail") (param i32) (result i32) (unreachable)))"#;

#[test]
fn verify_calls_stages_with_memory_blocks() {
    let folder = folder();
    folder.file("stages.wat", STAGES.as_bytes());
    let said = folder.run("verify stages.wat --calls 40 --allow-failing fail --export-json r.json");
    assert_eq!(said.status, Some(0), "{}{}", said.stdout, said.stderr);
    assert_eq!(said.stderr, "", "nothing is skipped");
    let said = folder.run("verify stages.wat --calls 40 --strategy full-copy");
    assert!(said.status == Some(1) && said.stdout.contains("`fail` never succeeded"), "{}", said.stdout);
    let said = folder.run("verify stages.wat --calls 10 --function take");
    assert_eq!(said.status, Some(0), "{}{}", said.stdout, said.stderr);
    folder.refuses_in_one_line("verify stages.wat --function toke", &["did you mean `take`?"]);
    folder.refuses_in_one_line("verify stages.wat --allow-failing toke", &["did you mean `take`?"]);
    let said = folder.run("verify stages.wat --suspend --calls 100 --allow-failing fail");
    assert!(said.status == Some(0) && said.stdout.contains("suspended"), "{}{}", said.stdout, said.stderr);
}

#[test]
fn inspect_lists_functions_with_their_types_and_what_is_not_offered() {
    let folder = folder();
    let said = folder.run("inspect add.wasm --export-html i.html");
    assert_eq!(said.status, Some(0), "{}", said.stderr);
    for words in
        ["none (a bare module)", "add (i32, i32) -> i32", "full-copy      admitted", "allocator         unknown"]
    {
        assert!(said.stdout.contains(words), "`{words}` is missing: {}", said.stdout);
    }
    let other = r#"(module (func (export "vector") (param v128)) (func (export "_start")))"#;
    folder.file("other.wat", other.as_bytes());
    let said = folder.run("inspect other.wat");
    for words in
        ["Functions that cannot be called", "vector: parameter 1 is of type `v128`", "_start: its name", "guest-sdk"]
    {
        assert!(said.stdout.contains(words), "`{words}` is missing: {}", said.stdout);
    }
    folder.file("import.wat", br#"(module (import "env" "abort" (func)) (func (export "f")))"#);
    let said = folder.run("inspect import.wat");
    assert_eq!(said.status, Some(1));
    assert!(said.stdout.contains("does not offer: `env.abort`"), "{}", said.stdout);
}

#[test]
fn a_module_without_the_sdk_is_led_to_it() {
    let folder = folder();
    folder.file("empty.wat", br#"(module (memory (export "memory") 1))"#);
    let extension = "put `#[extension]` of `guest-sdk` before a function";
    for line in ["run empty.wat calc", "measure empty.wat", "verify empty.wat", "measure empty.wat --function calc"] {
        folder.refuses_in_one_line(line, &["empty.wat: the module exports no function that can be called", extension]);
    }
    for line in ["run numbers.wat calc", "verify numbers.wat --function calc", "measure numbers.wat --function calc"] {
        folder.refuses_in_one_line(
            line,
            &["numbers.wat: the guest has no extension function `calc`", "a bare module", extension],
        );
    }
}
