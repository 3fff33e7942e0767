//! How a run reads: for each call its result, intents, log lines and counters.

use super::super::data::{CallReport, RunReport};
use super::super::numbers::{bytes, grouped, or_dash};
use super::super::section::{Body, Section};
use super::allocations_from;
use super::measure::settings;
use crate::measure::FailedCall;
use guest_host::CallStats;

pub(in super::super) fn sections(run: &RunReport) -> Vec<Section> {
    let mut sections = Vec::new();
    let mut shown = 0;
    for call in &run.calls {
        if call.call > shown + 1 {
            sections.push(Section::new(
                String::new(),
                Body::Lines(vec![format!("... {} calls are not shown ...", grouped(call.call - shown - 1))]),
            ));
        }
        shown = call.call;
        sections.extend(of_call(call, run.times));
    }
    let mut facts = vec![
        ("guest", run.guest.clone()),
        ("function", run.function.clone()),
        ("calls", grouped(run.times)),
        ("failed", grouped(run.failed_calls)),
        ("restored by", format!("{}, {}, residue: {}", run.strategy, run.policy, run.residue)),
    ];
    facts.extend(settings(&run.settings));
    sections.push(Section::facts("Run", facts));
    sections
}

/// Said below a backtrace: names look more certain than they are.
const MERGED: &str = "compilers keep one of several functions of equal code: the name of a frame may be that of another function of the same code";

fn of_call(call: &CallReport, times: u64) -> Vec<Section> {
    let prefix = if times == 1 { String::new() } else { format!("Call {}: ", grouped(call.call)) };
    let mut sections = Vec::new();
    let result = match &call.failure {
        None => "ok".to_owned(),
        Some(failure) => {
            let again = if failure.retried { " (also when retried on the restored instance)" } else { "" };
            format!("failed ({}): {}{again}", failure.cause, failure.message)
        }
    };
    sections.push(Section::new(format!("{prefix}Result"), Body::Lines(vec![result])));
    if !call.backtrace.is_empty() {
        let frames = Body::Lines(call.backtrace.iter().map(|frame| format!("at {frame}")).collect());
        // Where the message does not say what happened, the innermost frames are all there is to go by.
        let by_frames = |failure: &&FailedCall| ["out-of-memory", "unreachable"].contains(&failure.cause.as_str());
        let remark = call.failure.as_ref().filter(by_frames).map(|_| MERGED.to_owned());
        sections.push(Section::new("Backtrace, innermost first", frames).remarks(remark));
    }
    if let Some(results) = &call.results {
        let lines = Body::Lines(results.iter().map(ToString::to_string).collect());
        sections.push(Section::new(format!("Return values: {}", results.len()), lines));
    } else if call.failure.is_none() {
        let intents = call.intents.iter().map(|intent| serde_json::to_string(intent).unwrap_or_default());
        let lines: Vec<String> = intents.collect();
        let title = format!("Intents: {}", lines.len());
        sections.push(Section::new(title, Body::Lines(lines)));
    }
    if !call.log.is_empty() || call.log_dropped > 0 {
        let mut lines: Vec<String> = call.log.iter().map(|line| format!("{:5} {}", line.level, line.line)).collect();
        if call.log_dropped > 0 {
            lines.push(format!("... {} lines were cut off or dropped", grouped(call.log_dropped)));
        }
        sections.push(Section::new("Log", Body::Lines(lines)));
    }
    if !call.output.is_empty() || call.output_dropped > 0 {
        let dropped = format!("... {} bytes before these were dropped", grouped(call.output_dropped));
        let lines = call.output.lines().map(str::to_owned);
        let lines = (call.output_dropped > 0).then_some(dropped).into_iter().chain(lines);
        sections.push(Section::new("Output", Body::Lines(lines.collect())));
    }
    if let Some(counters) = &call.counters {
        sections.push(Section::facts("Counters", facts(counters)));
    }
    sections
}

fn facts(counters: &CallStats) -> Vec<(&'static str, String)> {
    let mut facts = vec![
        ("instructions", or_dash(counters.instructions, grouped)),
        ("host crossings", grouped(counters.crossings)),
        ("pages after the call", grouped(counters.pages)),
        ("bytes restored", or_dash(counters.restored_bytes, bytes)),
    ];
    if counters.retried {
        facts.push(("retried", "it ran out of memory first, and succeeded on the restored instance".to_owned()));
    }
    let Some(allocations) = &counters.allocations else {
        facts.push(("allocations", "not counted: nothing about the guest tells what it allocates".to_owned()));
        return facts;
    };
    facts.push(("allocations", grouped(allocations.allocations)));
    let told = [
        ("frees", allocations.deallocations),
        ("reallocations", allocations.reallocations),
        ("bytes allocated", allocations.allocated_bytes),
        ("bytes freed", allocations.freed_bytes),
        ("peak live bytes", allocations.peak_live_bytes),
        ("grows", allocations.grows),
        ("heap in use", allocations.heap_in_use),
        ("heap size", allocations.heap_size),
    ];
    facts.extend(told.into_iter().filter_map(|(name, count)| Some((name, grouped(count?)))));
    facts.push(("allocations from", allocations_from(allocations.source.name()).to_owned()));
    facts
}
