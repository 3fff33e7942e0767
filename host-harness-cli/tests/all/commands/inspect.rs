//! `inspect`, and what it shares with `measure`: advice on how a guest is built.

use host_harness::advice::AdviceKind;
use host_harness::report::{Content, read};

use crate::folder::Folder;

/// A guest with the linker's default of a shadow stack, as rustc makes it.
const LARGE_STACK: &str = r#"(module
  (@producers (language "Rust" "") (processed-by "rustc" "1.96.0"))
  (memory (export "memory") 18)
  (global $__stack_pointer (mut i32) (i32.const 1048576))
  (global (export "__data_end") i32 (i32.const 1048592))
  (global (export "__heap_base") i32 (i32.const 1048592))
  (data (i32.const 1048576) "statics")
  (@custom "guest-abi" "\01\00\00\00")
  (func (export "__guest_exchange") (param i32) (result i32) i32.const 1048592)
  (func (export "f") (result i64) i64.const 0))"#;

#[test]
fn advice_has_the_lines_to_paste() {
    let folder = Folder::new();
    folder.file("large.wat", LARGE_STACK.as_bytes());
    folder.file("other.wat", LARGE_STACK.as_bytes());
    let flags = r#"      rustflags = ["-C", "link-arg=-zstack-size=65536"]"#;
    for line in ["inspect large.wat --width 40", "measure large.wat other.wat --calls 2 --budget 1ms"] {
        let said = folder.run(line);
        assert_eq!(said.status, Some(0), "{}", said.stderr);
        let lines = said.stdout.lines().filter(|line| *line == flags);
        assert_eq!(lines.count(), 1, "{line}: once, and as one line: {}", said.stdout);
        assert!(said.stdout.contains("\nAdvice\n"), "{}", said.stdout);
    }
    let said = folder.run("measure large.wat other.wat --calls 2 --budget 1ms");
    assert!(said.stdout.contains("  large, other: the shadow stack has 1024 KiB"), "{}", said.stdout);

    let json = folder.run("inspect large.wat --format json").stdout;
    let Content::Inspect(found) = read(&json).unwrap().content else { panic!("{json}") };
    let [advice] = found.advice.as_slice() else { panic!("{:?}", found.advice) };
    assert_eq!((advice.kind, advice.file.as_str()), (AdviceKind::ShadowStack, ".cargo/config.toml"));
    assert_eq!(advice.lines[0], "[target.wasm32-unknown-unknown]");
    assert!(!folder.run("inspect plain.wasm").stdout.contains("Advice"));
}

/// Bytes that [`LARGE_STACK`] declares beyond 256 KiB.
const MISSING: u64 = (18 << 16) - (256 << 10);

#[test]
fn a_budget_says_where_the_bytes_go_and_whether_they_are_enough() {
    let folder = Folder::new();
    let said = folder.run("inspect plain.wasm --budget 2MiB --deadline 50ms");
    for words in
        ["Memory budget of 2 MiB (2,097,152 bytes)", "| sum ", "100.0%", "| exchange region ", "fits         yes"]
    {
        assert!(said.stdout.contains(words), "{words}: {}", said.stdout);
    }
    assert_eq!(said.status, Some(0), "{}", said.stderr);
    folder.file("takes.wat", br#"(module (memory (export "memory") 1) (func (export "f") (param i64)))"#);
    let said = folder.run("inspect takes.wat --budget 256KiB");
    assert!(said.stdout.contains("yes, at the start; no function was called"), "{}", said.stdout);

    folder.file("large.wat", LARGE_STACK.as_bytes());
    let said = folder.run("inspect large.wat --budget 256KiB --width 300");
    let words = ["no: 917,504 bytes are missing; no instance starts within the budget", "link-arg=-zstack-size=16384"];
    for words in words {
        assert!(said.stdout.contains(words), "{words}: {}", said.stdout);
    }
    assert_eq!(said.status, Some(1), "{}", said.stdout);

    let json = folder.run("inspect large.wat --budget 256KiB --format json");
    assert_eq!(json.status, Some(1));
    let Content::Inspect(found) = read(&json.stdout).unwrap().content else { panic!("{}", json.stdout) };
    let budget = found.budget.as_ref().unwrap();
    assert_eq!((budget.fits, budget.missing, budget.needed), (false, Some(MISSING), Some((256 << 10) + MISSING)));
    assert_eq!(found.advice.iter().filter(|advice| advice.kind == AdviceKind::ShadowStack).count(), 1);
    assert!(!folder.run("inspect large.wat --format json").stdout.contains("budget"));
}

#[test]
fn the_functions_that_a_budget_calls_read_the_state() {
    let folder = Folder::new();
    folder.file("state.json", b"[]");
    let said = folder.run("inspect counted.wasm --budget 192KiB --state state.json");
    assert_eq!(said.status, Some(0), "{}{}", said.stdout, said.stderr);
    assert!(said.stdout.contains("free heap"), "{}", said.stdout);
    folder.refuses("inspect counted.wasm --state state.json", &["--budget"]);
    folder.refuses("inspect counted.wasm --budget 1KiB", &["less than a page", "64KiB"]);
    folder.refuses("inspect counted.wasm --budget 256KiB --state none.json", &["none.json"]);
}

#[test]
fn the_names_of_frames_are_not_taken_for_certain_where_only_they_say_what_happened() {
    let folder = Folder::new();
    let remark = "the name of a frame may be that of another function";
    for (line, is_said) in [
        ("run plain.wasm abort", true),
        ("run plain.wasm grow_or_abort --memory-limit 512KiB", true),
        ("run plain.wasm spin --deadline 20ms", false),
    ] {
        let said = folder.run(line);
        assert!(said.stdout.contains("Backtrace, innermost first"), "{}", said.stdout);
        assert_eq!(said.stdout.contains(remark), is_said, "{line}: {}", said.stdout);
    }
}
