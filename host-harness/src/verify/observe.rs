//! The observations of one call.

use std::fmt;

use guest_abi::Level;
use serde::{Deserialize, Serialize};

use super::blocks::{Blocks, Input};
use super::draw::Callee;
use super::tested::Tested;
use super::{What, words};
use crate::functions::Number;
use guest_host::{AllocationStats, Cause, Failure, Guest, Replaced, TraceEntry, Val};

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
    /// The memory blocks: those of a stage's input and result, and the counts of attachments.
    Blocks,
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
            Self::Blocks => "the state of the memory blocks",
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
    pub(super) blocks: Blocks,
    pub(super) pages: u64,
    /// It was not followed by a restore in place.
    pub(super) unrestorable: bool,
}

impl Observed {
    /// Calls a function, with a block of this input if it is a stage. Its intents are not applied.
    pub(super) fn of(instance: &mut dyn Tested, callee: Callee<'_>, input: Option<&Input>) -> Self {
        let (mut values, mut intents) = (Vec::new(), Vec::new());
        let before = instance.block_counts();
        let (called, blocks) = if callee.is_stage {
            let block = input.map(|input| instance.block(input));
            let called = instance.call_stage(callee.function, block.clone());
            let (called, result) = match called {
                Ok(result) => (Ok(()), result),
                Err(failure) => (Err(failure), None),
            };
            (called, Blocks::of(instance, before, block.as_ref(), result))
        } else {
            let called = instance.invoke(callee.function).map(|outcome| {
                values = outcome.results().iter().map(Returned::of).collect();
                intents = outcome.intent_bytes().to_vec();
            });
            (called, Blocks::of(instance, before, None, None))
        };
        let (result, timed_out, cut_off) = match called {
            Ok(()) => (Ok(()), false, false),
            Err(Failure { cause, .. }) => {
                let timed_out = matches!(cause, Cause::DeadlineExceeded { .. });
                let cut_off = timed_out || matches!(cause, Cause::InstructionsExceeded { .. });
                (Err(CauseOfFailure { kind: cause.kind(), message: cause.to_string() }), timed_out, cut_off)
            }
        };
        let instance = instance.instance();
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
            blocks,
            pages: stats.pages,
            // Who gives memory back could have been restored.
            unrestorable: stats.restored_bytes.is_none() && stats.replaced != Some(Replaced::Shrunk),
        }
    }

    /// Reports in which aspects `found` differs from `self`, which a fresh instance gave. Where both were cut off, only the result is
    /// compared, and whether the input was given back; a call that was cut off on one side only must not be compared at all.
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
            let input = [&self.blocks.input, &found.blocks.input].map(Option::as_ref);
            if let Some(words) = words::given_back(input) {
                differ(Aspect::Blocks, words);
            }
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
        let blocks = &found.blocks;
        let (expected, found) = (comparable(self.allocations), comparable(found.allocations));
        if expected != found {
            differ(Aspect::Allocations, words::counts(expected, found));
        }
        if let Some(words) = words::blocks(&self.blocks, blocks) {
            differ(Aspect::Blocks, words);
        }
    }
}
