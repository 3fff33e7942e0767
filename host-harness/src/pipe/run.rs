//! A run of a pipeline: a thread for each stage.

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use guest_host::blocks::{Block, Counts, PublishError};
use guest_host::{Instance, MemoryState};

use super::config::{OnFailure, SOURCE, StageConfig};
use super::error::PipeError;
use super::link::{Input, NotHandedOn, Output, Received, link};
use super::pipeline::{Observer, Pipeline, Stage, load_error};
use super::queue::Figures;
use super::report::{PipeReport, QueueReport, StageReport};
use super::source::{Frames, Source};
use crate::measure::FailedCall;

/// Runs a pipeline to its end.
pub(super) fn run(pipeline: &Pipeline, observer: &dyn Observer) -> Result<PipeReport, PipeError> {
    let source = &pipeline.config.source;
    let mapped_from = pipeline.stages.iter().map(|stage| stage.instance.limits.blocks_mapped_from).min();
    let frames = source.open(mapped_from.unwrap_or(u32::MAX)).map_err(|error| unreadable(source, error))?;
    let shared = Shared { observer, is_stopped: AtomicBool::new(false) };
    let (output, workers) = workers(pipeline, &shared)?;
    let mut report = PipeReport::default();
    let begun = Instant::now();
    let (read, ended) = thread::scope(|scope| {
        let running: Vec<_> = workers.into_iter().map(|worker| scope.spawn(|| worker.run())).collect();
        let read = feed(frames, output, &shared, &mut report);
        let ended = running.into_iter().map(|stage| stage.join().unwrap_or_else(|panic| resume_unwind(panic)));
        (read, ended.collect::<Vec<_>>())
    });
    report.elapsed_ns = nanoseconds_since(begun);
    read.map_err(|error| unreadable(source, error))?;
    if let (0, Source::File { path, .. }) = (report.frames, source) {
        report.notes.push(format!("no frame was read: {} is empty", path.display()));
    }
    let per_second = u128::from(report.bytes) * 1_000_000_000 / u128::from(report.elapsed_ns.max(1));
    report.bytes_per_second = u64::try_from(per_second).unwrap_or(u64::MAX);
    // The instances go away here, when the time has been taken.
    report.stages = ended.into_iter().map(|(stage, _instance)| stage).collect();
    Ok(report)
}

/// Belongs to the source and to all stages.
struct Shared<'a> {
    observer: &'a dyn Observer,
    /// Whether a failure has stopped the pipeline.
    is_stopped: AtomicBool,
}

/// Stops the pipeline if the thread panics, as the observer may: a source without takers would go on for nobody.
struct StopsOnPanic<'a>(&'a AtomicBool);

impl Drop for StopsOnPanic<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}

/// The output of the source, and the stages with their instances and links.
fn workers<'a>(pipeline: &'a Pipeline, shared: &'a Shared<'a>) -> Result<(Output, Vec<Worker<'a>>), PipeError> {
    let stages = &pipeline.stages;
    let link_from = |from: Option<usize>| {
        let takers = stages.iter().filter(|stage| stage.from == from).map(|stage| &stage.config);
        link(&takers.collect::<Vec<_>>())
    };
    // The source first, then the stages. The inputs of each are in the order of their stages.
    let producers = std::iter::once(None).chain((0..stages.len()).map(Some));
    let (outputs, inputs): (Vec<_>, Vec<_>) = producers.map(link_from).unzip();
    let mut inputs: Vec<_> = inputs.into_iter().map(Vec::into_iter).collect();
    let mut outputs = outputs.into_iter();
    let source = outputs.next().unwrap_or(Output::Nobody);
    let mut workers = Vec::new();
    for (stage, output) in stages.iter().zip(outputs) {
        // Each stage is a taker of its producer.
        let Some(input) = inputs[stage.from.map_or(0, |at| at + 1)].next() else { continue };
        let instance = stage.guest.instantiate(&stage.instance, MemoryState::new());
        let instance = instance.map_err(|error| load_error(&stage.config, error.in_file(&stage.config.module)))?;
        let report = stage_report(stage, stage.from.map_or(SOURCE, |at| stages[at].config.name()));
        workers.push(Worker { stage, instance, input, output, shared, counts: Counts::default(), report });
    }
    Ok((source, workers))
}

/// The report of a stage that has made no call.
fn stage_report(stage: &Stage, from: &str) -> StageReport {
    let StageConfig { function, queue, when_full, on_failure, .. } = &stage.config;
    StageReport {
        stage: stage.config.name().to_owned(),
        guest: stage.guest.name().to_owned(),
        function: function.clone(),
        from: from.to_owned(),
        on_failure: *on_failure,
        queue: QueueReport { capacity: (*queue).max(1), when_full: *when_full, ..QueueReport::default() },
        ..StageReport::default()
    }
}

