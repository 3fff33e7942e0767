//! The source of allocation counts, as commands print it.

use serde_json::{Value, json};

use crate::folder::Folder;
use test_support::counted_guests::{tells, tinygo};

fn folder() -> Folder {
    let folder = Folder::new();
    folder.file("tinygo.wasm", &tinygo());
    folder.file("tells.wasm", &tells(""));
    folder
}

/// The JSON that a command prints.
fn json_of(folder: &Folder, line: &str) -> Value {
    let said = folder.run(&format!("{line} --format json"));
    assert_eq!(said.status, Some(0), "{}{}", said.stdout, said.stderr);
    serde_json::from_str(&said.stdout).unwrap()
}

#[test]
fn inspect_lists_the_functions_and_how_they_were_found() {
    let folder = folder();
    let said = folder.run("inspect tinygo.wasm").stdout;
    for words in ["calls of its allocator's functions", "runtime.alloc", "name section", "reallocation", "export"] {
        assert!(said.contains(words), "`{words}` is missing in: {said}");
    }
    let found = &json_of(&folder, "inspect tinygo.wasm");
    assert_eq!(found["allocations_from"], "counted-calls");
    let functions = found["allocator_functions"].as_array().unwrap();
    assert_eq!(functions.len(), 5);
    assert_eq!(
        functions[0],
        json!({"function": "runtime.alloc", "found_by": "name section", "counted_as": "allocation"})
    );
    for (guest, source) in
        [("tells", json!("guest-functions")), ("counted", json!("control-block")), ("plain", Value::Null)]
    {
        let found = &json_of(&folder, &format!("inspect {guest}.wasm"));
        assert_eq!((&found["allocations_from"], &found["allocator_functions"]), (&source, &json!([])), "{guest}");
    }
}

#[test]
fn run_shows_what_is_known_and_from_where() {
    let folder = folder();
    let said = folder.run("run tinygo.wasm work").stdout;
    assert!(said.contains("calls of its allocator's functions"), "{said}");
    assert!(!said.contains("peak live bytes") && !said.contains("grows"), "what nobody tells is left out: {said}");
    let allocator = |guest: &str, function: &str| {
        json_of(&folder, &format!("run {guest}.wasm {function}"))["calls"][0]["counters"]["allocator"].clone()
    };
    let counted = allocator("tinygo", "work");
    assert_eq!(counted["allocations_from"], "counted-calls");
    assert_eq!((&counted["allocations"], &counted["allocated_bytes"]), (&json!(5), &json!(392)));
    assert_eq!((&counted["grows"], &counted["heap_in_use"]), (&Value::Null, &Value::Null));
    let told = allocator("tells", "allocate");
    assert_eq!((&told["allocations_from"], &told["allocations"]), (&json!("guest-functions"), &json!(2)));
    assert_eq!((&told["reallocations"], &told["heap_in_use"]), (&Value::Null, &json!(5 * 64)));
    for line in ["run plain.wasm do_nothing", "run tinygo.wasm work --count-allocations off"] {
        let said = folder.run(line).stdout;
        assert!(said.contains("not counted: nothing about the guest tells"), "{said}");
    }
}

#[test]
fn measure_says_below_the_table_where_counts_are_from() {
    let folder = folder();
    for (guest, function, source, words) in [
        ("tinygo", "work", "counted-calls", "calls of its allocator's functions, which the harness counts"),
        ("tells", "allocate", "guest-functions", "functions of the guest's own, called after the call"),
        ("counted", "allocate", "control-block", "the allocator's control block"),
    ] {
        let line = format!("measure {guest}.wasm --function {function} --calls 10 --details");
        let said = folder.run(&line).stdout;
        assert!(said.contains(&format!("allocations of {guest}: from {words}")), "{said}");
        let report = json_of(&folder, &line);
        let rows = report["rows"].as_array().unwrap();
        assert!(rows.len() > 1);
        for row in rows {
            assert_eq!(row["counts"]["allocations_from"], source);
            assert!(!row["counts"]["allocations"].is_null());
            assert_eq!(row["counts"]["peak_live_bytes"].is_null(), source != "control-block");
        }
    }
    let page = folder.path().join("r.html");
    folder.run("measure tinygo.wasm --function work --calls 10 --export-html r.html");
    assert!(std::fs::read_to_string(page).unwrap().contains("which the harness counts"));
}

#[test]
fn a_count_of_calls_is_part_of_what_is_verified() {
    let folder = folder();
    for guest in ["tinygo", "tells"] {
        for strategy in ["full-copy", "dirty-cards"] {
            let said = folder.run(&format!("verify {guest}.wasm --strategy {strategy} --calls 30 --allow-failing *"));
            assert_eq!(said.status, Some(0), "{guest} {strategy}: {}{}", said.stdout, said.stderr);
        }
    }
}
