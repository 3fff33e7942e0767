//! The observations of one call.

use std::fmt;

use guest_abi::Level;
use serde::{Deserialize, Serialize};

use super::{What, words};
use crate::functions::Number;
use guest_host::{AllocationStats, Cause, Function, Guest, Instance, Replaced, TraceEntry, Val};

/// A part of a call's outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Aspect {
    /// Success, or the cause of failure.
    Result,
    /// The numbers that a function of a bare module returned.
    ReturnValues,
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
            Self::ReturnValues => "the list of return values",
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

/// A number that a call returned, by its bits: zeros of either sign differ. All NaNs are equal, since WebAssembly leaves open
/// which of them an instruction gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Returned {
    I32(i32),
    I64(i64),
    F32(u32),
    F64(u64),
    /// Nothing that bare modules return.
    Other,
}

impl Returned {
    fn of(value: &Val) -> Self {
        match *value {
            Val::I32(number) => Self::I32(number),
            Val::I64(number) => Self::I64(number),
            Val::F32(bits) if f32::from_bits(bits).is_nan() => Self::F32(f32::NAN.to_bits()),
            Val::F64(bits) if f64::from_bits(bits).is_nan() => Self::F64(f64::NAN.to_bits()),
            Val::F32(bits) => Self::F32(bits),
            Val::F64(bits) => Self::F64(bits),
            _ => Self::Other,
        }
    }
}

impl fmt::Display for Returned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = match *self {
            Self::I32(number) => Val::I32(number),
            Self::I64(number) => Val::I64(number),
            Self::F32(bits) => Val::F32(bits),
            Self::F64(bits) => Val::F64(bits),
            Self::Other => return f.write_str("a value that is no number"),
        };
        Number::of(&value).iter().try_for_each(|number| number.fmt(f))
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
    /// Empty where the call failed.
    values: Vec<Returned>,
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
        let (result, timed_out, cut_off, values, intents) = match called {
            Ok(outcome) => {
                let values = outcome.results().iter().map(Returned::of).collect();
                (Ok(()), false, false, values, outcome.intent_bytes().to_vec())
            }
            Err(failure) => {
                let timed_out = matches!(failure.cause, Cause::DeadlineExceeded { .. });
                let cause = CauseOfFailure { kind: failure.cause.kind(), message: failure.cause.to_string() };
                let cut_off = timed_out || matches!(failure.cause, Cause::InstructionsExceeded { .. });
                (Err(cause), timed_out, cut_off, Vec::new(), Vec::new())
            }
        };
        let stats = instance.last_stats();
        let log = instance.last_log().map(|(level, line)| (level, line.to_owned())).collect();
        let trace = instance.last_trace().to_vec();
        Self {
            result,
            cut_off,
            timed_out,
            values,
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
        if let Some(words) = words::first_of("value", &self.values, &found.values, Returned::to_string) {
            differ(Aspect::ReturnValues, words);
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
