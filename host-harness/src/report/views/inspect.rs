//! How an inspection reads.

use super::super::numbers::{bytes, grouped, or_dash};
use super::super::section::{Body, Section, Table};
use super::{allocations_from, list};
use crate::inspect::{Inspection, Item, NotCallable, StrategyVerdict, WHAT_WOULD_BE_CALLABLE};

pub(in super::super) fn sections(inspection: &Inspection) -> Vec<Section> {
    let mut sections = vec![module(inspection)];
    if !inspection.problems.is_empty() {
        sections.push(Section::new("Cannot be run", Body::Lines(inspection.problems.clone())));
    }
    if let Some(error) = &inspection.instance_error {
        sections.push(Section::new("Cannot be instantiated", Body::Lines(vec![error.clone()])));
    }
    if !inspection.not_callable.is_empty() {
        let line = |found: &NotCallable| format!("{}: {}", found.function, found.reason);
        let lines = inspection.not_callable.iter().map(line).collect();
        sections.push(Section::new("Functions that cannot be called", Body::Lines(lines)));
    }
    if is_bare(inspection) && inspection.functions.is_empty() && inspection.problems.is_empty() {
        sections.push(Section::new("No function can be called", Body::Lines(vec![WHAT_WOULD_BE_CALLABLE.to_owned()])));
    }
    sections.push(admission(inspection));
    sections.push(memory(inspection));
    if let Some(block) = &inspection.control_block {
        sections.push(Section::facts(
            "Allocator's control block, after initialisation",
            vec![
                ("address", hex(block.address)),
                ("counters", if block.counters { "maintained" } else { "not maintained" }.to_owned()),
                ("heap base", hex(block.heap_base)),
                ("top", hex(block.top)),
                ("high-water mark", hex(block.high_water)),
                ("limit", hex(block.limit)),
                ("reset mark", if block.mark == 0 { "none".to_owned() } else { hex(block.mark) }),
                ("live bytes", grouped(block.live_bytes)),
            ],
        ));
    }
    if !inspection.allocator_functions.is_empty() {
        let mut table = Table::new(&["function", "counted as", "found by"], &[]);
        for found in &inspection.allocator_functions {
            table.row([found.function.clone(), found.counted_as.clone(), found.found_by.clone()]);
        }
        sections.push(Section::new("Allocator's functions whose calls are counted", Body::Table(table)));
    }
    sections.push(items("Imports", &inspection.imports));
    sections.push(items("Exports", &inspection.exports));
    sections.extend(inspection.budget.iter().flat_map(super::budget::sections));
    // Last, where a terminal shows it.
    sections.extend(super::advice::section([(inspection.guest.as_str(), inspection.advice.as_slice())]));
    sections
}

fn module(inspection: &Inspection) -> Section {
    let sizes = &inspection.sizes;
    // A bare module has nothing else to say that its functions are meant to be called.
    let functions = if is_bare(inspection) { "functions" } else { "extension functions" };
    let contract = inspection.contract.clone().unwrap_or_else(|| "none".to_owned());
    let mut facts = vec![
        ("contract", contract),
        ("allocator", inspection.allocator.clone().unwrap_or_else(|| "unknown".to_owned())),
        ("allocations from", inspection.allocations_from.as_deref().map_or("unknown", allocations_from).to_owned()),
        (functions, list(&signatures(inspection))),
        ("built with", list(&inspection.built_with)),
        (
            "size",
            format!(
                "{} bytes, {} without custom sections ({} code, {} data)",
                grouped(sizes.file),
                grouped(sizes.stripped),
                grouped(sizes.code),
                grouped(sizes.data)
            ),
        ),
        ("prepared", or_dash(sizes.prepared, |size| format!("{} bytes", grouped(size)))),
    ];
    if !inspection.stages.is_empty() {
        facts.insert(4, ("stages", list(&inspection.stages)));
    }
    if !inspection.typed_functions.is_empty() {
        // Behind the extension functions; `functions` has their signatures.
        facts.insert(4, ("typed functions", list(&inspection.typed_functions)));
    }
    Section::facts(format!("Guest {}", inspection.guest), facts)
}

fn is_bare(inspection: &Inspection) -> bool {
    inspection.contract.as_deref() == Some(BARE)
}

/// The contract of bare modules, as [`guest_host::admission::Contract`] prints it.
const BARE: &str = "none (a bare module)";

/// The functions, those of a bare module with their types.
fn signatures(inspection: &Inspection) -> Vec<String> {
    let of = |function: &String| {
        let export = inspection.exports.iter().find(|export| export.name == *function && is_bare(inspection));
        export.map_or_else(|| function.clone(), |export| format!("{function} {}", export.ty))
    };
    inspection.functions.iter().map(of).collect()
}

fn admission(inspection: &Inspection) -> Section {
    let verdict = |strategy: &StrategyVerdict| {
        if strategy.admitted {
            return "admitted".to_owned();
        }
        let reasons: Vec<_> = strategy.reasons.iter().map(|reason| reason.reason.as_str()).collect();
        let instead = strategy.instead.iter().map(|instead| format!("; {instead}"));
        format!("refused: {}{}", reasons.join(". Also: "), instead.collect::<String>())
    };
    let facts = inspection.strategies.iter().map(|strategy| (strategy.strategy.clone(), verdict(strategy)));
    Section::facts("Admission, by strategy", facts.collect())
}

fn memory(inspection: &Inspection) -> Section {
    let mut facts = vec![("memories", list(&inspection.memories))];
    let range =
        |[start, end]: [u32; 2]| format!("{start:#x}..{end:#x} ({})", bytes(u64::from(end.saturating_sub(start))));
    match (&inspection.layout, &inspection.layout_unknown) {
        (Some(layout), _) => {
            facts.push(("shadow stack", layout.stack.map_or_else(|| "not known".to_owned(), range)));
            facts.push(("statics", range(layout.statics)));
            facts.push(("heap base", hex(layout.heap_base)));
        }
        (None, Some(reason)) => facts.push(("layout", format!("not known: {reason}"))),
        (None, None) => {}
    }
    facts.push(("globals that preparation exports", grouped(inspection.hidden_globals)));
    let counts = inspection.instructions.iter();
    let counts: Vec<String> =
        counts.map(|found| format!("{} {}", grouped(found.count.into()), found.instruction)).collect();
    facts.push(("instructions", list(&counts)));
    Section::facts("Memory", facts)
}

fn items(title: &str, items: &[Item]) -> Section {
    let mut table = Table::new(&["name", "type"], &[]);
    for item in items {
        table.row([item.name.clone(), item.ty.clone()]);
    }
    let count = items.len();
    Section::new(format!("{title}: {count}"), if count == 0 { Body::Lines(Vec::new()) } else { Body::Table(table) })
}

fn hex(address: impl std::fmt::LowerHex) -> String {
    format!("{address:#x}")
}
