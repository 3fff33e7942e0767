//! How the modules of a guest crate read.

use super::super::build::{BuildReport, BuiltModule};
use super::super::numbers::grouped;
use super::super::section::{Body, Section, TO_PASTE, Table};

pub(in super::super) fn sections(report: &BuildReport) -> Vec<Section> {
    let mut table = Table::new(&["allocator", "module", "`auto` picks"], &["bytes"]);
    for module in &report.modules {
        let strategy = module.strategy.clone().unwrap_or_else(|| "none".to_owned());
        table.row([module.allocator.clone(), module.file.clone(), strategy, grouped(module.bytes)]);
    }
    let cannot = |module: &&BuiltModule| module.strategy.is_none();
    let remarks = report.modules.iter().filter(cannot).map(|module| format!("{}: {}", module.file, module.reason));
    let built = Section::new(format!("Built {}", report.package), Body::Table(table));
    let mut sections = vec![built.remarks(remarks).remarks(report.skipped.iter().cloned())];

    if !report.next.is_empty() {
        let lines = report.next.iter().map(|line| format!("{TO_PASTE}{line}")).collect();
        sections.push(Section::new("Next", Body::Lines(lines)));
    }
    let plain = &report.plain_cargo;
    let mut lines = Vec::new();
    lines.extend(plain.because.clone());
    lines.push(format!("in {}:", plain.folder));
    lines.push(format!("{TO_PASTE}{}", plain.line));
    lines.push(format!("writes {}", plain.module));
    sections.push(Section::new("The same with plain cargo", Body::Lines(lines)));
    sections
}
