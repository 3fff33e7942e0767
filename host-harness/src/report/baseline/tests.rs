//! Every rule once where it fires and once where it does not.

use serde_json::{Value as Json, json};

use super::*;

/// A report of `compare` about two guests, as its JSON has it.
fn report() -> Json {
    let row = |guest: &str, function: &str, strategy: &str, residue: Json| {
        json!({
            "guest": guest, "function": function, "strategy": strategy, "policy": "every-call", "residue": residue,
            "counts": {
                "calls": 10, "allocations_from": "control-block", "allocations": 3, "frees": 0, "reallocations": 0,
                "allocated_bytes": 2000, "peak_live_bytes": 70000, "grows": 0, "pages_before": 2, "pages_after": 2,
                "instructions": 1000, "crossings": 4, "restored_bytes": 500, "retried_calls": 0, "uneven": [], "varies": [],
            },
            "times": {
                "calls": 1000, "batch": 10, "invoke": {"p50": 100.0, "p99": 120.0}, "call": null, "restore": null,
                "ratios": {"to_bare_call": null, "to_no_restore": null, "to_reinstantiate": null},
            },
            "failure": null, "verdict": null,
        })
    };
    let verdict = |guest: &str| {
        json!({
            "guest": guest, "allocator": guest, "strategy": "bump-reset", "residue": "keep", "seed": 0, "calls": 300,
            "failed_calls": 0, "passed": true, "differences": [], "error": null,
        })
    };
    let guest = |guest: &str| {
        json!({
            "guest": guest, "allocator": guest, "wasm_bytes": 10000, "statics_bytes": 10, "built_with": [], "not_admitted": [],
        })
    };
    json!({
        "schema_version": crate::report::SCHEMA_VERSION,
        "header": {
            "date": "2026-11-01T00:00:00Z", "harness": "0.1.0", "wasmtime": "48.0.0", "build": "release",
            "machine": {"cpu": "one", "cores": 2, "os": "Linux"},
        },
        "command": "compare",
        "settings": {"memory_limit": 1000, "deadline_ns": null, "exchange_size": null, "virtual_growth": true},
        "bare_call": {"p50": 10.0, "p99": 11.0}, "clock_cost": 20.0,
        "guests": [guest("a"), guest("b")],
        "rows": [
            row("a", "f", "none", Json::Null),
            row("a", "f", "bump-reset", json!("keep")),
            row("a", "f", "bump-reset", json!("scrub")),
            row("a", "g", "none", Json::Null),
            row("b", "f", "none", Json::Null),
        ],
        "verdicts": [verdict("a"), verdict("b")],
        "notes": [],
    })
}

fn read(json: &Json) -> Report {
    crate::report::read(&json.to_string()).unwrap()
}

/// The comparison of the report with one in which something was changed.
fn changed(rules: &str, change: impl FnOnce(&mut Json)) -> Comparison {
    let mut later = report();
    change(&mut later);
    Baseline::new(read(&report()), "compare", rules.parse().unwrap()).unwrap().compare(&read(&later))
}

/// The comparison with a later report whose second row has another count.
fn count(rules: &str, name: &str, value: Json) -> Comparison {
    changed(rules, |later| later["rows"][1]["counts"][name] = value)
}

#[test]
fn nothing_changes_in_the_same_report() {
    let comparison = changed(Rules::DEFAULT, |_| ());
    assert!(comparison.passed() && comparison.changes.is_empty(), "{comparison:?}");
    assert_eq!(comparison.notes, [""; 0]);
    // Two sizes, five rows with six counts each, two verdicts.
    assert_eq!(comparison.compared, 2 + 5 * (1 + 6) + 2);
    assert_eq!(comparison.headline(), "Baseline: passed, nothing changed in 39 figures");
}

#[test]
fn each_count_fails_beyond_its_tolerance_and_nowhere_else() {
    for (rule, field, before, within, beyond) in [
        ("allocations", "allocations", 3, 3, 4),
        ("crossings", "crossings", 4, 4, 5),
        ("instructions=2%", "instructions", 1000, 1020, 1021),
        ("allocated-bytes=10%", "allocated_bytes", 2000, 2200, 2201),
        ("restored-bytes", "restored_bytes", 500, 500, 501),
        ("peak-live-bytes=1%", "peak_live_bytes", 70_000, 70_700, 70_701),
    ] {
        let comparison = count(rule, field, json!(within));
        assert!(comparison.passed(), "{rule}: {comparison:?}");
        assert_eq!(comparison.changes.len(), usize::from(within != before), "{rule}");
        let comparison = count(rule, field, json!(beyond));
        let failing: Vec<&Change> = comparison.failing().collect();
        let [change] = failing.as_slice() else { panic!("{rule}: {comparison:?}") };
        assert_eq!((change.place(), change.direction), ("a / f / bump-reset, keep".to_owned(), Direction::Worse));
        assert_eq!(change.before, Some(Value::Number(PerCall(f64::from(before)))));
        assert_eq!(change.after, Some(Value::Number(PerCall(f64::from(beyond)))));
        assert!(rule.starts_with(change.figure.name()), "{rule}");
        assert!(!comparison.passed() && comparison.headline().contains("FAILED by 1 of "), "{rule}");
        // The same change under another rule is told, and fails nothing.
        let comparison = count("verdict", field, json!(beyond));
        assert!(comparison.passed() && comparison.changes.len() == 1, "{rule}: {comparison:?}");
        // Less is better.
        let comparison = count(rule, field, json!(before - 1));
        assert!(comparison.passed() && comparison.changes[0].direction == Direction::Better, "{rule}");
    }
}

