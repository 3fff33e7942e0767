//! The page of a report as large as one gets, and of reports with parts that are missing.

use host_harness::report::{Report, read};
use serde_json::{Value, json};

use super::Html;
use crate::output::Exporter;

/// Bytes that the page of 20 functions by 5 allocators may have.
const LIMIT: usize = 2 * 1024 * 1024;

const ALLOCATORS: [&str; 5] = ["leaking", "bump-reset", "freelist", "wee", "system"];

const WAYS: [(&str, Option<&str>); 8] = [
    ("none", None),
    ("reinstantiate", None),
    ("full-copy", None),
    ("dirty-cards", None),
    ("watermark", Some("scrub")),
    ("watermark", Some("keep")),
    ("bump-reset", Some("scrub")),
    ("bump-reset", Some("keep")),
];

/// A report of `compare` in its JSON form.
fn compared(functions: usize, allocators: &[&str]) -> Value {
    let (mut guests, mut rows, mut verdicts) = (Vec::new(), Vec::new(), Vec::new());
    let (mut series, mut maps) = (Vec::new(), Vec::new());
    let mut counter = 1000_u64;
    let mut next = || {
        counter += 37;
        counter
    };
    for allocator in allocators {
        let guest = format!("my-extension-{allocator}");
        guests.push(json!({
            "guest": guest, "allocator": allocator, "wasm_bytes": 20_000 + next(), "statics_bytes": next(),
            "built_with": ["rustc 1.96.0"], "not_admitted": []
        }));
        for (strategy, residue) in WAYS {
            if strategy != "none" {
                verdicts.push(json!({
                    "guest": guest, "allocator": allocator, "strategy": strategy, "residue": residue, "seed": 7,
                    "calls": 300, "failed_calls": 0, "passed": true, "differences": [], "error": null
                }));
            }
        }
        let cell =
            |region: &str, put_back: u64, left: u64| json!({ "region": region, "put_back": put_back, "left": left });
        let ways = WAYS.iter().map(|(strategy, residue)| {
            let cells = [cell("shadow stack", 0, 96), cell("statics", 40, 0), cell("heap", 0, 0)];
            json!({ "strategy": strategy, "residue": residue, "restored_bytes": 4096, "regions": cells })
        });
        let region = |region: &str, start: u64, end: u64| json!({ "region": region, "start": start, "end": end });
        maps.push(json!({
            "guest": guest, "function": "calculate_discount_0", "ways": ways.collect::<Vec<_>>(),
            "regions": [region("shadow stack", 0, 65536), region("statics", 65536, 70000), region("heap", 70000, 1_114_112)]
        }));
        for function in 0..functions {
            for strategy in ["none", "dirty-cards"] {
                let point = |at: u64| {
                    let bytes = if strategy == "none" { 65_536 * (17 + at) } else { 65_536 * 17 };
                    json!({ "calls": at * 25, "memory_bytes": bytes, "heap_bytes": null })
                };
                series.push(json!({
                    "guest": guest, "function": format!("calculate_discount_{function}"), "strategy": strategy,
                    "residue": null, "failure": null, "points": (0..=40).map(point).collect::<Vec<_>>()
                }));
            }
            for (strategy, residue) in WAYS {
                let spread = |at: u64| json!({ "p50": at, "p99": at + at / 3 });
                let restored = (strategy != "none" && strategy != "reinstantiate").then(&mut next);
                rows.push(json!({
                    "guest": guest, "function": format!("calculate_discount_{function}"), "strategy": strategy,
                    "policy": "every-call", "residue": residue, "failure": null,
                    "verdict": { "passed": true, "calls": 300, "seed": 7, "differences": 0 },
                    "counts": {
                        "calls": 10, "allocations": 12, "frees": 3, "reallocations": 1, "allocated_bytes": next(),
                        "peak_live_bytes": next(), "grows": 0, "pages_before": 17, "pages_after": 17,
                        "instructions": next(), "crossings": 4, "restored_bytes": restored, "retried_calls": 0,
                        "uneven": [], "varies": []
                    },
                    "times": {
                        "calls": 1000, "batch": 10, "invoke": spread(next()), "call": spread(next()),
                        "restore": restored.map(spread),
                        "ratios": { "to_bare_call": 3.5, "to_no_restore": 1.5, "to_reinstantiate": 0.25 }
                    }
                }));
            }
        }
    }
    json!({
        "schema_version": 3, "command": "compare",
        "header": {
            "date": "2026-11-28T00:00:00Z", "harness": "0.1.0", "wasmtime": "48.0.0", "build": "release",
            "machine": { "cpu": "a processor", "cores": 2, "os": "a system" },
            "command_line": "host-harness compare --manifest-path 'my extension/Cargo.toml'"
        },
        "settings": { "memory_limit": 134_217_728, "deadline_ns": null, "exchange_size": null, "virtual_growth": true },
        "bare_call": { "p50": 20, "p99": 30 }, "clock_cost": 20, "guests": guests, "rows": rows, "verdicts": verdicts,
        "series": series, "memory_maps": maps, "notes": ["state: empty"]
    })
}

