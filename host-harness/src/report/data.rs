//! The data of reports, as JSON has them. Measured rows are [`crate::measure::Row`]s, inspections
//! [`crate::inspect::Inspection`]s, the figures of a call [`CallStats`], and findings of verification the types of
//! [`crate::verify`].

use serde::{Deserialize, Serialize};

use crate::advice::{Advice, advice};
use crate::functions::Number;
use crate::inspect::built_with;
use crate::intent_report::IntentReport;
use crate::measure::{FailedCall, MemoryMap, MemorySeries, Noise, Row, Spread, way};
use crate::replay::{Numbering, ReplayRow, TraceSummary};
use crate::report::recommend::Recommendation;
use crate::verify::{
    AllowFailing, BrokenRules, Compared, Difference, NeverSucceeded, RegionFinding, RingOptions, Skipped, Unsuspended,
    Verdict,
};
use guest_host::{Arguments, CallStats, Guest, InstanceConfig, Residue, RestoreStrategy};

/// How instances were made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Settings {
    /// Bytes of linear memory that an instance may have.
    pub memory_limit: u64,
    /// Nanoseconds that a call may take; null for ever.
    pub deadline_ns: Option<u64>,
    /// Bytes of the exchange region; null for what is usual under each guest's contract.
    pub exchange_size: Option<u32>,
    /// Whether guests grow virtually.
    pub virtual_growth: bool,
    /// Arguments of functions of bare modules, by the function's name.
    #[serde(default)]
    pub arguments: Arguments,
    /// Bytes from which memory blocks are mapped where they can be; null if they are copied.
    #[serde(default)]
    pub map_blocks_from: Option<u32>,
    /// The ring in which stages got blocks; null for none.
    #[serde(default)]
    pub ring: Option<RingOptions>,
}

impl Settings {
    /// The settings of this configuration, without a ring.
    #[must_use]
    pub fn of(config: &InstanceConfig, virtual_growth: bool) -> Self {
        Self {
            memory_limit: config.memory_limit,
            deadline_ns: config.deadline.map(|deadline| u64::try_from(deadline.as_nanos()).unwrap_or(u64::MAX)),
            exchange_size: config.exchange_size,
            virtual_growth,
            arguments: config.arguments.clone(),
            map_blocks_from: Some(config.limits.blocks_mapped_from).filter(|bytes| *bytes != u32::MAX),
            ring: None,
        }
    }
}

/// A guest that was measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct GuestSummary {
    /// Its name: [`Row::guest`].
    pub guest: String,
    /// Its allocator.
    pub allocator: String,
    /// Bytes of the module without custom sections.
    pub wasm_bytes: u64,
    /// Bytes of its statics; null where the module does not tell.
    pub statics_bytes: Option<u64>,
    /// The tools that made it, as the module names them.
    pub built_with: Vec<String>,
    /// Strategies that cannot restore it, and why.
    pub not_admitted: Vec<NotAdmitted>,
    /// Advice on how it is built.
    #[serde(default)]
    pub advice: Vec<Advice>,
}

/// A strategy that cannot restore a guest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct NotAdmitted {
    /// The strategy.
    pub strategy: String,
    /// Why not, and what happens instead.
    pub reasons: Vec<String>,
}

impl GuestSummary {
    /// The summary of a guest with this allocator.
    #[must_use]
    pub fn of(guest: &Guest, allocator: String) -> Self {
        let statics = guest.admission().layout.as_ref().map(|layout| layout.statics.clone());
        Self {
            guest: guest.name().to_owned(),
            allocator,
            wasm_bytes: guest.info().sizes.stripped,
            statics_bytes: statics.map(|statics| u64::from(statics.end - statics.start)),
            built_with: built_with(guest.info()),
            not_admitted: Vec::new(),
            advice: advice(guest.info()),
        }
    }
}