#[test]
fn a_module_that_is_larger_fails_beyond_its_tolerance() {
    let grown = |bytes: u64| changed("wasm-size=1%", |later| later["guests"][0]["wasm_bytes"] = json!(bytes));
    assert!(grown(10_100).passed());
    let comparison = grown(10_101);
    assert_eq!((comparison.changes[0].figure, comparison.changes[0].percent), (Figure::WasmSize, Some(1.01)));
    assert!(!comparison.passed());
    assert_eq!(comparison.changes[0].shown(), ["10,000 B", "10,101 B"]);
}

#[test]
fn a_verdict_that_is_lost_fails_and_one_that_is_won_is_better() {
    let lose = |later: &mut Json| later["verdicts"][0]["passed"] = json!(false);
    let comparison = changed("verdict", lose);
    assert_eq!(comparison.changes[0].after, Some(Value::Word("inconclusive".to_owned())));
    assert!(!comparison.passed());
    assert!(changed("allocations", lose).passed());
    let comparison = changed("verdict", |later| drop(later["verdicts"].as_array_mut().unwrap().remove(0)));
    assert_eq!(comparison.changes[0].after, Some(Value::Word("not verified".to_owned())));
    assert!(!comparison.passed());

    let mut earlier = report();
    lose(&mut earlier);
    let baseline = Baseline::new(read(&earlier), "compare", Rules::default()).unwrap();
    let comparison = baseline.compare(&read(&report()));
    assert!(comparison.passed() && comparison.changes[0].direction == Direction::Better, "{comparison:?}");
}

#[test]
fn a_row_a_function_and_a_guest_that_are_lost_are_one_change_each() {
    let keep = |keep: fn(&Json) -> bool| {
        move |later: &mut Json| {
            for list in ["rows", "verdicts", "guests"] {
                later[list].as_array_mut().unwrap().retain(keep);
            }
        }
    };
    for (kept, place) in [
        (keep(|item| item["residue"] != json!("scrub")), "a / f / bump-reset, scrub"),
        (keep(|item| item["function"] != json!("g")), "a / g"),
        (keep(|item| item["guest"] != json!("b")), "b"),
    ] {
        let comparison = changed("lost", kept);
        let places: Vec<String> = comparison.failing().map(Change::place).collect();
        assert_eq!(places, [place]);
        assert!(changed("instructions", kept).passed());
        // The other way round it is new, and fails nothing.
        let mut earlier = report();
        kept(&mut earlier);
        let baseline = Baseline::new(read(&earlier), "compare", Rules::default()).unwrap();
        let comparison = baseline.compare(&read(&report()));
        assert!(comparison.passed(), "{comparison:?}");
        assert_eq!((comparison.changes[0].figure, comparison.changes[0].place()), (Figure::Added, place.to_owned()));
    }
}

#[test]
fn a_row_that_fails_now_fails_and_one_that_failed_before_does_not() {
    let failing = |later: &mut Json| {
        later["rows"][0]["failure"] = json!({"cause": "unreachable", "message": "it trapped", "call": 1});
        (later["rows"][0]["counts"], later["rows"][0]["times"]) = (Json::Null, Json::Null);
    };
    let comparison = changed("failing", failing);
    assert_eq!(comparison.changes[0].after, Some(Value::Word("unreachable".to_owned())));
    assert!(!comparison.passed() && changed("lost", failing).passed());
    let mut earlier = report();
    failing(&mut earlier);
    let baseline = Baseline::new(read(&earlier), "compare", Rules::default()).unwrap();
    assert!(baseline.compare(&read(&earlier)).changes.is_empty());
    assert_eq!(baseline.compare(&read(&report())).changes[0].direction, Direction::Better);
}

