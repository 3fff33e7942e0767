//! The program, as a shell starts it.

mod support;

use std::process::Stdio;

use support::{Folder, built};

#[test]
fn files_of_every_kind_are_queried() {
    let folder = Folder::new();
    folder.write("a.csv", "id,name\n1,kitten\n2,\n3,sitting\n");
    folder.write("b.jsonl", "{\"id\": 1, \"price\": 1.5}\n{\"id\": 3, \"price\": null}\n");
    folder.write("c.json", "{\"id\": 3}\n");
    folder.write("odd [1]*?.CSV", "x\n7\n");
    folder.write_parquet("d.parquet", &[1, 3]);
    folder
        .query(
            "SELECT a.id, name, price, c.id AS c, x FROM a JOIN b ON a.id = b.id LEFT JOIN c ON c.id = a.id \
                JOIN d ON d.id = a.id CROSS JOIN e ORDER BY a.id",
        )
        .args(["--table", "a=a.csv", "--table", "b=b.jsonl", "--table", "c=c.json", "--table", "D=d.parquet"])
        .args(["--table", "e=odd [1]*?.CSV", "--format", "csv"])
        .prints("id,name,price,c,x\n1,kitten,1.5,,7\n3,sitting,,3,7\n");
}

#[test]
fn functions_are_called_and_the_rate_is_told() {
    let folder = Folder::new();
    folder.write("t.csv", "name\niPhone 14\niPhone 15\niPad\n");
    let functions = built("functions-leaking");
    let query = "SELECT name, levenshtein(name, 'iPhone 15') AS edits FROM t ORDER BY edits, name LIMIT 2";
    let output = folder.query(query).args(["--table", "t=t.csv", "--module", &functions]).output();
    assert_eq!(
        output.stdout,
        "\
+-----------+-------+
| name      | edits |
+-----------+-------+
| iPhone 15 | 0     |
| iPhone 14 | 1     |
+-----------+-------+
"
    );
    assert_eq!(output.status, 0);
    assert!(
        output.stderr.starts_with("3 rows read, 2 returned in ") && output.stderr.ends_with(" rows/s\n"),
        "{}",
        output.stderr
    );

    let output = folder
        .query(query)
        .args(["--table", "t=t.csv", "--module", &functions, "--quiet", "--format", "json"])
        .output();
    assert_eq!(output.stdout, "[{\"name\":\"iPhone 15\",\"edits\":0},{\"name\":\"iPhone 14\",\"edits\":1}]\n");
    assert_eq!(output.stderr, "");

    for pristine in ["batch", "row", "never"] {
        folder
            .query("SELECT sum(gcd(x, 12)) AS s FROM (VALUES (8), (9)) AS t(x)")
            .args(["--module", &functions, "--format", "csv", "--pristine", pristine, "--partitions", "2"])
            .prints("s\n7\n");
    }
}

#[test]
fn a_module_without_signatures_is_declared() {
    let folder = Folder::new();
    folder.write_module(
        "f.wasm",
        r#"(module (memory (export "memory") 1) (func (export "malloc") (param i32) (result i32) (i32.const 1024))
            (func (export "bytes") (param i32 i32) (result i32) (local.get 1)))"#,
    );
    folder
        .query("SELECT bytes('größe') AS n")
        .args(["--module", "f.wasm", "--declare", "bytes(text: string) -> i32", "--format", "csv"])
        .prints("n\n7\n");
    folder
        .query("SELECT 1")
        .args(["--module", "f.wasm", "--declare", "byte(text: string) -> i32"])
        .fails(2, &["no module without signatures exports a function `byte`"]);
    std::fs::copy(folder.path("f.wasm"), folder.path("g.wasm")).unwrap();
    folder
        .query("SELECT 1")
        .args(["--module", "f.wasm", "--module", "g.wasm", "--declare", "bytes(text: string) -> i32"])
        .fails(2, &["f.wasm and g.wasm export `bytes`"]);
}

#[test]
fn results_without_rows_have_their_columns() {
    let folder = Folder::new();
    let none = "SELECT 1 AS a, 'x' AS b WHERE false";
    folder.query(none).args(["--format", "csv"]).prints("a,b\n");
    folder.query(none).args(["--format", "json"]).prints("[]\n");
    folder.query(none).prints("+---+---+\n| a | b |\n+---+---+\n+---+---+\n");
}

#[test]
fn explain_shows_the_hash_of_a_module() {
    let folder = Folder::new();
    let output = folder
        .query("EXPLAIN SELECT gcd(x, 2) FROM (VALUES (1), (2)) AS t(x)")
        .args(["--module", &built("functions-leaking")])
        .output();
    assert!(output.stdout.contains("gcd@"), "{}", output.stdout);
}

