//! The answer on the first screen, and what stands in its way: functions that fail, state that is not there, a machine that
//! is busy.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use host_harness::recommend::Recommendation;
use host_harness::report::{Content, read};
use test_support::text_guests;

use crate::folder::Folder;

/// A guest whose function `sum` reads a record of the state, and fails without it.
fn reads() -> Vec<u8> {
    text_guests::guest(
        r#"(import "extension" "get" (func $get (param i32 i32 i32 i32) (result i32)))"#,
        // The key `sys.Event`, without an entity and without fields, in wire form.
        r#"
        (data (i32.const 200) "\69sys.Event\60\a0")
        (func (export "sum") (result i64)
          (if (i32.lt_s (call $get (i32.const 200) (i32.const 12) (i32.const 4096) (i32.const 64)) (i32.const 0))
            (then unreachable)) i64.const 0)
        (func (export "never_ends") (result i64) (loop $again (br $again)) i64.const 0)
        (func (export "do_nothing") (result i64) i64.const 0)"#,
    )
}

fn answers(folder: &Folder, line: &str) -> Vec<Recommendation> {
    let said = folder.run(&format!("{line} --format json"));
    match read(&said.stdout).unwrap_or_else(|error| panic!("{error}: {}{}", said.stdout, said.stderr)).content {
        Content::Measure(report) => report.recommendations,
        other => panic!("{other:?}"),
    }
}

const MEASURE: &str = "measure counted.wasm --function allocate --calls 2000";

#[test]
fn the_answer_comes_first_and_fits_a_screen() {
    let folder = Folder::new();
    let said = folder.run(MEASURE);
    assert_eq!(said.status, Some(0), "{}", said.stderr);
    let lines: Vec<&str> = said.stdout.lines().collect();
    assert!(lines[0].starts_with("Restore counted by `"), "{}", said.stdout);
    let tables = lines.iter().position(|line| line.contains("more tables: --details prints them")).unwrap();
    assert!(tables < 32, "{}", said.stdout);
    let whole = folder.run(&format!("{MEASURE} --details")).stdout;
    assert!(whole.starts_with(lines[0]) && whole.contains("Per call, counted"), "{whole}");
    assert!(!whole.contains("more tables"), "{whole}");
}

#[test]
fn a_busy_machine_gets_the_same_answer() {
    let folder = Folder::new();
    let quiet = answers(&folder, MEASURE);
    let stop = AtomicBool::new(false);
    let busy = thread::scope(|scope| {
        // Twice as many as there are cores, so that the harness waits for its turn.
        for _ in 0..2 * thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        let busy = [answers(&folder, MEASURE), answers(&folder, MEASURE)];
        stop.store(true, Ordering::Relaxed);
        busy
    });
    let name = |answers: &[Recommendation]| answers.iter().map(Recommendation::headline).collect::<Vec<_>>();
    assert_eq!(name(&quiet).len(), 1);
    for answers in &busy {
        assert_eq!(name(answers), name(&quiet));
        assert_eq!(answers[0].best.work, quiet[0].best.work);
    }
}

