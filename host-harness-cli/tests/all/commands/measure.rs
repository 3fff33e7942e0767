//! `measure`: failures in its tables, and an interrupt.

use std::process::{Command, Stdio};

use host_harness::report::{Content, read};

use crate::folder::Folder;

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
fn a_function_that_runs_out_of_memory_is_one_row() {
    let folder = Folder::new();
    let line = "measure plain.wasm --function grow_or_abort --calls 5 --memory-limit 512KiB";
    let said = folder.run(line);
    assert_eq!(said.status, Some(1), "{}", said.stderr);
    assert!(
        said.stdout.starts_with("FAILED, for these reasons\n\n  `grow_or_abort` failed by out-of-memory"),
        "{}",
        said.stdout
    );
    assert_eq!(said.stdout.matches("524288 bytes; raise the memory limit").count(), 1, "{}", said.stdout);
    let said = folder.run(&format!("{line} --details"));
    let rows: Vec<_> =
        said.stdout.lines().filter(|line| line.starts_with("| plain ") && line.contains("any")).collect();
    let [row] = rows.as_slice() else { panic!("{}", said.stdout) };
    assert!(row.trim_end_matches(['|', ' ']).ends_with("out-of-memory"), "{row}");
    assert!(said.stdout.contains("(none: also when retried on the restored instance)"), "{}", said.stdout);
    assert!(!said.stdout.contains("Per call, counted"), "there is nothing in that table: {}", said.stdout);
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
