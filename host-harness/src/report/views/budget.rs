//! How a memory budget reads.

use super::super::numbers::{bytes, grouped, or_dash};
use super::super::section::{Body, Section, Table};
use crate::budget::{Budget, BudgetCall};

pub(super) fn sections(budget: &Budget) -> Vec<Section> {
    let mut sections = vec![parts(budget)];
    if budget.segments.iter().any(|segment| segment.bytes > 0) {
        let mut table = Table::new(&["largest data segments"], &["address", "bytes"]);
        for segment in &budget.segments {
            let name = segment.name.clone().unwrap_or_else(|| "without name".to_owned());
            table.row([name, or_dash(segment.address, |address| format!("{address:#x}")), grouped(segment.bytes)]);
        }
        sections.push(Section::new("Data segments", Body::Table(table)));
    }
    if !budget.calls.is_empty() {
        let mut table = Table::new(&["function", "result"], &["stack", "heap", "memory"]);
        for call in &budget.calls {
            let (stack, heap) = (or_dash(call.stack, grouped), or_dash(call.heap, grouped));
            table.row([call.function.clone(), result(call), stack, heap, grouped(call.memory)]);
        }
        let remark = "stack: bytes that were written; heap: bytes up to the highest that was allocated".to_owned();
        let title = "Calls, each on a pristine instance, in bytes";
        sections.push(Section::new(title, Body::Table(table)).remarks([remark]));
    }
    sections.push(Section::facts("Fits the budget", vec![("fits", verdict(budget)), ("starts with", starts(budget))]));
    sections
}

fn parts(budget: &Budget) -> Section {
    let mut table = Table::new(&["part"], &["bytes", "share"]);
    for part in &budget.parts {
        table.row([part.kind.words().to_owned(), grouped(part.bytes), share(part.bytes, budget.budget)]);
    }
    let sum = budget.parts.iter().map(|part| part.bytes).sum();
    table.row(["sum".to_owned(), grouped(sum), share(sum, budget.budget)]);
    let written =
        |used| format!("initialisation and the calls below wrote at most {} bytes of the shadow stack", grouped(used));
    let title = format!("Memory budget of {} ({} bytes)", bytes(budget.budget), grouped(budget.budget));
    Section::new(title, Body::Table(table)).remarks(budget.stack_used.map(written))
}

/// A part of the budget in percent.
fn share(part: u64, budget: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "shown with one digit behind the point")]
    let share = part as f64 / budget.max(1) as f64 * 100.0;
    format!("{share:.1}%")
}

fn result(call: &BudgetCall) -> String {
    match (&call.failure, call.needed) {
        (None, _) => "ok".to_owned(),
        (Some(failure), Some(needed)) => format!("{failure}; {} bytes of memory are enough", grouped(needed)),
        (Some(failure), None) => failure.clone(),
    }
}

fn starts(budget: &Budget) -> String {
    match budget.needed {
        Some(needed) => {
            format!("{} bytes of memory; the module declares {}", grouped(needed), grouped(budget.declared))
        }
        None => format!("no memory limit that was tried; the module declares {} bytes", grouped(budget.declared)),
    }
}

fn verdict(budget: &Budget) -> String {
    let overflows: Vec<&str> =
        budget.calls.iter().filter(|call| call.out_of_memory).map(|call| call.function.as_str()).collect();
    let cause = match overflows.as_slice() {
        [] => "no instance starts within the budget".to_owned(),
        names => format!("out of memory in {}", names.join(", ")),
    };
    match (budget.fits, budget.missing) {
        // An instance starts, and that is all that is known.
        (true, _) if budget.calls.is_empty() => {
            "yes, at the start; no function was called: none goes without arguments or memory blocks".to_owned()
        }
        (true, _) => "yes".to_owned(),
        (false, Some(missing)) => format!("no: {} bytes are missing; {cause}", grouped(missing)),
        (false, None) => {
            format!("no: {cause}; how much is missing is unknown, as the memory limit is not enough either")
        }
    }
}