#[test]
fn a_count_that_cannot_be_had_any_more_fails_and_one_that_varied_before_is_noted() {
    let varying = |later: &mut Json| later["rows"][1]["counts"]["varies"] = json!(["instructions"]);
    let comparison = changed("instructions=50%", varying);
    assert_eq!(comparison.changes[0].after, Some(Value::Word("varies".to_owned())));
    assert!(!comparison.passed() && changed("allocations", varying).passed());
    let comparison = count("allocations", "allocations", Json::Null);
    assert_eq!(comparison.changes[0].after, Some(Value::Word("unknown".to_owned())));
    assert!(!comparison.passed());

    let mut earlier = report();
    varying(&mut earlier);
    let baseline = Baseline::new(read(&earlier), "compare", Rules::default()).unwrap();
    let comparison = baseline.compare(&read(&report()));
    assert!(comparison.passed());
    assert_eq!(comparison.notes, ["instructions varied in 1 row(s) of the baseline, so they are not compared there"]);
}

#[test]
fn times_are_compared_where_it_is_asked_and_clear_and_on_the_same_machine_alone() {
    let slower = |p50: f64, p99: f64| {
        move |later: &mut Json| later["rows"][0]["times"]["invoke"] = json!({"p50": p50, "p99": p99})
    };
    assert!(changed(Rules::DEFAULT, slower(900.0, 950.0)).changes.is_empty(), "nobody asked");
    assert!(changed("time=10%", slower(119.0, 400.0)).changes.is_empty(), "within the spread of the baseline");
    assert!(!changed("time=10%", slower(121.0, 130.0)).passed());
    assert!(changed("time=30%", slower(121.0, 130.0)).passed());
    assert_eq!(changed("time", slower(50.0, 60.0)).changes[0].direction, Direction::Better);

    let elsewhere = |field: &'static str| {
        changed("time", move |later| {
            slower(900.0, 950.0)(later);
            match field {
                "cpu" => later["header"]["machine"]["cpu"] = json!("two"),
                _ => later["header"][field] = json!("debug"),
            }
        })
    };
    for (field, words) in [("cpu", "another machine"), ("build", "a release build")] {
        let comparison = elsewhere(field);
        assert!(comparison.passed() && comparison.changes.is_empty(), "{comparison:?}");
        assert!(comparison.notes[0].contains(words), "{:?}", comparison.notes);
    }
}

#[test]
fn reports_that_cannot_be_compared_are_told_as_such() {
    let mut other = report();
    other["command"] = json!("measure");
    let refused = Baseline::new(read(&other), "compare", Rules::default()).unwrap_err().to_string();
    assert!(refused.contains("of `measure` and this is `compare`"), "{refused}");
    let mut compiled = report();
    compiled["command"] = json!("compile");
    for (field, value) in [("guest", json!("a")), ("file", json!("a")), ("module_bytes", json!(1))] {
        compiled[field] = value;
    }
    (compiled["artefact_bytes"], compiled["sealed"]) = (json!(1), json!(false));
    let refused = Baseline::new(read(&compiled), "compare", Rules::default()).unwrap_err().to_string();
    assert!(refused.contains("of `compile`; a baseline is"), "{refused}");

    let comparison = changed("none", |later| {
        for list in ["rows", "verdicts", "guests"] {
            for item in later[list].as_array_mut().unwrap() {
                item["guest"] = json!("z");
            }
        }
    });
    assert!(!comparison.passed(), "nothing was compared, whatever the rules");
    assert!(comparison.error.unwrap().contains("the baseline has a, b, this report z"));

    let comparison = changed("none", |later| {
        later["settings"]["memory_limit"] = json!(1);
        later["header"]["harness"] = json!("9.9.9");
    });
    assert!(comparison.passed() && comparison.notes.len() == 2, "{comparison:?}");
}

#[test]
fn those_that_fail_stand_first_and_a_report_carries_them_through_json() {
    let mut later = read(&report());
    let comparison = changed("allocations", |later| {
        later["rows"][1]["counts"]["instructions"] = json!(9);
        later["rows"][1]["counts"]["crossings"] = json!(9);
        later["rows"][2]["counts"]["allocations"] = json!(9);
    });
    let kinds: Vec<_> = comparison.changes.iter().map(|change| (change.figure, change.fails)).collect();
    assert_eq!(kinds, [(Figure::Allocations, true), (Figure::Crossings, false), (Figure::Instructions, false)]);
    assert!(later.passed());
    later.baseline = Some(comparison);
    assert!(!later.passed());
    let text = serde_json::to_string(&later).unwrap();
    assert_eq!(crate::report::read(&text).unwrap(), later);
    let shown = later.sections().remove(0);
    assert_eq!(shown.title, "Baseline: FAILED by 1 of 2 change(s) for the worse, 1 for the better");
}
