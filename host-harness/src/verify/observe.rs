//! The observations of one call.

use std::fmt;

use guest_abi::Level;
use serde::{Deserialize, Serialize};

use super::{What, words};
use guest_host::{AllocationStats, Cause, Function, Guest, Instance, Replaced, TraceEntry};

/// A part of a call's outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Aspect {
    /// Success, or the cause of failure.
    Result,
    /// The intents.
    Intents,
    /// The log lines.
    Log,
    /// Its output.
    Output,
    /// The calls of host functions.
    Trace,
    /// The allocator's counts.
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
            Self::Output => "the output",
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

/// Why a call failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CauseOfFailure {
    /// See [`Cause::kind`].
    pub(super) kind: &'static str,
    pub(super) message: String,
}

impl fmt::Display for CauseOfFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.message)
    }
}

/// The observations of one call.
pub(super) struct Observed {
    pub(super) result: Result<(), CauseOfFailure>,
    /// It ended by a limit on time or instructions, so how far it got says nothing: the clock is chance, and marks of a write
    /// barrier are instructions, too.
    pub(super) cut_off: bool,
    /// It ended by the clock.
    pub(super) timed_out: bool,
    /// In their wire form; empty where the call failed.
    pub(super) intents: Vec<u8>,
    log: Vec<(Level, String)>,
    output: (Vec<u8>, u64),
    trace: Vec<TraceEntry>,
    allocations: Option<AllocationStats>,
    pub(super) pages: u64,
    /// It was not followed by a restore in place.
    pub(super) unrestorable: bool,
}

impl Observed {
    /// Calls `function`. Its intents are not applied.
    pub(super) fn of(instance: &mut Instance, function: Function) -> Self {
        let called = instance.invoke(function);
        let (result, timed_out, cut_off, intents) = match called {
            Ok(outcome) => (Ok(()), false, false, outcome.intent_bytes().to_vec()),
            Err(failure) => {
                let timed_out = matches!(failure.cause, Cause::DeadlineExceeded { .. });
                let cause = CauseOfFailure { kind: failure.cause.kind(), message: failure.cause.to_string() };
                let cut_off = timed_out || matches!(failure.cause, Cause::InstructionsExceeded { .. });
                (Err(cause), timed_out, cut_off, Vec::new())
            }
        };
        let stats = instance.last_stats();
        let log = instance.last_log().map(|(level, line)| (level, line.to_owned())).collect();
        let trace = instance.last_trace().to_vec();
        Self {
            result,
            cut_off,
            timed_out,
            intents,
            log,
            output: (instance.last_output().to_vec(), instance.last_output_dropped()),
            trace,
            allocations: stats.allocations,
            pages: stats.pages,
            // Who gives memory back could have been restored.
            unrestorable: stats.restored_bytes.is_none() && stats.replaced != Some(Replaced::Shrunk),
        }
    }

    /// Reports in which aspects `found` differs from `self`, which a fresh instance gave. Where both were
    /// cut off that is all that is compared; a call that did on one side only is not to be compared at all.
    pub(super) fn compare(&self, found: &Self, guest: &Guest, differences: &mut Vec<What>) {
        let mut differ = |aspect, (place, expected, found): words::Difference| {
            differences.push(What::Outcome { aspect, place, expected, found });
        };
        if self.result != found.result {
            let of =
                |observed: &Self| observed.result.as_ref().map_or_else(ToString::to_string, |()| "success".to_owned());
            differ(Aspect::Result, (None, words::shortened(of(self)), words::shortened(of(found))));
        }
        if self.cut_off || found.cut_off {
            return;
        }
        if self.intents != found.intents {
            differ(Aspect::Intents, words::intents(&self.intents, &found.intents));
        }
        let line = |(level, line): &(Level, String)| format!("{} {line:?}", level.name());
        if let Some(words) = words::first_of("line", &self.log, &found.log, line) {
            differ(Aspect::Log, words);
        }
        if self.output != found.output {
            differ(Aspect::Output, words::output(&self.output, &found.output));
        }
        let crossing = |entry: &TraceEntry| {
            let TraceEntry { call, result, digest } = entry;
            format!("{call:?} that returned {result}, digest {digest:#018x}")
        };
        if let Some(words) = words::first_of("host call", &self.trace, &found.trace, crossing) {
            differ(Aspect::Trace, words);
        }
        // A guest that sees physical pages finds those of earlier calls and grows less.
        let comparable = |stats: Option<AllocationStats>| match guest.prepared().logical_pages_export {
            Some(_) => stats,
            None => stats.map(|mut stats| {
                (stats.grows, stats.heap_size) = (None, None);
                stats
            }),
        };
        let (expected, found) = (comparable(self.allocations), comparable(found.allocations));
        if expected != found {
            differ(Aspect::Allocations, words::counts(expected, found));
        }
    }
}
