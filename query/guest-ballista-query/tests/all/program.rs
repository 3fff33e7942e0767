//! The program by itself: its options, its errors and their exit status.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::guide::{link_programs, with_free_ports};
use crate::page::steps;
use crate::shell::Shell;

/// Runs the program in a folder.
fn run(folder: &Path, words: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } =
        Command::new(env!("CARGO_BIN_EXE_guest-ballista-query")).args(words).current_dir(folder).output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

/// A folder with a module, one that is too large for plans, and a file.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).unwrap();
    let module = |name: &str, more: &str| {
        wat::parse_str(format!(
            r#"(module (memory (export "memory") 1)
                (func (export "{name}") (param i64) (result i64)
                    (if (i64.eqz (local.get 0)) (then unreachable)) (i64.div_s (i64.const 12) (local.get 0))) {more})"#
        ))
        .unwrap()
    };
    write("f.wasm", &module("part", ""));
    write("large.wasm", &module("large_part", &format!("(@custom \"filler\" \"{}\")", "x".repeat(1 << 20))));
    write("t.csv", b"n\n4\n3\n");
    folder
}

#[test]
fn options_are_told_and_wrong_ones_refused() {
    let folder = folder();
    let (status, help, _) = run(folder.path(), &["--help"]);
    for option in
        ["<SQL>", "--scheduler <HOST:PORT>", "--table", "--module", "--module-store", "--deadline", "--format"]
    {
        assert!(status == Some(0) && help.contains(option), "{option}: {help}");
    }
    // They are found wrong before anything is asked of the scheduler.
    // Nothing listens at this port, and no other test is given it.
    let free = "127.0.0.1:1".to_owned();
    for (words, parts) in [
        (&["SELECT 1", "--scheduler", "df://localhost:1"][..], &["such as 127.0.0.1:50050"][..]),
        (&["SELECT 1", "--table", "t.csv"], &["has no `=`"]),
        (&["SELECT 1", "--table", "t=none.csv"], &["none.csv", "No such file"]),
        (&["SELECT 1", "--module", "none.wasm"], &["none.wasm", "cannot be read"]),
        (&["SELECT 1", "--module", "large.wasm"], &["large.wasm", "larger than plans carry", "--module-store"]),
        (&["SELECT 1", "--module-store", "none"], &["none is no folder for modules"]),
        (&["SELECT m FROM t", "--table", "t=t.csv"], &["No field named m"]),
        (&["CREATE TABLE u AS SELECT 1"], &["DDL not supported"]),
    ] {
        let mut words = words.to_vec();
        if !words.contains(&"--scheduler") {
            words.extend(["--scheduler", &free]);
        }
        let (status, stdout, stderr) = run(folder.path(), &words);
        assert_eq!((status, stdout.as_str()), (Some(2), ""), "{words:?}: {stderr}");
        assert!(parts.iter().all(|part| stderr.contains(part)), "{words:?}: {stderr}");
    }
    let (status, stdout, stderr) = run(folder.path(), &["SELECT n FROM t", "--table", "t=t.csv", "--scheduler", &free]);
    assert_eq!((status, stdout.as_str()), (Some(1), ""), "{stderr}");
    assert!(stderr.contains(&format!("no scheduler at {free}")) && stderr.contains("--scheduler"), "{stderr}");
}

/// A session at a cluster, as the book writes them.
const SESSION: &str = r#"
```console
$ mkdir store
$ guest-ballista-scheduler --port 50050 &
listening on 127.0.0.1:50050
$ guest-ballista-executor --scheduler-port 50050 --port 50051 --grpc-port 50052 --modules store &
results at 127.0.0.1:50051, tasks at 127.0.0.1:50052
$ ask() { guest-ballista-query --scheduler 127.0.0.1:50050 --table t=t.csv --format csv "$@" 2>said; }
$ ask "SELECT n, part(n) AS part FROM t ORDER BY n" --module f.wasm --pristine row --partitions 2
n,part
3,4
4,3
$ ask "SELECT n, part(n) AS part FROM t WHERE false" --module f.wasm
n,part
$ ask "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
table_name
t
$ ask "SELECT n, part(n) AS part FROM t ORDER BY n" --module f.wasm
n,part
3,4
4,3
$ grep -o "^2 rows returned in" said
2 rows returned in
$ ask "SELECT large_part(n) AS part FROM t ORDER BY n LIMIT 1" --module large.wasm --module-store store --quiet
part
4
$ cat said
$ ask "SELECT part(n - 3) AS part FROM t" --module f.wasm; test $? = 1
$ grep -o "row 1 of the batch: .part. failed" said
row 1 of the batch: `part` failed
```
"#;

#[test]
fn queries_on_a_cluster_succeed_and_fail_as_they_do_elsewhere() {
    let folder = folder();
    let programs = folder.path().join("bin");
    link_programs(&programs, ["guest-ballista-scheduler", "guest-ballista-executor", "guest-ballista-query"]);
    let mut shell = Shell::start(folder.path(), &programs);
    for step in steps(&with_free_ports(SESSION)).unwrap() {
        shell.follow(&step).unwrap_or_else(|fault| panic!("{fault}"));
    }
}
