//! Files that anybody may have written: artefacts, allocation traces, state files, modules. Never a panic, every error a
//! value, and what can be written is read back as it was.

use std::path::Path;
use std::sync::LazyLock;

use alloc_trace::compact::{Program, STEP, Step, Steps};
use alloc_trace::{Numbering, Operation, Trace};
use arbitrary::Unstructured;
use guest_host::{CodeOrigin, Guest, InputError, LoadError, artefact};
use guest_prepare::PrepareOptions;
use guest_prepare::module_info::ModuleInfo;
use host_harness::parse_state;

use crate::puppet;

/// Reads the input as the kind of file that its first byte says.
///
/// # Errors
/// The property that is broken.
pub fn run(input: &[u8]) -> Result<String, String> {
    let Some((kind, bytes)) = input.split_first() else { return Ok("empty".to_owned()) };
    match kind % 6 {
        0 => trace(bytes, Numbering::FromZero),
        1 => trace(bytes, Numbering::FromOne),
        2 => compact(bytes),
        3 => state(bytes),
        4 => damaged_artefact(bytes),
        _ => module_or_artefact(bytes),
    }
}

fn trace(text: &[u8], numbering: Numbering) -> Result<String, String> {
    let trace = match Trace::parse(text, numbering) {
        Ok(trace) => trace,
        Err(error) => {
            let lines = text.split(|byte| *byte == b'\n').count() as u64;
            let told = error.to_string();
            if error.line == 0 || error.line > lines || error.column == 0 || told.len() > 400 {
                return Err(format!("an error somewhere else than in the text: {told}"));
            }
            return Ok("trace refused".to_owned());
        }
    };
    for numbering in [Numbering::FromZero, Numbering::FromOne] {
        let written = trace.text(numbering).to_string();
        let again = Trace::parse(written.as_bytes(), numbering).map_err(|error| format!("not read again: {error}"))?;
        if again != trace {
            return Err("a trace that was written is read as another one".to_owned());
        }
    }
    if Trace::new(trace.operations().to_vec()).as_ref() != Ok(&trace) {
        return Err("operations of a trace are no trace".to_owned());
    }
    let summary = trace.summary();
    if summary.operations != trace.operations().len() as u64 || summary.peak_live_bytes < summary.live_bytes {
        return Err(format!("a summary that contradicts itself: {summary:?}"));
    }
    let chunk = 1 + text.len() % 64;
    if replayed(&Program::of(&trace, chunk)) != trace.operations() {
        return Err("the compact form has other operations".to_owned());
    }
    Ok(if trace.operations().is_empty() { "empty trace" } else { "trace" }.to_owned())
}

/// The operations of a program: slots are given back the numbers of the allocations in them.
fn replayed(program: &Program) -> Vec<Operation> {
    let (mut slots, mut made) = (vec![None; program.slots as usize], 0);
    let steps = program.chunks.iter().flat_map(|chunk| Steps::new(chunk));
    steps
        .map_while(|step| match step.ok()? {
            Step::Alloc { slot, size } => {
                slots[slot as usize] = Some(made);
                made += 1;
                Some(Operation::Alloc { size })
            }
            Step::Free { slot } => Some(Operation::Free { allocation: slots[slot as usize].take()? }),
            Step::Realloc { slot, size } => Some(Operation::Realloc { allocation: slots[slot as usize]?, size }),
        })
        .collect()
}

fn compact(bytes: &[u8]) -> Result<String, String> {
    let steps: Vec<_> = Steps::new(bytes).collect();
    let good = steps.iter().take_while(|step| step.is_ok()).count();
    let whole = good * STEP == bytes.len();
    if steps.len() != good + usize::from(!whole) {
        return Err(format!("{} steps of {} bytes, {good} of them good", steps.len(), bytes.len()));
    }
    Ok(if whole { "steps" } else { "no step" }.to_owned())
}

fn state(bytes: &[u8]) -> Result<String, String> {
    // A file of another encoding is refused before it gets here.
    let text = String::from_utf8_lossy(bytes);
    match parse_state(&text, Path::new("state.json")) {
        Ok(state) => Ok(if state.is_empty() { "empty state" } else { "state" }.to_owned()),
        Err(error) => {
            let told = error.to_string();
            if told.starts_with("state.json:") { Ok("state refused".to_owned()) } else { Err(told) }
        }
    }
}

/// An artefact that is whole.
static ARTEFACT: LazyLock<Vec<u8>> = LazyLock::new(|| puppet::guest().to_artefact().expect("it can be made"));

/// Changes some bytes of an artefact: its module is never another one, and code that was damaged is never run.
fn damaged_artefact(edits: &[u8]) -> Result<String, String> {
    let mut damaged = ARTEFACT.clone();
    let mut edits = Unstructured::new(edits);
    for _ in 0..edits.int_in_range(1..=4).unwrap_or(1) {
        let (Ok(at), Ok(change)) = (edits.choose_index(damaged.len()), edits.int_in_range(1..=255_u8)) else { break };
        damaged[at] ^= change;
    }
    if edits.ratio(1, 3).unwrap_or(false) {
        let length = edits.choose_index(damaged.len()).unwrap_or(0);
        damaged.truncate(length);
    }
    if damaged == *ARTEFACT {
        return Ok("artefact".to_owned());
    }
    match Guest::load(puppet::engine(), "damaged", &damaged, PrepareOptions::default()) {
        Ok(guest) => match (guest.code_origin(), artefact::module_of(&damaged) == artefact::module_of(&ARTEFACT)) {
            (CodeOrigin::Recompiled(_), true) => Ok("artefact compiled again".to_owned()),
            (origin, same) => Err(format!("damaged code is {origin:?}, the module is the same: {same}")),
        },
        Err(LoadError::Input(InputError::Artefact(_) | InputError::Module(_))) => Ok("artefact refused".to_owned()),
        Err(error) => Err(format!("another error than that the artefact cannot be used: {error}")),
    }
}

/// Any bytes where a module or an artefact is expected.
fn module_or_artefact(bytes: &[u8]) -> Result<String, String> {
    if artefact::is_artefact(bytes) {
        let module = artefact::module_of(bytes).is_ok();
        return Ok(if module { "module of an artefact" } else { "no module in it" }.to_owned());
    }
    match ModuleInfo::analyse(bytes) {
        Ok(_) => Ok("module".to_owned()),
        Err(error) if error.to_string().len() > 1_000 => Err(format!("nobody reads this error: {error}")),
        Err(_) => Ok("no module".to_owned()),
    }
}
