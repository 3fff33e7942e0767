//! Mistakes of users and malice of guests: the command line keeps its inputs and its terminal intact.

use crate::folder::Folder;
use test_support::text_guests;

/// A guest whose texts a terminal would obey, and one function that reports an error of 60,000 characters.
fn loud() -> Vec<u8> {
    text_guests::guest(
        r#"(import "extension" "log" (func $log (param i32 i32 i32)))
           (import "extension" "fail" (func $fail (param i32 i32 i32)))"#,
        r#"
        (data (i32.const 16) "\1b[31m\c2\9b2J\e2\80\ae\07\0ax")
        (data (i32.const 64) "\85\00\68sys.View\61\1b\a1\62\1bd\01\a1\66Amount\19\01\90")
        (func (export "log\1b") (result i64) (call $log (i32.const 2) (i32.const 16) (i32.const 15)) i64.const 0)
        (func (export "refuse") (result i64) (call $fail (i32.const 1000) (i32.const 16) (i32.const 15)) i64.const -1)
        (func (export "new_view") (result i64) (i64.or (i64.shl (i64.const 64) (i64.const 32)) (i64.const 29)))
        (func (export "long") (result i64)
          (memory.fill (i32.const 8192) (i32.const 97) (i32.const 60000))
          (call $fail (i32.const 1000) (i32.const 8192) (i32.const 60000)) i64.const -1)"#,
    )
}

fn is_harmless(text: &str) -> bool {
    !text.contains(|char: char| (char.is_control() && char != '\n') || char == '\u{202e}')
}

#[test]
fn a_report_never_takes_the_place_of_what_it_is_made_from() {
    let folder = Folder::new();
    folder.file("state.json", b"[]");
    folder.file("Cargo.toml", b"[package]");
    let kept: Vec<_> = folder.names().iter().map(|name| std::fs::read(folder.path().join(name)).unwrap()).collect();
    for line in [
        "inspect plain.wasm --export-json plain.wasm",
        "run plain.wasm do_nothing --export-html ./plain.wasm",
        "run plain.wasm do_nothing --metrics ./plain.wasm",
        "run plain.wasm do_nothing --state state.json --export-json ../NAME/state.json",
        "measure counted.wasm plain.wasm --export-json plain.wasm",
        "verify plain.wasm counted.wasm --export-json r.json --export-html counted.wasm",
        "verify plain.wasm --state ./state.json --export-json state.json",
        "compare --export-json Cargo.toml",
        "compare --manifest-path ./Cargo.toml --export-html state.json",
    ] {
        let name = folder.path().file_name().unwrap().to_str().unwrap();
        folder.refuses_in_one_line(&line.replace("NAME", name), &["cannot write", "it is what the command reads"]);
    }
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("plain.wasm", folder.path().join("link")).unwrap();
        for line in ["inspect plain.wasm --export-json link", "inspect link --export-json plain.wasm"] {
            folder.refuses_in_one_line(line, &["it is what the command reads"]);
        }
        std::fs::remove_file(folder.path().join("link")).unwrap();
    }
    let after: Vec<_> = folder.names().iter().map(|name| std::fs::read(folder.path().join(name)).unwrap()).collect();
    assert!(kept == after);
}