fn report(json: &Value) -> Report {
    read(&json.to_string()).unwrap()
}

fn page(report: &Report) -> String {
    String::from_utf8(Html.render(report)).unwrap()
}

#[test]
fn a_large_report_stays_small() {
    let html = page(&report(&compared(20, &ALLOCATORS)));
    assert!(html.len() <= LIMIT, "{} bytes", html.len());
    assert_eq!(html.matches("<svg").count(), 20 * 3 + 5 + 1, "times, bytes and memory of each function; maps; sizes");
    assert_eq!(html.matches("role=\"img\"").count(), html.matches("<svg").count());
    // For the browser tests, which open the largest page too.
    if let Some(folder) = std::env::var_os("REPORT_SAMPLES") {
        std::fs::write(std::path::Path::new(&folder).join("large.html"), html).unwrap();
    }
}

#[test]
fn the_page_begins_with_the_verdict_and_ends_with_the_command() {
    let html = page(&report(&compared(1, &["leaking"])));
    let at = |text: &str| html.find(text).unwrap_or_else(|| panic!("{text}: {html}"));
    assert!(at("Passed.") < at("<svg") && at("<svg") < at("<table"));
    assert!(at("8 rows measured; 7 of 7 ways of restoring verified.") < at("<svg"));
    assert!(at("<table") < at("'my extension/Cargo.toml'") && at("seed of verification") < at("</main>"));
}

#[test]
fn a_report_without_figures_has_no_empty_charts() {
    let mut json = compared(1, &["leaking"]);
    for row in json["rows"].as_array_mut().unwrap() {
        row["counts"] = Value::Null;
        row["times"] = Value::Null;
        row["failure"] = json!({ "cause": "trap", "message": "<b>unreachable</b>", "call": 1 });
    }
    for part in ["guests", "series", "memory_maps"] {
        json[part] = json!([]);
    }
    let html = page(&report(&json));
    assert!(!html.contains("<svg") && !html.contains("<b>"), "{html}");
    assert!(html.contains("Failed.") && html.contains("8 rows measured, 8 of them failed"), "{html}");
}

#[test]
fn memory_is_drawn_with_what_each_way_puts_back() {
    let html = page(&report(&compared(1, &["leaking"])));
    for wanted in ["Memory over 1,000 calls of", "no restore: 1.06 MiB at 0 calls, 3.56 MiB at 1,000", "put back 40 B"]
    {
        assert!(html.contains(wanted), "{wanted}: {html}");
    }
    assert!(html.contains("<td class=\"left\">left 96 B</td>") && html.contains("4.36 KiB at 0x10000"), "{html}");
}

#[test]
fn the_page_loads_nothing() {
    let html = page(&report(&compared(1, &["leaking", "system"])));
    let outside = ["src=", "<link", "@import", "url(", "fetch(", "<iframe", "http-equiv=\"refresh"];
    for wanted in outside {
        assert!(!html.contains(wanted), "{wanted}");
    }
    let without_namespace = html.replace("http://www.w3.org/2000/svg", "");
    assert!(!without_namespace.contains("http://") && !without_namespace.contains("https://"), "{html}");
}
