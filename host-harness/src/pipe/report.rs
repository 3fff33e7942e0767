//! The figures of a run, as reports hold them. The JSON report has these fields under these names.

use serde::{Deserialize, Serialize};

use super::config::{OnFailure, WhenFull};
use crate::measure::FailedCall;

/// The findings of `pipe`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct PipeReport {
    /// Frames that the source handed over.
    pub frames: u64,
    /// Bytes of these frames.
    pub bytes: u64,
    /// Frames that no stage got, because the queue of one was full and refuses.
    pub refused: u64,
    /// Nanoseconds from the first frame until the last stage ended. Loading modules and making instances is not in it.
    pub elapsed_ns: u64,
    /// Bytes of frames that the pipeline handled in a second.
    pub bytes_per_second: u64,
    /// The stages, in the order of the file.
    pub stages: Vec<StageReport>,
    /// Notes for the reader.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// The figures of a stage.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct StageReport {
    /// Its name.
    pub stage: String,
    /// The guest.
    pub guest: String,
    /// The guest's function.
    pub function: String,
    /// The stage that it takes from, or `source`.
    pub from: String,
    /// How its instance was restored at the end.
    pub strategy: String,
    /// The action if a call fails.
    pub on_failure: OnFailure,
    /// Calls that were made.
    pub calls: u64,
    /// Calls that failed, and calls whose block could not be handed on.
    pub failed_calls: u64,
    /// Blocks that calls returned and that were handed on. If no stage takes from this one, they are counted all the same.
    pub published: u64,
    /// Blocks that no stage got, because the queue of one was full and refuses.
    pub refused: u64,
    /// Bytes that the guest published in blocks, or attached to read.
    pub handed_over_bytes: u64,
    /// Bytes that were copied for it.
    pub copied_bytes: u64,
    /// Attachments for which pages were mapped.
    #[serde(default)]
    pub mapped: u64,
    /// Nanoseconds in the guest's calls, with the restores.
    pub call_ns: u64,
    /// Nanoseconds in which the stage waited for a block.
    pub input_wait_ns: u64,
    /// Nanoseconds in which the stage waited for room in the queues of others.
    pub output_wait_ns: u64,
    /// Its queue.
    pub queue: QueueReport,
    /// Its first failure; null if no call failed.
    pub failure: Option<FailedCall>,
    /// Whether a failure stopped the pipeline here.
    pub stopped: bool,
}

/// The figures of a stage's queue.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct QueueReport {
    /// The most blocks that it can have.
    pub capacity: u32,
    /// The action if it is full.
    pub when_full: WhenFull,
    /// Blocks that the stage received.
    pub delivered: u64,
    /// Blocks that the queue dropped.
    pub dropped: u64,
    /// The most blocks that it had.
    pub most_queued: u64,
}

impl PipeReport {
    /// Whether no failure stopped the pipeline. Failures that a stage skips do not count.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.stages.iter().all(|stage| !stage.stopped)
    }
}
