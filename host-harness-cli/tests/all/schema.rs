//! The published JSON Schema: that it is of this version, and that reports of every command are valid by it.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::folder::Folder;

/// The schema as the book publishes it.
const PUBLISHED: &str = "docs/src/generated/report.schema.json";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Runs the validator, which is a program of its own, on files of a folder: its exit status and its output.
fn validated(folder: &Folder, files: &[String]) -> (Option<i32>, String) {
    let check = root().join("schema-check");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["run", "--quiet", "--locked", "--manifest-path"]).arg(check.join("Cargo.toml")).arg("--");
    cargo.env("CARGO_TARGET_DIR", root().join("target/schema-check")).current_dir(folder.path());
    let output = cargo.arg(root().join(PUBLISHED)).args(files).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout) + &text(&output.stderr))
}

#[test]
fn the_published_schema_is_that_of_this_version() {
    let folder = Folder::new();
    let said = folder.run("schema");
    assert_eq!(said.status, Some(0), "{}", said.stderr);
    let published = std::fs::read_to_string(root().join(PUBLISHED)).unwrap();
    assert!(
        published == said.stdout,
        "{PUBLISHED} is not what this version writes: cargo run -p host-harness-cli -- schema > {PUBLISHED}"
    );
    folder.refuses_in_one_line("schema --export-json r.json", &["makes no report"]);
}

/// Makes a report one that no version writes.
type Break = fn(&mut Value);

#[test]
fn reports_of_every_command_are_valid_and_broken_ones_are_not() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path().join("guests")).unwrap();
    let replaying = root().join("target/guests/replay-leaking.wasm");
    std::fs::copy(&replaying, folder.path().join("guests/replay-leaking.wasm")).unwrap();
    folder.file("t.trace", b"Alloc(8),\nFree(0),\n");
    let exchange = root().join("target/guests/exchange-bump-reset.wasm");
    let pipe = format!(
        "[source]\nticks = 2\n[[stage]]\nmodule = {exchange:?}\nfunction = \"publish\"\n[[stage]]\nmodule = {exchange:?}\nfunction = \"check\"\n"
    );
    folder.file("pipe.toml", pipe.as_bytes());
    let mut files = Vec::new();
    let measure = "measure counted.wasm plain.wasm --function FUNCTION --calls 5 --budget 1ms --deadline 20ms";
    for (name, line) in [
        ("inspect", "inspect counted.wasm"),
        ("budget", "inspect counted.wasm --budget 192KiB"),
        ("run", "run counted.wasm allocate --times 20"),
        ("intents", "run plain.wasm new_view"),
        ("failed", "run plain.wasm say_and_abort"),
        ("measure", &measure.replace(" plain.wasm", "").replace("FUNCTION", "allocate")),
        ("failures", &measure.replace("counted.wasm ", "").replace("FUNCTION", "abort")),
        ("verify", "verify counted.wasm plain.wasm --calls 20 --deadline 20ms"),
        ("refused", "verify plain.wasm --calls 5 --function grow --strategy bump-reset"),
        ("compile", "compile plain.wasm -o plain.guest"),
        ("replay", "replay t.trace --guests guests --repeats 2 --budget 1ms"),
        ("pipe", "pipe pipe.toml"),
    ] {
        let said = folder.run(&format!("{line} --export-json {name}.json"));
        assert_ne!(said.status, Some(2), "{line}: {}", said.stderr);
        files.push(format!("{name}.json"));
    }
    // Of `compare`, which compiles a guest crate, the report is that of `measure` with verdicts.
    let report = |name: &str| -> Value {
        serde_json::from_slice(&std::fs::read(folder.path().join(format!("{name}.json"))).unwrap()).unwrap()
    };
    let mut compare = report("measure");
    (compare["command"], compare["verdicts"]) = (json!("compare"), report("verify")["verdicts"].clone());
    folder.file("compare.json", compare.to_string().as_bytes());
    files.push("compare.json".to_owned());
    // One that was compared with a baseline, and is worse.
    let mut better = report("measure");
    for row in better["rows"].as_array_mut().unwrap() {
        row["counts"]["instructions"] = json!(1);
    }
    better["rows"][0]["policy"] = json!("on-error");
    folder.file("better.json", better.to_string().as_bytes());
    let line = measure.replace(" plain.wasm", "").replace("FUNCTION", "allocate");
    let said = folder.run(&format!("{line} --baseline better.json --export-json baseline.json"));
    assert_eq!(said.status, Some(1), "{}", said.stderr);
    files.push("baseline.json".to_owned());

    let (status, told) = validated(&folder, &files);
    assert_eq!(status, Some(0), "{told}");
    assert_eq!(told.lines().filter(|line| line.starts_with("valid ")).count(), files.len(), "{told}");

    let broken: [(&str, Break); 6] = [
        ("another version", |report| report["schema_version"] = json!(2)),
        ("no header", |report| drop(report.as_object_mut().unwrap().remove("header"))),
        ("another command", |report| report["command"] = json!("measures")),
        ("a word for a count", |report| report["rows"][0]["counts"]["instructions"] = json!("many")),
        ("a row without a guest", |report| drop(report["rows"][0].as_object_mut().unwrap().remove("guest"))),
        ("no rows", |report| report["rows"] = Value::Null),
    ];
    for (what, breaks) in broken {
        let mut report = report("measure");
        breaks(&mut report);
        folder.file("broken.json", report.to_string().as_bytes());
        let (status, told) = validated(&folder, &["broken.json".to_owned()]);
        assert_eq!(status, Some(1), "{what}: {told}");
        assert!(told.starts_with("invalid broken.json at"), "{what}: {told}");
    }
}
