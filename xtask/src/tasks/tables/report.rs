//! The report that `compare` writes, as far as pages show it.
//!
//! It is read by its schema version, and nothing else of the harness is known here.

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

/// The schema version of reports that this reads.
const SCHEMA: u64 = 3;

#[derive(Deserialize, Serialize)]
pub(super) struct Report {
    pub(super) header: Header,
    pub(super) bare_call: Spread,
    pub(super) guests: Vec<Guest>,
    pub(super) rows: Vec<Row>,
}

#[derive(Deserialize, Serialize)]
pub(super) struct Header {
    pub(super) date: String,
    pub(super) harness: String,
    pub(super) wasmtime: String,
    pub(super) build: String,
    pub(super) machine: Machine,
}

#[derive(Deserialize, Serialize)]
pub(super) struct Machine {
    pub(super) cpu: String,
    pub(super) cores: u64,
    pub(super) os: String,
}

#[derive(Deserialize, Serialize)]
pub(super) struct Guest {
    pub(super) guest: String,
    pub(super) allocator: String,
    pub(super) wasm_bytes: u64,
    pub(super) statics_bytes: Option<u64>,
    pub(super) built_with: Vec<String>,
}

#[derive(Deserialize, Serialize)]
pub(super) struct Row {
    pub(super) guest: String,
    pub(super) function: String,
    pub(super) strategy: String,
    pub(super) residue: Option<String>,
    pub(super) counts: Option<Counts>,
    pub(super) times: Option<Times>,
    pub(super) verdict: Option<Verdict>,
}

#[derive(Deserialize, Serialize)]
pub(super) struct Counts {
    pub(super) allocations: Option<f64>,
    pub(super) instructions: f64,
    pub(super) pages_after: u64,
    pub(super) restored_bytes: Option<f64>,
}

#[derive(Deserialize, Serialize)]
pub(super) struct Times {
    pub(super) invoke: Spread,
    pub(super) call: Option<Spread>,
    pub(super) restore: Option<Spread>,
    pub(super) ratios: Ratios,
}

#[derive(Clone, Copy, Deserialize, Serialize)]
pub(super) struct Spread {
    pub(super) p50: f64,
    pub(super) p99: f64,
}

#[derive(Deserialize, Serialize)]
pub(super) struct Ratios {
    pub(super) to_bare_call: Option<f64>,
    pub(super) to_no_restore: Option<f64>,
    pub(super) to_reinstantiate: Option<f64>,
}

#[derive(Deserialize, Serialize)]
pub(super) struct Verdict {
    pub(super) passed: bool,
}

/// A report of `compare`.
///
/// # Errors
///
/// If it is none, or of another schema version.
pub(super) fn read(text: &str) -> Result<Report> {
    #[derive(Deserialize)]
    struct Head {
        schema_version: u64,
        command: String,
    }
    let head: Head = serde_json::from_str(text)?;
    if (head.schema_version, head.command.as_str()) != (SCHEMA, "compare") {
        bail!(
            "it is a report of `{}` in schema version {}, and this wants one of `compare` in version {SCHEMA}",
            head.command,
            head.schema_version
        );
    }
    Ok(serde_json::from_str(text)?)
}

/// The same figures, one row a line, to be kept beside the pages.
pub(super) fn digest(report: &Report) -> Result<String> {
    let lines = |rows: Vec<serde_json::Result<String>>| -> Result<String> {
        Ok(rows.into_iter().collect::<serde_json::Result<Vec<_>>>()?.join(",\n"))
    };
    Ok(format!(
        "{{\n\"header\": {},\n\"bare_call\": {},\n\"guests\": [\n{}\n],\n\"rows\": [\n{}\n]\n}}\n",
        serde_json::to_string(&report.header)?,
        serde_json::to_string(&report.bare_call)?,
        lines(report.guests.iter().map(serde_json::to_string).collect())?,
        lines(report.rows.iter().map(serde_json::to_string).collect())?,
    ))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) const REPORT: &str = r#"{
        "schema_version": 3, "command": "compare",
        "header": {"date": "2026-01-02T03:04:05Z", "harness": "0.1.0", "wasmtime": "48.0.0", "build": "release",
            "machine": {"cpu": "a processor", "cores": 2, "os": "a system"}},
        "bare_call": {"p50": 18.0, "p99": 20.0},
        "guests": [{"guest": "shop-system", "allocator": "system", "wasm_bytes": 67260, "statics_bytes": 4000,
            "built_with": ["rustc 1.96.0"]}],
        "rows": [
            {"guest": "shop-system", "function": "calc_ordered_items", "strategy": "reinstantiate", "residue": null,
             "counts": null, "times": {"invoke": {"p50": 9.0, "p99": 9.0}, "call": null, "restore": null,
             "ratios": {"to_bare_call": null, "to_no_restore": null, "to_reinstantiate": 1.0}}, "verdict": null},
            {"guest": "shop-system", "function": "calc_ordered_items", "strategy": "full-copy", "residue": null,
             "counts": {"allocations": null, "instructions": 991, "pages_after": 4, "restored_bytes": 262144},
             "times": {"invoke": {"p50": 12345.0, "p99": 20000.0}, "call": {"p50": 500.0, "p99": 600.0},
             "restore": {"p50": 11000.0, "p99": 12000.0},
             "ratios": {"to_bare_call": 680.0, "to_no_restore": 20.0, "to_reinstantiate": 0.5}},
             "verdict": {"passed": true}}
        ]}"#;

    #[test]
    fn another_report_is_refused() {
        assert!(read(&REPORT.replace("\"compare\"", "\"run\"")).is_err());
        assert!(read(&REPORT.replace("\"schema_version\": 3", "\"schema_version\": 2")).is_err());
    }

    #[test]
    fn what_is_kept_is_the_same_report() {
        let kept = digest(&read(REPORT).unwrap()).unwrap();
        let again: Report = serde_json::from_str(&kept).unwrap();
        assert_eq!(digest(&again).unwrap(), kept);
        assert_eq!((again.guests.len(), again.rows.len()), (1, 2));
    }
}
