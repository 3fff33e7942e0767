//! The tables of the allocators alone, from what the benchmark of that name found.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::text::{grouped, time};

/// What one allocator took for one workload.
#[derive(Deserialize, Serialize)]
pub(super) struct Alone {
    pub(super) allocator: String,
    pub(super) nanoseconds: f64,
    pub(super) pages: u64,
}

/// By workload.
pub(super) type Workloads = BTreeMap<String, Vec<Alone>>;

#[derive(Deserialize)]
struct File {
    allocators: Workloads,
}

/// The allocators of this project, and Rust's default, in the order of columns. All others follow in tables of their own.
pub(super) const OWN: [&str; 5] = ["leaking", "bump-reset", "freelist", "wee", "system"];

pub(super) fn read(text: &str) -> Result<Workloads> {
    let workloads = serde_json::from_str::<File>(text)?.allocators;
    workloads.values().next().context("there is no workload")?;
    Ok(workloads)
}

/// The same figures, one a line, to be kept beside the pages.
pub(super) fn digest(text: &str) -> Result<String> {
    let workloads = read(text)?;
    let mut text = Vec::new();
    for (workload, found) in &workloads {
        let found = found.iter().map(serde_json::to_string).collect::<serde_json::Result<Vec<_>>>()?;
        text.push(format!("{}: [\n  {}\n]", serde_json::to_string(workload)?, found.join(",\n  ")));
    }
    Ok(format!("{{\"allocators\": {{\n{}\n}}}}\n", text.join(",\n")))
}

/// The tables of the allocators alone, by workload: times and pages, of this project's and beside others.
pub(super) fn tables(workloads: &Workloads) -> Result<String> {
    let first = workloads.values().next().context("there is no workload")?;
    let (own, others): (Vec<&str>, Vec<&str>) =
        first.iter().map(|alone| alone.allocator.as_str()).partition(|allocator| OWN.contains(allocator));
    let seconds = |alone: &Alone| time(alone.nanoseconds);
    let pages = |alone: &Alone| grouped(alone.pages);
    Ok(format!(
        "Time of a run:\n\n{}\nOther allocators, for comparison:\n\n{}\n\
         Pages of 64 KiB that memory had at the end, which is the most that it had:\n\n{}\nOther allocators:\n\n{}",
        table(workloads, &own, seconds),
        table(workloads, &others, seconds),
        table(workloads, &own, pages),
        table(workloads, &others, pages),
    ))
}

fn table(workloads: &Workloads, allocators: &[&str], cell: impl Fn(&Alone) -> String) -> String {
    let mut table = format!("| workload | {} |\n|---{}|\n", allocators.join(" | "), "|--:".repeat(allocators.len()));
    for (workload, found) in workloads {
        let cells = allocators.iter().map(|allocator| {
            found.iter().find(|alone| alone.allocator == *allocator).map_or_else(|| "-".to_owned(), &cell)
        });
        let cells: Vec<_> = cells.collect();
        let _ = writeln!(table, "| {} | {} |", workload.trim_start_matches("traces/"), cells.join(" | "));
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allocators_stand_side_by_side() {
        let text = r#"{"allocators": {"traces/kept": [{"allocator": "leaking", "nanoseconds": 1500.0, "pages": 4},
            {"allocator": "talc", "nanoseconds": 48160.0, "pages": 6}]}}"#;
        let found = tables(&read(text).unwrap()).unwrap();
        assert!(found.contains("| workload | leaking |\n|---|--:|\n| kept | 1.5 us |\n"), "{found}");
        assert!(found.contains("| workload | talc |\n|---|--:|\n| kept | 48.2 us |\n"), "{found}");
        assert!(found.ends_with("| kept | 6 |\n"), "{found}");
        let kept = digest(text).unwrap();
        assert_eq!(digest(&kept).unwrap(), kept);
        assert!(read("{}").is_err());
    }
}
