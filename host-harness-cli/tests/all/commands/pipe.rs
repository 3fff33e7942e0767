//! `pipe` on the command line, with the sample pipelines.

use std::path::{Path, PathBuf};

use host_harness::pipe::PipeReport;
use host_harness::report::{Content, read};

use crate::folder::{Folder, Said};

/// The sample pipelines.
fn samples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../guests/exchange/pipelines")
}

fn report(said: &Said) -> PipeReport {
    match read(&said.stdout) {
        Ok(report) => match report.content {
            Content::Pipe(report) => report,
            other => panic!("{other:?}"),
        },
        Err(error) => panic!("{error}: {}{}", said.stdout, said.stderr),
    }
}

/// A guest as text: `pass` returns its block, and `trap` traps.
const GUEST: &str = r#"(module
    (import "test:shm/exchange" "[resource-drop]memory-block" (func (param i32)))
    (memory (export "memory") 1)
    (func (export "pass") (param i32) (result i32) (local.get 0))
    (func (export "trap") (param i32) (result i32) (unreachable)))"#;

/// A folder with the guest, and a pipeline of these ticks and stages.
fn folder(ticks: u64, stages: &[&str]) -> Folder {
    let folder = Folder::new();
    folder.file("guest.wat", GUEST.as_bytes());
    let stages = stages.iter().map(|stage| format!("[[stage]]\nmodule = \"guest.wat\"\n{stage}\n"));
    let text = format!("[source]\nticks = {ticks}\n{}", stages.collect::<String>());
    folder.file("pipe.toml", text.as_bytes());
    folder
}

#[test]
fn the_samples_run_and_print_their_figures() {
    let folder = Folder::new();
    for (name, stages, frames) in [("numbers", 3, 20), ("strings", 3, 1), ("frames", 3, 100)] {
        let path = samples().join(format!("{name}.toml"));
        let said = folder.run(&format!("pipe {} --format json --deadline none", path.display()));
        assert_eq!(said.status, Some(0), "{name}: {}", said.stderr);
        let report = report(&said);
        assert_eq!((report.stages.len(), report.frames), (stages, frames), "{name}");
        assert!(
            report.stages.iter().all(|stage| stage.calls == frames && stage.failed_calls == 0),
            "{name}: {report:?}"
        );
        assert!(report.elapsed_ns > 0 && report.bytes_per_second > 0, "{name}");
    }
    let said = folder.run(&format!("pipe {}", samples().join("numbers.toml").display()));
    assert_eq!(said.status, Some(0), "{}", said.stderr);
    assert!(said.stdout.starts_with("Pipeline\n\n  frames      20, 320 B\n"), "{}", said.stdout);
    for word in ["| stage   | from    | calls |", "| in calls |", "| strategy", "| queue of | if full |", "per second"]
    {
        assert!(said.stdout.contains(word), "{word}: {}", said.stdout);
    }
    assert!(said.stderr.is_empty(), "{}", said.stderr);
}

#[test]
fn a_pipeline_has_as_many_stages_as_its_file_says() {
    let stages: Vec<_> =
        (0..40).map(|at| format!("name = \"s{at}\"\nfunction = \"pass\"\nfrom = \"source\"")).collect();
    let folder = folder(2, &stages.iter().map(String::as_str).collect::<Vec<_>>());
    let said = folder.run("pipe pipe.toml --format json");
    assert_eq!(said.status, Some(0), "{}", said.stderr);
    assert_eq!(report(&said).stages.len(), 40);
}

#[test]
fn with_verbose_the_lines_of_guests_are_shown() {
    let folder = Folder::new();
    let said = folder.run(&format!("pipe --verbose {}", samples().join("numbers.toml").display()));
    for subscriber in ["one", "other"] {
        let lines: Vec<_> =
            said.progress.iter().filter_map(|line| line.split_once(&format!("] {subscriber}: "))).collect();
        let received: Vec<_> = lines.into_iter().map(|(_, line)| line.to_owned()).collect();
        assert_eq!(received, (0..20).map(|tick| format!("info received {}", tick * tick)).collect::<Vec<_>>());
    }
}

