//! `run`: results, failures, intents and log lines.

use host_harness::report::{Content, read};

use crate::folder::Folder;

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
