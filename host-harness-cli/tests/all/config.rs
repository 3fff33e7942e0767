//! `harness.toml`: defaults of options, and errors in it.

use host_harness::report::{Content, read};

use crate::folder::Folder;

/// The memory limit and the number of measured rows that `measure plain.wasm` has with these arguments.
fn measured(folder: &Folder, line: &str) -> (u64, Vec<String>) {
    let said = folder.run(&format!(
        "measure plain.wasm --function do_nothing --calls 1 --counted-calls 1 --budget 1ms --format json {line}"
    ));
    assert_eq!(said.status, Some(0), "{line}: {}", said.stderr);
    let Content::Measure(report) = read(&said.stdout).unwrap().content else { panic!("{}", said.stdout) };
    let mut strategies: Vec<_> = report.rows.iter().map(|row| row.strategy.to_string()).collect();
    strategies.dedup();
    (report.settings.memory_limit, strategies)
}

#[test]
fn a_file_has_the_defaults_and_the_command_line_wins() {
    let folder = Folder::new();
    folder.file(
        "harness.toml",
        b"[common]\nmemory-limit = \"32MiB\"\nstrategy = [\"full-copy\", \"reinstantiate\"]\n\n[measure]\nstrategy = \"full-copy\"\n\n[run]\nmemory-limit = \"1MiB\"\n",
    );
    let (limit, strategies) = measured(&folder, "");
    assert_eq!(limit, 32 << 20);
    assert!(strategies.contains(&"full-copy".to_owned()) && !strategies.contains(&"dirty-cards".to_owned()));
    assert_eq!(measured(&folder, "--memory-limit 16MiB").0, 16 << 20);
    // A list of the command line takes the place of the file's, and is not added to it.
    let (_, strategies) = measured(&folder, "--strategy dirty-cards");
    assert!(strategies.contains(&"dirty-cards".to_owned()) && !strategies.contains(&"full-copy".to_owned()));
    assert_eq!(measured(&folder, "--no-config").0, 128 << 20);

    folder.file("other.toml", b"[measure]\nmemory-limit = \"8MiB\"\n");
    assert_eq!(measured(&folder, "--config other.toml").0, 8 << 20);
    folder.refuses_in_one_line("measure plain.wasm --config missing.toml", &["missing.toml: cannot be read: "]);
    folder.refuses("measure plain.wasm --config other.toml --no-config", &["cannot be used with"]);
}

#[test]
fn paths_are_those_of_the_files_folder() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path().join("defaults")).unwrap();
    folder.file("defaults/harness.toml", b"[run]\nstate = \"there.json\"\n[common]\nexport-json = \"out.json\"\n");
    folder.file("defaults/there.json", b"[]");
    let said = folder.run("run plain.wasm do_nothing --config defaults/harness.toml");
    assert_eq!(said.status.map(|status| status < 2), Some(true), "{}", said.stderr);
    assert!(folder.path().join("defaults/out.json").is_file());
    std::fs::remove_file(folder.path().join("defaults/there.json")).unwrap();
    folder.refuses("run plain.wasm do_nothing --config defaults/harness.toml", &["defaults/there.json"]);
}

#[test]
fn errors_have_file_line_and_column_and_the_nearest_key() {
    let folder = Folder::new();
    for (text, words) in [
        (
            "[common]\nmemory-limt = 1",
            &["harness.toml:2:1: ", "no option `memory-limt` of all commands", "`memory-limit`?"][..],
        ),
        ("[common]\n  seed = 1", &["harness.toml:2:3: ", "no option `seed` of all commands"]),
        ("[verify]\nverify_calls = 1", &["harness.toml:2:1: ", "no option `verify_calls` of `verify`"]),
        ("[compare]\nverify_calls = 1", &["harness.toml:2:1: ", "did you mean `verify-calls`?"]),
        ("[measures]\n", &["harness.toml:1:2: ", "no command `measures`", "did you mean `[measure]`?"]),
        ("memory-limit = 1\n", &["harness.toml:1:1: ", "stands in no table; put it below `[common]`"]),
        ("verify-calls = 1\n", &["harness.toml:1:1: ", "such as `[compare]`"]),
        ("[common]\nmemory-limit = \"64mb\"", &["harness.toml:2:16: ", "`memory-limit`: `64mb` is not a size"]),
        ("[common]\nstrategy = [\"auto\", \"best\"]", &["harness.toml:2:21: ", "`strategy`: ", "best"]),
        ("[common]\nmemory-limit = [1]", &["harness.toml:2:16: ", "must be a string or a number, not a list"]),
        (
            "[compare]\nallocator = [true]",
            &["harness.toml:2:14: ", "must be a list of strings or numbers, not true or false"],
        ),
        ("[common]\nformat = \"yaml\"", &["harness.toml:2:10: ", "`format`: ", "text, json"]),
        ("[common]\nconfig = \"x\"", &["harness.toml:2:1: ", "no option `config`"]),
        ("[common]\nformat = ", &["harness.toml:2:10: "]),
        ("[common]\nformat = \"text\"\nformat = \"json\"", &["harness.toml:3:1: ", "duplicate"]),
    ] {
        folder.file("harness.toml", text.as_bytes());
        folder.refuses_in_one_line("measure plain.wasm", words);
    }
    // Help and --no-config work with a broken file.
    assert_eq!(folder.run("measure --help").status, Some(0));
    assert_eq!(folder.run("inspect plain.wasm --no-config").status, Some(0));
}
