//! The gate of continuous integration: a baseline and its rules, the comment, JUnit XML, and `--quiet`.

use host_harness::report::{Report, read};
use test_support::text_guests;

use crate::folder::{Folder, Said};

const MEASURE: &str = "measure g.wasm --function work --calls 5 --counted-calls 2 --budget 1ms --strategy full-copy";

/// A guest that makes so many calls of the host, and does so much more.
fn guest(calls: usize, more: &str) -> Vec<u8> {
    let call = "(call $log (i32.const 2) (i32.const 16) (i32.const 5))".repeat(calls);
    text_guests::guest(
        r#"(import "extension" "log" (func $log (param i32 i32 i32)))"#,
        &format!(r#"(data (i32.const 16) "hello") (func (export "work") (result i64) {call} {more} i64.const 0)"#),
    )
}

/// A folder with a guest, and the baseline that it gives under a command.
fn folder(line: &str) -> Folder {
    let folder = Folder::new();
    folder.file("g.wasm", &guest(1, ""));
    let said = folder.run(&format!("{line} --export-json baseline.json"));
    assert_eq!(said.status, Some(0), "{}{}", said.stdout, said.stderr);
    folder
}

fn read_file(folder: &Folder, name: &str) -> String {
    std::fs::read_to_string(folder.path().join(name)).unwrap()
}

fn report(folder: &Folder) -> Report {
    read(&read_file(folder, "new.json")).unwrap()
}

fn gate(folder: &Folder, line: &str) -> Said {
    folder.run(&format!("{line} --baseline baseline.json --export-json new.json --markdown c.md --junit j.xml"))
}

/// The shape that readers of JUnit XML expect: one root, suites that count their tests, and tests with class and name.
fn is_junit(xml: &str) -> bool {
    let number = |tag: &str, name: &str| -> usize {
        let value = tag.split(&format!(" {name}=\"")).nth(1).unwrap().split('"').next().unwrap();
        value.parse().unwrap()
    };
    let suites: Vec<&str> = xml.split("<testsuite ").skip(1).collect();
    let sound = |suite: &&str| {
        let tag = suite.split('>').next().unwrap();
        let cases: Vec<&str> = suite.split("<testcase ").skip(1).collect();
        let named = |case: &&str| case.starts_with("name=\"") && case.contains("classname=\"host-harness.");
        number(tag, "tests") == cases.len()
            && number(tag, "failures") == suite.matches("<failure ").count()
            && number(tag, "errors") == 0
            && cases.iter().all(|case| named(&case.split('>').next().unwrap()))
    };
    xml.starts_with("<?xml version=\"1.0\" encoding=\"utf-8\"?><testsuites>")
        && xml.ends_with("</testsuites>\n")
        && !suites.is_empty()
        && suites.iter().all(sound)
}

#[test]
fn the_same_guest_passes_and_says_nothing_when_quiet() {
    let folder = folder(MEASURE);
    let said = gate(&folder, &format!("{MEASURE} --quiet"));
    assert_eq!((said.status, said.stdout.as_str(), said.stderr.as_str()), (Some(0), "", ""));
    let comparison = report(&folder).baseline.unwrap();
    assert!(comparison.changes.is_empty() && comparison.compared > 10, "{comparison:?}");
    let comment = read_file(&folder, "c.md");
    assert!(comment.starts_with("## host-harness measure: passed\n\nBaseline: passed, nothing changed"), "{comment}");
    assert!(!comment.contains("**"), "nothing is worse: {comment}");
    let junit = read_file(&folder, "j.xml");
    assert!(junit.contains(r#"name="instructions=1%""#) && !junit.contains("<failure"), "{junit}");
    // Without the switch it prints what it always prints.
    let said = gate(&folder, MEASURE);
    assert!(said.stdout.starts_with("Baseline: passed"), "{}", said.stdout);
}

#[test]
fn a_regression_fails_and_is_told_everywhere() {
    let folder = folder(MEASURE);
    folder.file("g.wasm", &guest(2, ""));
    let said = gate(&folder, &format!("{MEASURE} -q"));
    assert_eq!((said.status, said.stderr.as_str()), (Some(1), ""), "{}", said.stdout);
    assert!(said.stdout.starts_with("Baseline: FAILED by "), "what fails is not quiet: {}", said.stdout);
    assert!(!report(&folder).passed());
    let comment = read_file(&folder, "c.md");
    assert!(comment.starts_with("## host-harness measure: FAILED\n\n**Baseline: FAILED by "), "{comment}");
    assert!(
        comment.contains(
            "| **crossings (fails)** | g | work | none / reinstantiate / full-copy | 1 | **2** | **+100%** |"
        ),
        "{comment}"
    );
    assert!(comment.contains("<details><summary>") && comment.len() < 60_000, "{comment}");
    let junit = read_file(&folder, "j.xml");
    assert!(junit.contains(r#"message="g / work / none: crossings was 1, is 2 (+100%)""#), "{junit}");
    assert!(junit.contains("<failure type=\"crossings\"") && is_junit(&junit), "{junit}");
}

#[test]
fn rules_say_what_fails() {
    let folder = folder(MEASURE);
    folder.file("g.wasm", &guest(1, "(drop (i32.const 1))"));
    for (rules, status) in [
        ("", 1),
        ("--fail-on instructions", 1),
        ("--fail-on instructions=500%", 0),
        ("--fail-on crossings,allocations,verdict,lost,failing", 0),
        ("--fail-on none", 0),
        ("--fail-on wasm-size=1%", 1),
        ("--fail-on wasm-size=90%", 0),
    ] {
        let said = gate(&folder, &format!("{MEASURE} {rules}"));
        assert_eq!(said.status, Some(status), "{rules}: {}{}", said.stdout, said.stderr);
    }
    // A row that is missing, and a way that fails.
    let fewer = MEASURE.replace("full-copy", "dirty-cards");
    assert_eq!(gate(&folder, &format!("{fewer} --fail-on lost")).status, Some(1));
    assert_eq!(gate(&folder, &format!("{fewer} --fail-on crossings")).status, Some(0));
}

#[test]
fn verdicts_have_a_baseline_too() {
    let line = "verify g.wasm --calls 20 --deadline 50ms --strategy full-copy";
    let folder = folder(line);
    let said = gate(&folder, line);
    assert_eq!(said.status, Some(0), "{}", said.stdout);
    assert!(said.stdout.starts_with("Baseline: passed, nothing changed in 2 figures"), "{}", said.stdout);
    // Asked for a strategy that cannot restore it, the verdict on the other one is missing.
    let said = gate(&folder, "verify g.wasm --calls 20 --strategy bump-reset");
    assert_eq!(said.status, Some(1));
    let comment = read_file(&folder, "c.md");
    assert!(comment.contains("| **verdict (fails)** | g |  | full-copy | passed | **not verified** |"), "{comment}");
    let junit = read_file(&folder, "j.xml");
    assert!(junit.contains(r#"name="g verified, restored by bump-reset""#), "{junit}");
    assert!(junit.contains(r#"<failure type="not verified""#), "{junit}");
}

#[test]
fn what_cannot_be_a_baseline_is_refused_before_the_work() {
    let folder = folder(MEASURE);
    folder.file("none.json", b"{}");
    let text = read_file(&folder, "baseline.json");
    folder.file("old.json", text.replace("\"schema_version\": 3", "\"schema_version\": 2").as_bytes());
    for (line, words) in [
        (format!("{MEASURE} --baseline missing.json"), "the baseline missing.json: cannot be read"),
        (format!("{MEASURE} --baseline none.json"), "the baseline none.json: not a report of this harness"),
        (format!("{MEASURE} --baseline old.json"), "the report has schema version 2"),
        ("verify g.wasm --baseline baseline.json".to_owned(), "of `measure` and this is `verify`"),
        (format!("{MEASURE} --baseline baseline.json --export-json baseline.json"), "it is what the command reads"),
        (format!("{MEASURE} --markdown same --junit same"), "use a file each for --markdown and --junit"),
        (format!("{MEASURE} --markdown - --junit -"), "standard output"),
    ] {
        folder.refuses_in_one_line(&line, &[words]);
    }
    for (line, words) in [
        (format!("{MEASURE} --baseline baseline.json --fail-on speed"), "`speed` is no figure"),
        (format!("{MEASURE} --baseline baseline.json --fail-on instructions=2"), "is not a percentage"),
        (format!("{MEASURE} --fail-on verdict"), "--baseline"),
    ] {
        folder.refuses(&line, &[words]);
    }
    folder.file("h.wasm", &guest(1, ""));
    let said = gate(&folder, &MEASURE.replace("g.wasm", "h.wasm"));
    assert_eq!(said.status, Some(1));
    assert!(said.stdout.contains("no row in common: the baseline has g, this report h"), "{}", said.stdout);
    assert!(read_file(&folder, "j.xml").contains("not-comparable"));
}

#[test]
fn times_of_another_machine_are_not_compared_and_a_note_says_so() {
    let folder = folder(MEASURE);
    let mut json: serde_json::Value = serde_json::from_str(&read_file(&folder, "baseline.json")).unwrap();
    json["header"]["machine"]["cpu"] = "another".into();
    folder.file("baseline.json", json.to_string().as_bytes());
    let said = gate(&folder, &format!("{MEASURE} --fail-on time"));
    assert_eq!(said.status, Some(0), "{}", said.stdout);
    assert!(said.stdout.contains("times are not compared: the baseline is of another machine"), "{}", said.stdout);
    let said = gate(&folder, MEASURE);
    assert!(!said.stdout.contains("times are not compared"), "nobody asked: {}", said.stdout);
}

#[test]
fn every_command_has_a_comment_and_junit() {
    let folder = Folder::new();
    for (line, status, name) in [
        ("inspect plain.wasm", 0, "plain"),
        ("run plain.wasm abort", 1, "plain abort"),
        ("measure plain.wasm --function abort --calls 5", 1, "plain abort restored by none"),
        ("verify counted.wasm --calls 20 --strategy full-copy", 0, "counted verified, restored by full-copy"),
        ("compile plain.wasm -o plain.guest", 0, "plain"),
    ] {
        let said = folder.run(&format!("{line} --markdown c.md --junit j.xml"));
        assert_eq!(said.status, Some(status), "{line}: {}", said.stderr);
        let junit = read_file(&folder, "j.xml");
        assert!(junit.contains(&format!("name=\"{name}\"")), "{line}: {junit}");
        assert_eq!(junit.contains("<failure"), status == 1, "{line}: {junit}");
        assert!(is_junit(&junit), "{line}: {junit}");
        let comment = read_file(&folder, "c.md");
        let word = if status == 0 { "passed" } else { "FAILED" };
        let command = line.split(' ').next().unwrap();
        assert!(comment.starts_with(&format!("## host-harness {command}: {word}\n")), "{line}: {comment}");
        assert_eq!(comment.matches("<details>").count(), comment.matches("</details>").count(), "{line}");
    }
    let said = folder.run("inspect plain.wasm --markdown -");
    assert!(said.stdout.starts_with("## host-harness inspect: passed"), "{}", said.stdout);
}

#[test]
fn names_of_guests_neither_break_a_comment_nor_junit() {
    let folder = Folder::new();
    let name = "a|b`c`_@team_<img src=x>&\u{1b}";
    folder.file(&format!("{name}.wasm"), &guest(1, ""));
    let mut command = folder.command("verify --calls 5 --strategy full-copy --markdown c.md --junit j.xml");
    let output = command.arg(format!("{name}.wasm")).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let comment = read_file(&folder, "c.md");
    assert!(!comment.contains("@team") && !comment.contains("<img") && !comment.contains('`'), "{comment}");
    let columns = |line: &&str| line.matches('|').count();
    let rows: Vec<usize> = comment.lines().filter(|line| line.starts_with('|')).map(|line| columns(&line)).collect();
    assert!(rows.len() >= 3, "{comment}");
    let junit = read_file(&folder, "j.xml");
    assert!(junit.contains("&lt;img src=x&gt;&amp;\\u001b verified"), "{junit}");
}