/// The findings of `measure` and `compare`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct MeasureReport {
    /// How instances were made.
    pub settings: Settings,
    /// Time of wasmtime's typed call of an empty function `() -> i64`, epoch deadline armed, in nanoseconds.
    pub bare_call: Spread,
    /// How much the machine changed its speed, in the function where that was worst; null where nothing was timed.
    #[serde(default)]
    pub noise: Option<Noise>,
    /// Cost of reading the clock, in nanoseconds; already subtracted from the figures.
    pub clock_cost: f64,
    /// The guests.
    pub guests: Vec<GuestSummary>,
    /// The measured rows.
    pub rows: Vec<Row>,
    /// Findings of verification, for each guest and way of restoring; empty if nothing was verified.
    pub verdicts: Vec<VerdictReport>,
    /// Memory over many calls on one instance, with a restore and without.
    #[serde(default)]
    pub series: Vec<MemorySeries>,
    /// The regions of each guest's memory, and what each way of restoring puts back of them.
    #[serde(default)]
    pub memory_maps: Vec<MemoryMap>,
    /// Notes for the reader, for instance about what was skipped.
    pub notes: Vec<String>,
    /// The answers: which guest to take and how to restore it, for each group of guests with the same functions.
    #[serde(default)]
    pub recommendations: Vec<Recommendation>,
    /// Functions whose calls may fail without making the report fail.
    #[serde(default)]
    pub allow_failing: AllowFailing,
}

impl MeasureReport {
    /// A report without rows.
    #[must_use]
    pub fn new(settings: Settings, clock_cost: f64) -> Self {
        Self {
            settings,
            bare_call: Spread::default(),
            noise: None,
            clock_cost,
            guests: Vec::new(),
            rows: Vec::new(),
            verdicts: Vec::new(),
            series: Vec::new(),
            memory_maps: Vec::new(),
            notes: Vec::new(),
            recommendations: Vec::new(),
            allow_failing: AllowFailing::None,
        }
    }

    /// The functions of its rows, each once, in the order of the rows.
    #[must_use]
    pub fn functions(&self) -> Vec<&str> {
        functions(&self.rows, |_| true)
    }

    /// The functions of a guest's rows, each once, in the order of the rows.
    #[must_use]
    pub fn functions_of(&self, guest: &str) -> Vec<&str> {
        functions(&self.rows, |row| row.guest == guest)
    }

    /// Whether no call failed that may not, and no check did.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.rows.iter().all(|row| row.failure.is_none() || self.allow_failing.allows(&row.function))
            && self.verdicts.iter().all(|verdict| verdict.passed)
    }
}

/// The functions of some of these rows, each once, in the order of the rows.
fn functions(rows: &[Row], of: impl Fn(&Row) -> bool) -> Vec<&str> {
    let mut functions: Vec<&str> = Vec::new();
    for row in rows.iter().filter(|row| of(row)) {
        if !functions.contains(&row.function.as_str()) {
            functions.push(&row.function);
        }
    }
    functions
}

/// The findings of `verify`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct VerifyReport {
    /// How instances were made.
    pub settings: Settings,
    /// A verdict for each guest and way of restoring.
    pub verdicts: Vec<VerdictReport>,
    /// Notes for the reader, for instance about functions that were skipped.
    #[serde(default)]
    pub notes: Vec<String>,
}

impl VerifyReport {
    /// A report of these verdicts.
    #[must_use]
    pub fn new(settings: Settings, verdicts: Vec<VerdictReport>) -> Self {
        Self { settings, verdicts, notes: Vec::new() }
    }
}

/// The findings of verification about one guest and one way of restoring.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct VerdictReport {
    /// The guest.
    pub guest: String,
    /// Its allocator.
    pub allocator: String,
    /// The strategy.
    pub strategy: String,
    /// `scrub` or `keep`; null where the strategy leaves no residue.
    pub residue: Option<String>,
    /// Seed of the sequence of calls.
    pub seed: u64,
    /// Calls that were compared with those of fresh instances.
    pub calls: u64,
    /// Calls among them that failed, in the same way on both sides.
    pub failed_calls: u64,
    /// Calls that were skipped, as they ended by the deadline on one side only.
    #[serde(default)]
    pub skipped_calls: u64,
    /// Whether nothing differed, and each function that was called was compared and succeeded at least once, unless it may
    /// fail.
    pub passed: bool,
    /// Differences; equal ones of one function stand once, with the number of calls.
    pub differences: Vec<Difference>,
    /// How each region of memory looked after the restores; empty where every call had a new instance.
    #[serde(default)]
    pub regions: Vec<RegionFinding>,
    /// Functions of which calls were skipped.
    #[serde(default)]
    pub inconclusive: Vec<Skipped>,
    /// The functions and stages of which calls were compared; empty in reports of earlier versions.
    #[serde(default)]
    pub functions: Vec<Compared>,
    /// Functions of which no call succeeded.
    #[serde(default)]
    pub never_succeeded: Vec<NeverSucceeded>,
    /// Functions that broke the rules of memory blocks in some calls.
    #[serde(default)]
    pub broken_rules: Vec<BrokenRules>,
    /// Whether the time limit ended it before all calls were made.
    #[serde(default)]
    pub ended_early: bool,
    /// Functions that were not called before the time limit.
    #[serde(default)]
    pub not_called: Vec<String>,
    /// Times that the instance was suspended and resumed, if that was verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspensions: Option<u64>,
    /// Calls after which it could not be suspended, if there were some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unsuspended: Option<Unsuspended>,
    /// Why nothing could be verified; null when it could.
    pub error: Option<String>,
}