#[test]
fn a_failure_that_stops_the_pipeline_is_a_failure_and_one_that_is_skipped_is_not() {
    let line = "function = \"trap\"";
    let stops = folder(5, &["function = \"pass\"", line]);
    let said = stops.run("pipe pipe.toml --junit junit.xml");
    assert_eq!(said.status, Some(1), "{}", said.stderr);
    assert!(said.stdout.contains("FAILED: stopped by the stage `trap`"), "{}", said.stdout);
    assert!(said.stdout.contains("trap: call 1: the guest aborted"), "{}", said.stdout);
    let junit = std::fs::read_to_string(stops.path().join("junit.xml")).unwrap();
    assert!(junit.contains("failures=\"1\"") && junit.contains("tests=\"2\""), "{junit}");

    let skips = folder(5, &["function = \"pass\"", &format!("{line}\non_failure = \"skip\"")]);
    let said = skips.run("pipe pipe.toml --format json");
    assert_eq!(said.status, Some(0), "{}", said.stderr);
    assert_eq!(report(&said).stages[1].failed_calls, 5);
    let text = format!("{}\n", serde_json::to_string_pretty(&read(&said.stdout).unwrap()).unwrap());
    assert_eq!(text, said.stdout, "a report is read back as it was written");
}

#[test]
fn options_hold_for_stages_that_do_not_set_them() {
    let folder = folder(1, &["function = \"pass\"", "name = \"own\"\nfunction = \"pass\"\nstrategy = \"full-copy\""]);
    let said = folder.run("pipe pipe.toml --strategy reinstantiate --format json");
    let strategies: Vec<_> = report(&said).stages.into_iter().map(|stage| stage.strategy).collect();
    assert_eq!(strategies, ["reinstantiate", "full-copy"]);
    folder.refuses_in_one_line("pipe pipe.toml --strategy full-copy,reinstantiate", &["`pipe` uses one strategy"]);
}

#[test]
fn a_guest_has_as_many_bytes_of_blocks_as_its_limit_says() {
    const MAKES: &str = r#"(module
        (import "test:shm/exchange" "[constructor]memory-block" (func $make (param i32) (result i32)))
        (memory (export "memory") 1)
        (func (export "make") (param i32) (result i32) (drop (call $make (i32.const 1048576))) (i32.const 0)))"#;
    let folder = Folder::new();
    folder.file("makes.wat", MAKES.as_bytes());
    let file = |more: &str| {
        let text = format!("[source]\nticks = 1\n[[stage]]\nmodule = \"makes.wat\"\nfunction = \"make\"\n{more}");
        folder.file("pipe.toml", text.as_bytes());
    };
    file("");
    assert_eq!(folder.run("pipe pipe.toml --block-limit 1MiB").status, Some(0));
    let said = folder.run("pipe pipe.toml --block-limit 1023KiB");
    assert!(said.status == Some(1) && said.stdout.contains("a block of 1048576 bytes is more"), "{}", said.stdout);
    file("block_limit = \"1MiB\"\n");
    assert_eq!(folder.run("pipe pipe.toml --block-limit 1023KiB").status, Some(0));
}

#[test]
fn what_did_not_happen_is_told() {
    let folder = folder(1, &["function = \"pass\""]);
    // The guest has no storage.
    let said = folder.run("pipe pipe.toml --map-blocks-from 1B");
    assert!(said.status == Some(0) && said.stdout.contains("no block was mapped"), "{}{}", said.stdout, said.stderr);
    folder.file("nothing.bin", b"");
    folder.file(
        "file.toml",
        b"[source]\nfile = \"nothing.bin\"\nframe = \"1KiB\"\n[[stage]]\nmodule = \"guest.wat\"\nfunction = \"pass\"\n",
    );
    let said = folder.run("pipe file.toml");
    assert!(said.status == Some(0) && said.stdout.contains("nothing.bin is empty"), "{}{}", said.stdout, said.stderr);
}