fn unreadable(source: &Source, error: std::io::Error) -> PipeError {
    let path = match source {
        Source::File { path, .. } => path.clone(),
        _ => SOURCE.into(),
    };
    PipeError::Unreadable { path, source: error }
}

/// Hands the frames of the source over, until it ends or the pipeline stops.
fn feed(mut frames: Frames<'_>, output: Output, shared: &Shared<'_>, report: &mut PipeReport) -> std::io::Result<()> {
    while !shared.is_stopped.load(Ordering::Relaxed) {
        let Some(block) = frames.next(output.is_shared())? else { break };
        let bytes = u64::from(block.size());
        match output.hand_on(block) {
            Ok(()) => {
                report.frames += 1;
                report.bytes += bytes;
            }
            Err(NotHandedOn::Refused) => report.refused += 1,
            // Its frames are shared where they must be.
            Err(NotHandedOn::Gone | NotHandedOn::Unfit(_)) => break,
        }
        shared.observer.frame();
    }
    Ok(())
}

/// A stage that runs.
struct Worker<'a> {
    stage: &'a Stage,
    instance: Instance,
    input: Input,
    output: Output,
    shared: &'a Shared<'a>,
    /// The counts of the instance after the last call.
    counts: Counts,
    report: StageReport,
}

impl Worker<'_> {
    /// Handles blocks until its input ends, or a failure stops the pipeline. The ends of its links go away with it.
    fn run(mut self) -> (StageReport, Instance) {
        let _guard = StopsOnPanic(&self.shared.is_stopped);
        loop {
            let begun = Instant::now();
            let received = self.input.receive();
            self.report.input_wait_ns += nanoseconds_since(begun);
            let Some(received) = received else { break };
            let Err(failure) = self.handle(received) else { continue };
            self.report.failed_calls += 1;
            self.report.failure.get_or_insert(failure);
            if self.stage.config.on_failure == OnFailure::Stop {
                self.report.stopped = true;
                self.shared.is_stopped.store(true, Ordering::Relaxed);
                break;
            }
        }
        let Figures { delivered, dropped, most_queued } = self.input.figures();
        let queue = &mut self.report.queue;
        (queue.delivered, queue.dropped, queue.most_queued) = (delivered, dropped, most_queued);
        self.instance.config().strategy.name().clone_into(&mut self.report.strategy);
        (self.report, self.instance)
    }

    /// Calls the guest with a block, and hands the returned one on.
    fn handle(&mut self, received: Received) -> Result<(), FailedCall> {
        self.report.calls += 1;
        let begun = Instant::now();
        let returned = self.instance.call_stage(self.stage.function, Some(received.block().clone()));
        self.report.call_ns += nanoseconds_since(begun);
        drop(received);
        self.count();
        for (level, line) in self.instance.last_log() {
            self.shared.observer.log(&self.report.stage, level, line);
        }
        match returned {
            Ok(Some(block)) => self.hand_on(block),
            Ok(None) => Ok(()),
            Err(failure) => Err(FailedCall::of(&failure, self.report.calls)),
        }
    }

    fn hand_on(&mut self, block: Block) -> Result<(), FailedCall> {
        self.shared.observer.returned(&self.report.stage, &block);
        let begun = Instant::now();
        let handed_on = self.output.hand_on(block);
        self.report.output_wait_ns += nanoseconds_since(begun);
        match handed_on {
            Ok(()) => self.report.published += 1,
            Err(NotHandedOn::Refused) => self.report.refused += 1,
            Err(NotHandedOn::Gone) => {}
            Err(NotHandedOn::Unfit(error)) => {
                let (cause, message) = unfit(&self.report.stage, &error);
                return Err(FailedCall::by_host(cause, message, self.report.calls));
            }
        }
        Ok(())
    }

    /// Adds the bytes of the last call.
    fn count(&mut self) {
        let before = std::mem::replace(&mut self.counts, self.instance.block_counts());
        self.report.handed_over_bytes += self.counts.handed_over - before.handed_over;
        self.report.copied_bytes += self.counts.copied - before.copied;
        self.report.mapped += self.counts.mapped - before.mapped;
    }
}

/// The cause and the message of a block that several stages cannot have.
fn unfit(stage: &str, error: &PublishError) -> (&'static str, String) {
    match error {
        PublishError::NotShared => (
            "not-shared",
            format!(
                "several stages take from `{stage}`, and the block that it returned is not shared; in the guest, write it with \
                 `write_shared`"
            ),
        ),
        PublishError::NothingToRead => (
            "nothing-to-read",
            format!(
                "several stages take from `{stage}`, and the block that it returned has nothing to read; publish bytes in it"
            ),
        ),
        error => {
            ("not-published", format!("several stages take from `{stage}`, and its block was not published: {error}"))
        }
    }
}

fn nanoseconds_since(begun: Instant) -> u64 {
    u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX)
}
