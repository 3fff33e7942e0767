//! `run --metrics`: what it writes, where, and what it refuses.

use crate::folder::Folder;
use test_support::exposition::{check, value};

#[test]
fn metrics_are_written_to_a_file_beside_the_ordinary_output() {
    let folder = Folder::new();
    let said = folder.run("run plain.wasm refuse --times 3 --metrics m.prom");
    assert_eq!((said.status, said.stderr.as_str()), (Some(1), ""), "{}", said.stdout);
    assert!(said.stdout.contains("guest-error"), "{}", said.stdout);
    let text = std::fs::read_to_string(folder.path().join("m.prom")).unwrap();
    check(&text).unwrap();
    assert_eq!(value(&text, r#"guest_invocations_total{guest="plain",function="refuse"}"#), Some(3.0));
    assert_eq!(value(&text, r#"guest_invocation_seconds_count{guest="plain",function="refuse"}"#), Some(3.0));
    let errors = r#"guest_errors_total{guest="plain",function="refuse",cause="guest-error"}"#;
    assert_eq!(value(&text, errors), Some(3.0));
}

#[test]
fn recoveries_from_a_memory_overflow_are_in_the_metrics() {
    let folder = Folder::new();
    let line = "run plain.wasm grow_or_abort --times 4 --memory-limit 2MiB --restore never --metrics -";
    let said = folder.run(line);
    assert_eq!(said.status, Some(0), "{}", said.stdout);
    let recovered = r#"guest_retries_total{guest="plain",function="grow_or_abort",result="recovered"}"#;
    assert_eq!(value(&said.stdout, recovered), Some(3.0), "{}", said.stdout);
}

#[test]
fn on_standard_output_metrics_take_the_place_of_the_ordinary_output() {
    let folder = Folder::new();
    let said = folder.run("run plain.wasm do_nothing --metrics - --export-json r.json");
    assert_eq!((said.status, said.stderr.as_str()), (Some(0), ""));
    check(&said.stdout).unwrap();
    assert!(folder.path().join("r.json").exists());
}

#[test]
fn metrics_never_share_a_place_with_something_else() {
    let folder = Folder::new();
    let run = |options: &str| format!("run plain.wasm do_nothing {options}");
    folder.refuses_in_one_line(&run("--metrics - --export-json -"), &["the metrics and a report", "standard output"]);
    folder.refuses_in_one_line(&run("--metrics r --export-html ./r"), &["the metrics and a report would go to ./r"]);
    folder.refuses_in_one_line(&run("--metrics plain.wasm"), &["it is what the command reads"]);
    folder.refuses_in_one_line(&run("--metrics none/m"), &["there is no folder none"]);
    folder.refuses(&run("--metrics="), &["needs the name of a file"]);
    folder.refuses("measure plain.wasm --metrics m", &["--metrics"]);
}