impl VerdictReport {
    /// The verdict on a guest with this allocator and residue.
    #[must_use]
    pub fn of(guest: &str, allocator: &str, residue: Option<Residue>, verdict: &Verdict) -> Self {
        Self {
            guest: guest.to_owned(),
            allocator: allocator.to_owned(),
            strategy: verdict.strategy.clone(),
            residue: residue.map(|residue| residue.name().to_owned()),
            seed: verdict.seed,
            calls: verdict.calls,
            failed_calls: verdict.failures,
            skipped_calls: verdict.skipped_calls(),
            passed: verdict.passed(),
            differences: verdict.differences.clone(),
            regions: verdict.regions.clone(),
            inconclusive: verdict.skipped.clone(),
            functions: verdict.functions.clone(),
            never_succeeded: verdict.never_succeeded.clone(),
            broken_rules: verdict.broken_rules.clone(),
            ended_early: verdict.ended_early,
            not_called: verdict.not_called.clone(),
            suspensions: verdict.suspensions,
            unsuspended: verdict.unsuspended.clone(),
            error: None,
        }
    }

    /// Whether it proves that calls of this function behave as on a fresh instance: nothing differed, for no function, and
    /// calls of this one were compared and succeeded, unless they may fail.
    #[must_use]
    pub fn proves(&self, function: &str) -> bool {
        self.error.is_none()
            && self.differences.is_empty()
            && !self.inconclusive.iter().any(|skipped| skipped.function == function && skipped.compared == 0)
            && !self.never_succeeded.iter().any(|failing| failing.function == function && !failing.allowed)
            && !self.not_called.iter().any(|name| name == function)
    }

    /// The verdict in a word, and a line for each thing that was found.
    #[must_use]
    pub fn findings(&self) -> (&'static str, Vec<String>) {
        super::views::verify::findings(self)
    }

    /// Strategy and residue in one, for instance `bump-reset, keep`, and whether suspensions were verified.
    #[must_use]
    pub fn way(&self) -> String {
        let way = way(&self.strategy, self.residue.as_deref());
        if self.suspensions.is_some() { format!("{way}, suspended") } else { way }
    }

    /// That nothing could be verified.
    #[must_use]
    pub fn not_verified(
        guest: &str,
        allocator: &str,
        strategy: &str,
        residue: Option<Residue>,
        seed: u64,
        error: &dyn std::fmt::Display,
    ) -> Self {
        Self {
            guest: guest.to_owned(),
            allocator: allocator.to_owned(),
            strategy: strategy.to_owned(),
            residue: residue.map(|residue| residue.name().to_owned()),
            seed,
            calls: 0,
            failed_calls: 0,
            skipped_calls: 0,
            passed: false,
            differences: Vec::new(),
            regions: Vec::new(),
            inconclusive: Vec::new(),
            functions: Vec::new(),
            never_succeeded: Vec::new(),
            broken_rules: Vec::new(),
            ended_early: false,
            not_called: Vec::new(),
            suspensions: None,
            unsuspended: None,
            error: Some(error.to_string()),
        }
    }
}