#[test]
fn wrong_input_is_told_with_what_to_do() {
    let folder = Folder::new();
    folder.write("t.csv", "id,name\n1,a\n");
    folder.write("t.txt", "");
    folder.write("bad.parquet", "not parquet");
    folder.write("bad.wasm", "not wasm");
    let functions = built("functions-leaking");
    let others = built("functions-freelist");
    for (words, parts) in [
        (&["SELECT 1", "--table", "t=none.csv"][..], &["none.csv", "No such file"][..]),
        (&["SELECT 1", "--table", "t=t.txt"], &["t.txt", ".csv, .json, .jsonl, .ndjson or .parquet"]),
        (&["SELECT 1", "--table", "t.csv"], &["has no `=`", "t=products.csv"]),
        (&["SELECT 1", "--table", "t=t.csv", "--table", "T=t.csv"], &["two tables have the name `t`"]),
        (&["SELECT 1", "--table", "t=bad.parquet"], &["bad.parquet"]),
        (&["SELECT 1", "--table", "t=."], &["extension"]),
        (&["SELECT 1", "--module", "none.wasm"], &["none.wasm", "cannot be read"]),
        (&["SELECT 1", "--module", "bad.wasm"], &["bad.wasm"]),
        (
            &["SELECT 1", "--module", &functions, "--module", &others],
            &["functions-leaking.wasm and", "functions-freelist.wasm both have a function", "give one of them"],
        ),
        (&["SELEC 1"], &["SQL", "SELEC"]),
        (&["SELECT nam FROM t", "--table", "t=t.csv"], &["nam", "name"]),
        (&["SELECT * FROM u", "--table", "t=t.csv"], &["'datafusion.public.u' not found"]),
        (&["SELECT levenshtien('a', 'b')"], &["levenshtien", "levenshtein"]),
        (&["SELECT gcd('a', 1)", "--module", &functions], &["`a` of `gcd`", "i64"]),
        (&["CREATE TABLE u AS SELECT 1"], &["DDL not supported"]),
        (&["COPY (SELECT 1) TO 'out.csv'"], &["DML not supported"]),
        (&["SET datafusion.execution.batch_size = 1"], &["Statement not supported"]),
        (&["SELECT 1", "--limit-memory", "5"], &["not a size"]),
        (&["SELECT 1", "--deadline", "5"], &["not a time"]),
        (&["SELECT 1", "--partitions", "0"], &["--partitions"]),
        (&[], &["<SQL>"]),
    ] {
        folder.run().args(words.iter().copied()).fails(2, parts);
    }
}

#[test]
fn a_query_that_fails_has_another_status() {
    let folder = Folder::new();
    folder.write("t.csv", "n\n1\n0\n");
    let functions = built("functions-leaking");
    folder
        .query("SELECT safe_div(8, n) FROM t")
        .args(["--table", "t=t.csv", "--module", &functions])
        .fails(1, &["error: row 1 of the batch: `safe_div` failed: ", "the divisor is 0"]);
    folder
        .query("SELECT safe_div(1, 0)")
        .args(["--module", &functions])
        .fails(1, &["row 0 of the batch", "`safe_div`"]);
    folder.write_module("spin.wasm", SPIN);
    folder
        .query("SELECT spin(n) FROM t")
        .args(["--table", "t=t.csv", "--module", "spin.wasm", "--deadline", "20ms"])
        .fails(1, &["`spin`", "the deadline of 20ms passed"]);
    folder
        .query("SELECT spin(n) FROM t")
        .args(["--table", "t=t.csv", "--module", "spin.wasm", "--limit-memory", "1B"])
        .fails(1, &["no memory for the WebAssembly function `spin`"]);
}

const SPIN: &str = r#"(module (memory (export "memory") 1)
    (func (export "spin") (param i64) (result i64) (loop (br 0)) (unreachable)))"#;

#[cfg(unix)]
#[test]
fn an_interrupt_ends_a_query() {
    let folder = Folder::new();
    folder.write("t.csv", "n\n1\n0\n");
    folder.write_module("spin.wasm", SPIN);
    let mut command = folder.query("SELECT spin(n) FROM t");
    command.args(["--table", "t=t.csv", "--module", "spin.wasm", "--deadline", "none"]);
    let child = command.command().stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    // Nothing tells that the guest runs; before, an interrupt ends the program as well.
    std::thread::sleep(std::time::Duration::from_millis(1500));
    let id = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        (output.status.code(), String::from_utf8(output.stderr).unwrap().as_str()),
        (Some(130), "error: interrupted\n")
    );
}

#[cfg(unix)]
#[test]
fn a_reader_that_leaves_is_no_error() {
    let folder = Folder::new();
    let mut command = folder.query("SELECT value FROM generate_series(1, 1000000)");
    command.args(["--format", "csv", "--quiet"]);
    let mut child = command.command().stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0));
}