#[test]
fn weights_are_checked_before_anything_is_measured() {
    let folder = Folder::new();
    folder.file("weights.json", br#"{"allocate": 3}"#);
    for weights in ["allocate=2", "weights.json"] {
        let answers = answers(&folder, &format!("{MEASURE} --weights {weights}"));
        assert_eq!(answers[0].functions.len(), 1);
    }
    folder.refuses_in_one_line(&format!("{MEASURE} --weights other=1"), &["no function `other`", "`allocate`"]);
    folder.refuses_in_one_line(&format!("{MEASURE} --weights none.json"), &["cannot read the weights none.json"]);
    folder.refuses_in_one_line(&format!("{MEASURE} --weights allocate=x"), &["FUNCTION=NUMBER"]);
}

#[test]
fn missing_state_is_told_first_and_can_be_written() {
    let folder = Folder::new();
    folder.file("reads.wasm", &reads());
    let told = ["because the state lacks records: sys.Event", "--write-state FILE"];
    folder.refuses_in_one_line("measure reads.wasm --function sum", &told);
    let said = folder.run("measure reads.wasm --function sum --function do_nothing --calls 100");
    assert_eq!(said.status, Some(1), "{}", said.stdout);
    assert!(said.stderr.lines().next().unwrap().starts_with("warning: `sum` fails because"), "{}", said.stderr);
    assert!(said.stdout.contains("left out, as every call failed: `sum`"), "{}", said.stdout);
    let said = folder.run("measure reads.wasm --function sum --write-state s.json");
    assert_eq!((said.status, said.stdout.as_str()), (Some(0), ""), "{}", said.stderr);
    let written = std::fs::read_to_string(folder.path().join("s.json")).unwrap();
    assert_eq!(written, "[\n  {\"storage\":\"sys.Event\",\"value\":{}}\n]\n");
    folder.refuses_in_one_line("measure reads.wasm --function sum --write-state s.json", &["is there already"]);
    let said = folder.run("measure reads.wasm --function sum --calls 100 --state s.json");
    assert_eq!(said.status, Some(0), "{}", said.stderr);
    let line = "measure reads.wasm --function sum --state s.json --write-state t.json";
    folder.refuses_in_one_line(line, &["no function fails for want of a record"]);
}

#[test]
fn what_never_succeeds_is_not_proved_unless_it_may_fail() {
    let folder = Folder::new();
    folder.file("reads.wasm", &reads());
    let line = "verify reads.wasm --function sum --function do_nothing --calls 20 --strategy full-copy";
    let said = folder.run(line);
    assert_eq!(said.status, Some(1), "{}", said.stdout);
    for words in ["inconclusive: `sum` never succeeded", "all by unreachable", "it asks for sys.Event", "%)"] {
        assert!(said.stdout.contains(words), "{words}: {}", said.stdout);
    }
    for allowed in ["sum", "*"] {
        let said = folder.run(&format!("{line} --allow-failing {allowed}"));
        assert_eq!(said.status, Some(0), "{}", said.stdout);
        assert!(said.stdout.contains("allowed: `sum` never succeeded"), "{}", said.stdout);
    }
    folder.refuses_in_one_line(&format!("{line} --allow-failing none"), &["no extension function `none`"]);
}

#[test]
fn a_function_that_never_ends_is_cut_off_after_its_instructions_and_not_called_for_ever() {
    let folder = Folder::new();
    folder.file("reads.wasm", &reads());
    let line = "verify reads.wasm --function never_ends --function do_nothing --strategy full-copy --calls 1000 --deadline none";
    let said = folder.run(&format!("{line} --max-instructions 100000"));
    assert_eq!(said.status, Some(1), "{}", said.stderr);
    let words = "`never_ends` never succeeded: 3 call(s) failed, all by instructions-exceeded: the call did not end within 100000";
    assert!(said.stdout.contains(words), "{}", said.stdout);
    let said = folder.run("verify reads.wasm --function do_nothing --strategy full-copy --max-instructions 0");
    assert_eq!(said.status, Some(2), "{}", said.stdout);
}

#[test]
fn a_time_limit_ends_verification_with_what_is_proved() {
    let folder = Folder::new();
    let line = "verify plain.wasm --function do_nothing --calls 18446744073709551615 --time-limit 300ms";
    let said = folder.run(line);
    assert_eq!(said.status, Some(1), "a strategy was not verified: {}", said.stdout);
    assert!(said.stdout.contains("passed"), "{}", said.stdout);
    assert!(said.stdout.contains("the time limit passed before it was its turn"), "{}", said.stdout);
    let said = folder.run(&format!("{line} --strategy full-copy"));
    assert_eq!(said.status, Some(0), "{}{}", said.stdout, said.stderr);
    assert!(said.stdout.contains("the time limit ended it before all calls were made"), "{}", said.stdout);
}
