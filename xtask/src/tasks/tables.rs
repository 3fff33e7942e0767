//! `tables`: the measured figures of the front page and of the book.
//!
//! What `compare` and the benchmarks measured is kept in `docs/measured/`, as far as pages show it. Each table and each chart is
//! written from there, between marks in its page, so that a page reads as well as its source. A test compares the pages with
//! these files.

mod allocators;
mod charts;
mod choose;
mod compare;
mod messages;
mod methods;
mod ratios;
mod report;
mod text;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use self::text::{put, replaced};
use crate::console::Console;
use crate::folders;

/// The chart of the benchmark `recover`, which that benchmark draws.
const SWEEP: &str = "recover-sweep.svg";

/// A table between two marks: `<!-- NAME:begin -->` and `<!-- NAME:end -->`.
struct Table {
    /// The page, relative to the workspace.
    page: &'static str,
    name: &'static str,
    text: String,
}

/// Takes in what has been measured since, and writes the pages' tables.
pub(super) fn run(console: &Console) -> Result<()> {
    take_in(console)?;
    for (path, text) in pages(&measured())? {
        if std::fs::read_to_string(&path).ok().as_deref() != Some(&text) {
            put(console, &path, &text)?;
        }
    }
    Ok(())
}

/// Where the figures of the pages are kept.
fn measured() -> PathBuf {
    folders::root().join("docs/measured")
}

/// Copies new figures to `docs/measured/`: of the report, of the ratios, of the allocators alone, and the chart.
fn take_in(console: &Console) -> Result<()> {
    let report = folders::report().join("report.json");
    let [ratios, alone, sweep] = ["ratios.json", "allocators.json", SWEEP].map(|file| folders::benches().join(file));
    if ![&report, &ratios, &alone].into_iter().any(|file| file.exists()) {
        console.say(&format!(
            "nothing was measured here: `cargo xtask compare` writes {}, and `cargo xtask bench` {}; the tables are of {}",
            report.display(),
            ratios.display(),
            measured().display()
        ));
    }
    let take = |from: &Path, to: PathBuf, digest: fn(&str) -> Result<String>| -> Result<()> {
        if !from.exists() {
            return Ok(());
        }
        let digest = digest(&load(from)?).with_context(|| format!("reading {}", from.display()))?;
        put(console, &to, &digest)
    };
    take(&report, measured().join("compare.json"), |text| report::digest(&report::read(text)?))?;
    if ratios.exists() {
        let kept = measured().join("ratios.json");
        let digest = ratios::digest(&load(&ratios)?, &load(&kept)?);
        put(console, &kept, &digest.with_context(|| format!("reading {}", ratios.display()))?)?;
    }
    take(&alone, measured().join("allocators.json"), allocators::digest)?;
    take(&sweep, folders::root().join("docs/src/generated").join(SWEEP), |text| Ok(text.to_owned()))
}

/// All generated files with their text, from the figures in `measured` and from the pages themselves.
fn pages(measured: &Path) -> Result<BTreeMap<PathBuf, String>> {
    let read = |file: &str| load(&measured.join(file));
    let report: report::Report = serde_json::from_str(&read("compare.json")?).context("reading compare.json")?;
    let ratios = ratios::read(&read("ratios.json")?).context("reading ratios.json")?;
    let alone = allocators::read(&read("allocators.json")?).context("reading allocators.json")?;
    let tables = [
        Table { page: "README.md", name: "table", text: compare::front(&report)? },
        Table { page: "README.md", name: "ratios", text: ratios::sentence(&ratios) },
        Table { page: "docs/src/measured.md", name: "compare", text: compare::book(&report) },
        Table { page: "docs/src/measured.md", name: "alone", text: allocators::tables(&alone)? },
        Table { page: "docs/src/ratios.md", name: "ratios", text: ratios::table(&ratios) },
        Table { page: "docs/src/restore-cost.md", name: "empty-call", text: ratios::empty_call(&ratios)? },
        Table { page: "docs/src/restore-cost.md", name: "barrier", text: ratios::barrier(&ratios)? },
        Table { page: "docs/src/functions/cost.md", name: "functions", text: ratios::functions(&ratios)? },
        Table { page: "docs/src/foreign-guests.md", name: "exttinygo", text: ratios::exttinygo(&ratios)? },
        Table { page: "docs/src/extension.md", name: "methods", text: methods::table(&folders::root())? },
        Table { page: "docs/src/choose.md", name: "choose", text: choose::table(&report, &alone)? },
        Table {
            page: "docs/src/troubleshooting.md",
            name: "messages",
            text: messages::index(&folders::root().join("docs/src/troubleshooting"))?,
        },
    ];
    let charts = charts::charts(&report, &alone)?.into_iter();
    let generated = folders::root().join("docs/src/generated");
    let mut pages: BTreeMap<_, _> = charts.map(|(file, text)| (generated.join(file), text)).collect();
    for Table { page, name, text } in tables {
        let path = folders::root().join(page);
        let old = pages.remove(&path).map_or_else(|| load(&path), Ok)?;
        let (begin, end) = (format!("<!-- {name}:begin -->\n"), format!("<!-- {name}:end -->"));
        let new = replaced(&old, &begin, &end, &text).with_context(|| format!("in {}", path.display()))?;
        pages.insert(path, new);
    }
    Ok(pages)
}

fn load(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_have_the_figures_that_were_measured() {
        for (path, text) in pages(&measured()).unwrap() {
            let page = load(&path).unwrap();
            let differs = page.lines().zip(text.lines()).find(|(page, text)| page != text);
            assert!(page == text, "{}: {differs:?}: run `cargo xtask tables`", path.display());
        }
    }
}