#[test]
fn errors_name_the_file_and_say_what_to_do() {
    let folder = folder(1, &["function = \"pas\""]);
    folder.file("empty.toml", b"[source]\nticks = 1\n");
    folder.file("syntax.toml", b"[source]\nticks = 1\nspeed = 2\n");
    folder.file("none.toml", b"[source]\nticks = 1\n[[stage]]\nmodule = \"none.wasm\"\nfunction = \"f\"\n");
    folder.file("plain.toml", b"[source]\nticks = 1\n[[stage]]\nmodule = \"plain.wasm\"\nfunction = \"f\"\n");
    folder.file("from.toml", b"[source]\nticks = 1\n[[stage]]\nmodule = \"m.wasm\"\nfunction = \"f\"\nfrom = \"g\"\n");
    folder.file(
        "file.toml",
        b"[source]\nfile = \"none.bin\"\nframe = \"1KiB\"\n[[stage]]\nmodule = \"guest.wat\"\nfunction = \"pass\"\n",
    );
    let cases: [(&str, &[&str]); 8] = [
        ("missing.toml", &["missing.toml: cannot be read"]),
        ("pipe.toml", &["pipe.toml: the stage `pas`: guest.wat has no stage `pas`; `function` is one of: pass, trap"]),
        ("empty.toml", &["empty.toml: the pipeline has no stages; add a table `[[stage]]`"]),
        ("syntax.toml", &["syntax.toml:", "unknown field `speed`, expected one of `ticks`"]),
        (
            "none.toml",
            &["none.toml: the stage `f`: none.wasm: cannot be read", "`module` is a path relative to the folder"],
        ),
        ("plain.toml", &["plain.wasm has no stage `f`; it has no stages at all"]),
        ("from.toml", &["no stage before it has this name; `from` is one of: source"]),
        ("file.toml", &["none.bin: cannot be read"]),
    ];
    for (file, words) in cases {
        folder.refuses_in_one_line(&format!("pipe {file}"), words);
    }
    folder.refuses("pipe", &["<FILE.toml>"]);
    folder.refuses_in_one_line("pipe pipe.toml --export-json guest.wat", &["it is what the command reads"]);
    folder.refuses_in_one_line("pipe pipe.toml --export-json pipe.toml", &["it is what the command reads"]);
    folder.refuses_in_one_line("pipe none.toml --memory-limit 1KiB --exchange-size 2KiB", &["--exchange-size"]);
}

#[cfg(unix)]
#[test]
fn an_interrupt_ends_it() {
    use std::io::{BufRead as _, BufReader};
    use std::process::{Command, Stdio};

    let folder = folder(1 << 40, &["function = \"pass\"", "name = \"again\"\nfunction = \"pass\""]);
    let mut child =
        folder.command("pipe pipe.toml --verbose").stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().ends_with("running 2 stages")));
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

#[test]
fn stages_are_listed_and_other_commands_say_where_they_run() {
    let folder = folder(1, &[]);
    folder.file(
        "stages.wat",
        br#"(module
            (import "test:shm/exchange" "[resource-drop]memory-block" (func (param i32)))
            (memory (export "memory") 1)
            (func (export "__guest_exchange") (param i32) (result i32) (i32.const 16))
            (func (export "__guest_stage_pass") (param i32) (result i32) (local.get 0))
            (@custom "guest-abi" "\01\00\00\00"))"#,
    );
    let said = folder.run("inspect stages.wat --width 100");
    assert!(said.stdout.contains("\n  extension functions  none\n  stages               pass\n"), "{}", said.stdout);
    let said = folder.run("measure stages.wat");
    assert_eq!(said.status, Some(2));
    assert!(said.stderr.contains("`host-harness pipe` runs its stages"), "{}", said.stderr);
    let said = folder.run("inspect guest.wat --width 100");
    assert!(said.stdout.contains("\n  stages            pass, trap\n"), "{}", said.stdout);
}