#[test]
fn nothing_that_guests_say_is_obeyed_by_the_terminal() {
    let folder = Folder::new();
    folder.file("loud.wasm", &loud());
    let shown = r"\u001b[31m\u009b2J\u202e\u0007\nx";
    let cases = [
        ("inspect loud.wasm", 0, r"log\u001b"),
        ("run loud.wasm log\u{1b}", 0, shown),
        ("run loud.wasm refuse", 1, shown),
        ("run loud.wasm new_view", 0, r#""entity":"\u001b","key":{"\u001bd":1}"#),
        ("measure loud.wasm --function log\u{1b} --calls 2 --budget 1ms --details", 0, r"log\u001b"),
        ("verify loud.wasm --calls 5 --allow-failing *", 0, "passed"),
        ("verify loud.wasm --calls 5", 1, shown),
    ];
    for (line, status, words) in cases {
        let said = folder.run(line);
        assert_eq!(said.status, Some(status), "{line}: {}", said.stderr);
        assert!(said.stdout.contains(words), "{line}: {}", said.stdout);
        assert!(is_harmless(&said.stdout) && is_harmless(&said.stderr), "{line}: {:?}", said.stdout);
    }
    let json = folder.run("run loud.wasm refuse --format json").stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let message = json["calls"][0]["failure"]["message"].as_str().unwrap();
    assert!(message.starts_with("\u{1b}[31m\u{9b}2J\u{202e}\u{7}\nx"), "JSON has the text itself: {message:?}");
}

#[test]
fn nothing_that_is_given_is_obeyed_by_the_terminal() {
    let folder = Folder::new();
    folder.file("loud.wasm", &loud());
    let state = "[{\"storage\": \"\\u001b\\u009b\\n\", \"value\": {\"x\": null}}]";
    folder.file("s.json", state.as_bytes());
    for (line, words) in [
        ("inspect \u{1b}[31m.wasm", r"error: \u001b[31m.wasm: cannot be read"),
        ("run loud.wasm \u{1b}c", r"no extension function `\u001bc`"),
        ("measure loud.wasm --function \u{202e}", r"no extension function `\u202e`"),
        ("run loud.wasm refuse --state s.json", r"(storage `\u001b\u009b\n`)"),
    ] {
        folder.refuses_in_one_line(line, &[words]);
        assert!(is_harmless(&folder.run(line).stderr), "{line}");
    }
    for line in ["run loud.wasm f --memory-limit 1\u{7}", "run loud.wasm f --nothing\u{1b}[31m"] {
        folder.refuses(line, &["For more information"]);
        assert!(is_harmless(&folder.run(line).stderr), "{line}");
    }
}

#[test]
fn what_is_long_is_cut_and_says_so() {
    let folder = Folder::new();
    folder.file("loud.wasm", &loud());
    let said = folder.run("run loud.wasm long");
    assert_eq!(said.status, Some(1), "{}", said.stderr);
    assert!(said.stdout.contains("… (cut: 60034 characters) …") && said.stdout.contains("(code 1000)"));
    assert!(said.stdout.len() < 6_000, "{} bytes", said.stdout.len());
    let json = folder.run("run loud.wasm long --format json").stdout;
    assert!(json.contains(&"a".repeat(60_000)), "JSON has all of it");

    let long = "n".repeat(100_000);
    for line in
        ["run plain.wasm NAME", "verify plain.wasm --function NAME", "inspect NAME", "run plain.wasm f --restore NAME"]
    {
        let said = folder.run(&line.replace("NAME", &long));
        assert_eq!(said.status, Some(2), "{line}");
        assert!(
            said.stderr.contains("characters)") && said.stderr.len() < 10_000,
            "{line}: {} bytes",
            said.stderr.len()
        );
    }
    let refused = folder.run(&format!("inspect {long}")).stderr;
    assert!(refused.contains("cannot be read"), "its end stays: {refused}");
}

#[test]
fn a_function_that_is_not_there_is_told_with_those_that_are() {
    let folder = Folder::new();
    for (line, words) in [
        (
            "run plain.wasm DO_NOTHING",
            "plain.wasm: the guest has no extension function `DO_NOTHING`; did you mean `do_nothing`",
        ),
        (
            "verify plain.wasm --function zzzz",
            "it has `do_nothing`, `say_hello`, `refuse`, `new_view`, `abort` and 4 more; `inspect` lists all",
        ),
        (
            "measure counted.wasm plain.wasm --function zzzz",
            "counted.wasm: the guest has no extension function `zzzz`; it has `allocate`",
        ),
    ] {
        folder.refuses_in_one_line(line, &[words]);
    }
}

#[test]
fn sizes_times_and_counts_that_cannot_be_are_told_as_what_they_are() {
    let folder = Folder::new();
    for (option, words) in [
        ("--exchange-size 0", "at least 1 byte"),
        ("--memory-limit 32", "`32` has no unit: write `32B`, `32KiB` or `32MiB`"),
        ("--exchange-size 32", "`32B`, `32KiB` or `32MiB`"),
        ("--prepared-limit 32", "`32B`, `32KiB` or `32MiB`"),
        ("--restore on-heap-above=32", "`32B`, `32KiB` or `32MiB`"),
        ("--exchange-size 2GiB", "smaller than 2GiB"),
        ("--exchange-size 99999999999GiB", "smaller than 2GiB"),
        ("--memory-limit 4097MiB", "at most 4GiB"),
        ("--memory-limit 99999999999GiB", "at most 4GiB"),
        ("--memory-limit -1", "`-1` is not a size"),
        ("--deadline -1s", "`-1s` is not a time"),
        ("--deadline 99999999999999999999s", "is too long; the longest time"),
        ("--restore on-heap-above=99999999999GiB", "is too large; a size fits 64 bits"),
        ("--times -1", "`-1` is not a whole number from 1"),
        ("--export-json=", "needs the name of a file"),
    ] {
        folder.refuses(&format!("run plain.wasm do_nothing {option}"), &[words]);
    }
    folder.refuses_in_one_line(
        "run plain.wasm do_nothing --exchange-size 1MiB --memory-limit 1MiB",
        &["1048576 bytes", "--exchange-size", "--memory-limit"],
    );
    assert_eq!(folder.run("run plain.wasm do_nothing --memory-limit 4GiB").status, Some(0));
}

#[cfg(unix)]
#[test]
fn what_does_not_end_is_not_read() {
    let folder = Folder::new();
    for (line, words) in [
        ("pipe /dev/zero", "/dev/zero: cannot be read: it is a device"),
        ("inspect /dev/zero", "/dev/zero: cannot be read: it is a device"),
        ("run plain.wasm do_nothing --state /dev/zero", "/dev/zero: it is a device"),
        ("inspect .", "error: .: cannot be read: it is a folder"),
        ("measure plain.wasm --state .", "the state file .: it is a folder"),
    ] {
        folder.refuses_in_one_line(line, &[words]);
    }
    let endless = std::fs::File::create(folder.path().join("endless.wasm")).unwrap();
    endless.set_len(1 << 40).unwrap();
    folder.refuses_in_one_line("verify plain.wasm endless.wasm", &["endless.wasm: cannot be read: it is larger than"]);
}

#[cfg(unix)]
#[test]
fn a_closed_output_is_as_one_that_nobody_reads() {
    let folder = Folder::new();
    let status = |line: &str, closed: &str| {
        let mut shell = std::process::Command::new("sh");
        shell.arg("-c").arg(format!("exec \"$0\" {line} {closed}")).arg(env!("CARGO_BIN_EXE_host-harness"));
        shell.current_dir(folder.path()).output().unwrap().status.code()
    };
    assert_eq!(status("inspect plain.wasm", ">&-"), Some(0));
    assert_eq!(status("run plain.wasm abort", ">&- 2>&-"), Some(1));
    assert_eq!(status("run plain.wasm nothing", ">&- 2>&-"), Some(2));
    assert_eq!(status("run plain.wasm nothing --times x", ">&- 2>&-"), Some(2));
}

#[test]
fn a_module_that_is_too_large_to_be_prepared_is_told_in_one_line() {
    const HINT: &str = "`--prepared-limit` sets the limit";
    let folder = Folder::new();
    let size = std::fs::metadata(folder.path().join("plain.wasm")).unwrap().len();
    let has = format!("({size} before preparation)");
    let expected = [has.as_str(), "the limit is 100 bytes; ", HINT];
    for line in ["measure plain.wasm --prepared-limit 100B", "run plain.wasm do_nothing --prepared-limit 100B"] {
        folder.refuses_in_one_line(line, &expected);
    }
    // A limit that leaves no room for the write barrier.
    let told = folder.run("run plain.wasm do_nothing --prepared-limit 100B").stderr;
    let prepared = told.split("the prepared module has ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
    let line = format!("run plain.wasm do_nothing --strategy dirty-cards --prepared-limit {prepared}B");
    folder.refuses_in_one_line(&line, &["strategy `dirty-cards`", &format!("limit is {prepared} bytes"), HINT]);
}

#[test]
fn text_is_taken_wherever_a_guest_is() {
    let folder = Folder::new();
    for name in ["guest.wat", "upper.WAT"] {
        folder.file(name, IN_TEXT.as_bytes());
    }
    for line in [
        "inspect guest.wat",
        "run guest.wat f",
        "run upper.WAT f",
        "measure guest.wat --calls 2 --budget 1ms",
        "verify guest.wat --calls 3",
        "compile guest.wat -o guest.artefact",
    ] {
        let said = folder.run(line);
        assert_eq!((said.status, said.stderr.as_str()), (Some(0), ""), "{line}: {}", said.stdout);
    }
    folder.file("wrong.wat", b"(module\n  (func $f (i32.cons 1)))");
    folder.file("bytes.wat", b"(module \xff)");
    folder.refuses_in_one_line("run wrong.wat f", &["error: wrong.wat: ", "line 2, column 13: ", "unknown operator"]);
    folder.refuses_in_one_line("verify guest.wat bytes.wat", &["error: bytes.wat: ", "valid utf-8"]);
    folder.refuses_in_one_line("inspect missing.wat", &["error: missing.wat: ", "cannot be read"]);
}

/// A guest with one function that does nothing.
const IN_TEXT: &str = r#"(module
  (memory (export "memory") 2)
  (global (export "__heap_base") i32 (i32.const 4096))
  (@custom "guest-abi" "\01\00\00\00")
  (func (export "__guest_exchange") (param i32) (result i32) i32.const 4096)
  (func (export "f") (result i64) i64.const 0))"#;

#[test]
fn a_guest_that_is_not_there_leads_to_build_where_there_is_a_crate() {
    let folder = Folder::new();
    let hint = "`host-harness build` builds the modules";
    folder.refuses_in_one_line("run target/guests/shop.wasm f", &["shop.wasm: cannot be read: "]);
    assert!(!folder.run("inspect missing.wasm").stderr.contains(hint));
    folder.file("Cargo.toml", b"[package]\nname = \"shop\"\n");
    for line in ["run missing.wasm f", "inspect missing.wasm", "measure plain.wasm missing.wasm"] {
        folder.refuses_in_one_line(line, &["missing.wasm: cannot be read: ", hint]);
    }
}

#[test]
fn a_size_in_other_units_is_refused_with_the_unit_that_was_meant() {
    Folder::new().refuses("run plain.wasm f --memory-limit 64MB", &["did you mean `64MiB`?"]);
}
