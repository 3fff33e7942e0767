//! What can be observed of one call.

use std::fmt;

use super::What;
use guest_abi::Level;

use crate::call::TraceEntry;
use crate::failure::Cause;
use crate::guest::{Function, Guest};
use crate::instance::Instance;
use crate::outcome::AllocationStats;

/// A part of a call's outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Aspect {
    /// Success, or the cause of failure.
    Result,
    /// The intents.
    Intents,
    /// The log lines.
    Log,
    /// The calls of host functions.
    Trace,
    /// What the allocator counted.
    Allocations,
}

impl Aspect {
    /// The words for it in messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Result => "the result",
            Self::Intents => "the list of intents",
            Self::Log => "the log",
            Self::Trace => "the trace of host calls",
            Self::Allocations => "the count of allocations",
        }
    }
}

impl fmt::Display for Aspect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What one call showed.
pub(super) struct Observed {
    result: Result<(), String>,
    /// It ended by the clock, so how far it got is chance.
    timed_out: bool,
    intents: Vec<u8>,
    log: Vec<(Level, String)>,
    trace: Vec<TraceEntry>,
    allocations: Option<AllocationStats>,
    pub(super) pages: u64,
    pub(super) replaced: bool,
}

impl Observed {
    /// Calls `function` and, if that succeeds, applies its intents to the instance's own state.
    pub(super) fn of(instance: &mut Instance, function: Function) -> Self {
        let called = instance.invoke(function);
        let (result, timed_out, intents) = match called {
            Ok(outcome) => (Ok(()), false, outcome.intent_bytes().to_vec()),
            Err(failure) => {
                let timed_out = matches!(failure.cause, Cause::DeadlineExceeded { .. });
                (Err(format!("{}: {}", failure.cause.kind(), failure.cause)), timed_out, Vec::new())
            }
        };
        if let (Ok(()), Some(state)) = (&result, instance.state_mut()) {
            // Both sides get the same intents or differ in them, which is reported; a state that refuses them
            // refuses them on both sides.
            let _ = state.apply(&intents);
        }
        let stats = instance.last_stats();
        let (log, trace) = instance.last_call().map_or_else(Default::default, |call| {
            let log = call.log().map(|(level, line)| (level, line.to_owned())).collect();
            (log, call.trace.clone())
        });
        Self {
            result,
            timed_out,
            intents,
            log,
            trace,
            allocations: stats.allocations,
            pages: stats.pages,
            replaced: stats.restored_bytes.is_none(),
        }
    }

    pub(super) fn failed(&self) -> bool {
        self.result.is_err()
    }

    /// Reports in which aspects `found` differs from `self`, which a fresh instance gave.
    pub(super) fn compare(&self, found: &Self, guest: &Guest, differences: &mut Vec<What>) {
        let mut differ = |aspect, expected: &dyn fmt::Debug, found: &dyn fmt::Debug| {
            differences.push(What::Outcome {
                aspect,
                expected: shortened(format!("{expected:?}")),
                found: shortened(format!("{found:?}")),
            });
        };
        if self.result != found.result {
            differ(Aspect::Result, &self.result, &found.result);
        }
        if self.timed_out || found.timed_out {
            return;
        }
        if self.intents != found.intents {
            differ(Aspect::Intents, &self.intents, &found.intents);
        }
        if self.log != found.log {
            differ(Aspect::Log, &self.log, &found.log);
        }
        if self.trace != found.trace {
            differ(Aspect::Trace, &self.trace, &found.trace);
        }
        // A guest that sees physical pages finds those of earlier calls and grows less.
        let comparable = |stats: Option<AllocationStats>| match guest.prepared().logical_pages_export {
            Some(_) => stats,
            None => stats.map(|stats| AllocationStats { grows: 0, ..stats }),
        };
        if comparable(self.allocations) != comparable(found.allocations) {
            differ(Aspect::Allocations, &self.allocations, &found.allocations);
        }
    }
}

/// Long dumps are cut: the seed repeats the run.
fn shortened(text: String) -> String {
    const LIMIT: usize = 300;
    if text.len() <= LIMIT { text } else { format!("{}...", &text[..text.floor_char_boundary(LIMIT)]) }
}