/// The findings of `replay`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ReplayReport {
    /// How instances were made.
    pub settings: Settings,
    /// How the instance was restored before each replay.
    pub strategy: String,
    /// The number of a trace's first allocation: 0 or 1.
    pub count_from: u32,
    /// The requests of the traces.
    pub traces: Vec<TraceSummary>,
    /// A row for each trace and allocator.
    pub rows: Vec<ReplayRow>,
    /// Notes for the reader, for instance about what was skipped.
    pub notes: Vec<String>,
}

impl ReplayReport {
    /// A report without rows.
    #[must_use]
    pub fn new(settings: Settings, strategy: RestoreStrategy, numbering: Numbering) -> Self {
        Self {
            settings,
            strategy: strategy.name().to_owned(),
            count_from: numbering.first(),
            traces: Vec::new(),
            rows: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Whether every replay came to its end. What an allocator refused is a figure and no failure.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.rows.iter().all(|row| row.failure.is_none())
    }
}

/// The findings of `run`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct RunReport {
    /// The guest.
    pub guest: String,
    /// The function.
    pub function: String,
    /// How the instance is restored.
    pub strategy: String,
    /// When.
    pub policy: String,
    /// The treatment of residue.
    pub residue: String,
    /// How the instance was made.
    pub settings: Settings,
    /// Calls that were made.
    pub times: u64,
    /// Calls that failed.
    pub failed_calls: u64,
    /// The calls in order: all of them, or the first ones and the last.
    pub calls: Vec<CallReport>,
}

impl RunReport {
    /// The report of a run of which no call was made yet.
    #[must_use]
    pub fn new(guest: &str, function: &str, config: &InstanceConfig, virtual_growth: bool) -> Self {
        Self {
            guest: guest.to_owned(),
            function: function.to_owned(),
            strategy: config.strategy.name().to_owned(),
            policy: config.policy.to_string(),
            residue: config.residue.name().to_owned(),
            settings: Settings::of(config, virtual_growth),
            times: 0,
            failed_calls: 0,
            calls: Vec::new(),
        }
    }
}

/// One call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct CallReport {
    /// Its number, from 1.
    pub call: u64,
    /// Why it failed; null when it succeeded.
    pub failure: Option<FailedCall>,
    /// Names of the functions on the guest's stack when it failed, innermost first.
    pub backtrace: Vec<String>,
    /// The numbers that it returned; null for extension functions, and if it failed.
    #[serde(default)]
    pub results: Option<Vec<Number>>,
    /// The intents that it left, in order.
    pub intents: Vec<IntentReport>,
    /// Its log lines.
    pub log: Vec<LogReport>,
    /// Log lines that were cut off or dropped.
    pub log_dropped: u64,
    /// The end of its output through WASI, with bytes that are not UTF-8 replaced.
    #[serde(default)]
    pub output: String,
    /// Bytes of output before that.
    #[serde(default)]
    pub output_dropped: u64,
    /// Its counters; null if it failed.
    pub counters: Option<CallStats>,
}

impl CallReport {
    /// The report of a call of which nothing is known yet.
    #[must_use]
    pub fn new(call: u64) -> Self {
        Self {
            call,
            failure: None,
            backtrace: Vec::new(),
            results: None,
            intents: Vec::new(),
            log: Vec::new(),
            log_dropped: 0,
            output: String::new(),
            output_dropped: 0,
            counters: None,
        }
    }
}

/// An artefact that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct CompileReport {
    /// The guest.
    pub guest: String,
    /// The artefact's file.
    pub file: String,
    /// Bytes of the module.
    pub module_bytes: u64,
    /// Bytes of the artefact.
    pub artefact_bytes: u64,
    /// Whether it is sealed, so that its code can be trusted by the key.
    pub sealed: bool,
}

impl CompileReport {
    /// Of an artefact in this file, which was made of a module of so many bytes.
    #[must_use]
    pub fn new(guest: &str, file: &std::path::Path, module_bytes: u64, artefact_bytes: u64, sealed: bool) -> Self {
        let (guest, file) = (guest.to_owned(), file.display().to_string());
        Self { guest, file, module_bytes, artefact_bytes, sealed }
    }
}

/// A log line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LogReport {
    /// `error`, `warn`, `info`, `debug` or `trace`.
    pub level: String,
    /// The line.
    pub line: String,
}
