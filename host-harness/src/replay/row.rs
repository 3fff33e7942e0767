//! A row of the table, as reports hold it. The JSON report has these fields under these names.

use serde::{Deserialize, Serialize};

use super::TraceFile;
use crate::measure::{FailedCall, Spread};

/// The requests of a trace, independent of the allocator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct TraceSummary {
    /// The trace's name: [`ReplayRow::trace`].
    pub trace: String,
    /// Operations of any kind.
    pub operations: u64,
    /// Allocations among them.
    pub allocations: u64,
    /// Frees among them.
    pub frees: u64,
    /// Reallocations among them.
    pub reallocations: u64,
    /// Most bytes alive at one time.
    pub peak_live_bytes: u64,
    /// Most blocks alive at one time.
    pub peak_live_blocks: u64,
    /// Bytes alive at the end.
    pub live_bytes: u64,
}

impl TraceSummary {
    /// The summary of a trace.
    #[must_use]
    pub fn of(file: &TraceFile) -> Self {
        let summary = file.trace.summary();
        Self {
            trace: file.name.clone(),
            operations: summary.operations,
            allocations: summary.allocations,
            frees: summary.frees,
            reallocations: summary.reallocations,
            peak_live_bytes: summary.peak_live_bytes,
            peak_live_blocks: summary.peak_live_blocks,
            live_bytes: summary.live_bytes,
        }
    }
}

/// The result of replaying one trace with one allocator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ReplayRow {
    /// The trace.
    pub trace: String,
    /// The allocator.
    pub allocator: String,
    /// Counts on a fresh instance; null if the replay failed.
    pub counts: Option<ReplayCounts>,
    /// Times; null when the replay failed.
    pub times: Option<ReplayTimes>,
    /// Why there are no figures.
    pub failure: Option<FailedCall>,
}

impl ReplayRow {
    /// A row without figures.
    #[must_use]
    pub fn new(trace: &str, allocator: &str) -> Self {
        Self { trace: trace.to_owned(), allocator: allocator.to_owned(), counts: None, times: None, failure: None }
    }
}

/// The counts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ReplayCounts {
    /// Allocations and reallocations that the allocator refused. The replay goes on: what was not given is not freed
    /// either, and what could not grow keeps its size.
    pub failed_operations: u64,
    /// Most bytes that were asked for, given, and alive at one time.
    pub peak_live_bytes: u64,
    /// Bytes alive at the end.
    pub live_bytes: u64,
    /// Pages of 64 KiB that memory had at the end, which is the most that it had.
    pub pages: u64,
    /// Bytes of those pages that are the heap's: without shadow stack and statics, the exchange region, and the table in
    /// which the guest finds its blocks. Null where the module does not tell where its heap begins.
    pub heap_bytes: Option<u64>,
    /// `heap_bytes` divided by `peak_live_bytes`; null where either is not known or 0.
    pub fragmentation: Option<f64>,
}

/// Times, in nanoseconds for each operation of the trace.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ReplayTimes {
    /// Replays that were timed; percentiles are over them.
    pub repeats: u64,
    /// An operation as it was replayed: read from the trace, allocated, written to, checked, freed.
    pub operation: Spread,
    /// The part of it that is not the allocator's: the same operation without allocating, writing and checking.
    pub walk: Spread,
}

/// How many times `part` the whole is.
#[expect(clippy::cast_precision_loss, reason = "sizes of memories with 32-bit addresses")]
pub(super) fn ratio(whole: u64, part: u64) -> Option<f64> {
    (part > 0).then(|| (whole as f64 / part as f64 * 1e4).round() / 1e4)
}
