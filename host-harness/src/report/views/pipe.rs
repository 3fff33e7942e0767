//! How a run of a pipeline reads: the whole, and for each stage its work, its time and its queue.

use super::super::numbers::{bytes, grouped, or_dash, time};
use super::super::section::{Body, Section, Table};
use crate::pipe::{OnFailure, PipeReport, StageReport};

pub(in super::super) fn sections(report: &PipeReport) -> Vec<Section> {
    let mut sections = vec![whole(report), stages(report), work(report), queues(report)];
    sections.extend(super::notes(&report.notes));
    sections
}

fn whole(report: &PipeReport) -> Section {
    let mut facts = vec![
        ("frames", format!("{}, {}", grouped(report.frames), bytes(report.bytes))),
        ("time", nanoseconds(report.elapsed_ns)),
        ("throughput", format!("{} per second", bytes(report.bytes_per_second))),
    ];
    if report.refused > 0 {
        facts.insert(1, ("refused frames", grouped(report.refused)));
    }
    if let Some(stage) = report.stages.iter().find(|stage| stage.stopped) {
        facts.insert(0, ("result", format!("FAILED: stopped by the stage `{}`", stage.stage)));
    }
    Section::facts("Pipeline", facts)
}

fn stages(report: &PipeReport) -> Section {
    let mut table = Table::new(&["stage", "from"], &["calls", "failed", "published", "refused"]).word("strategy");
    let mut remarks = Vec::new();
    for stage in &report.stages {
        table.row([
            stage.stage.clone(),
            stage.from.clone(),
            grouped(stage.calls),
            grouped(stage.failed_calls),
            grouped(stage.published),
            grouped(stage.refused),
            stage.strategy.clone(),
        ]);
        remarks.extend(failure(stage));
    }
    Section::new("Stages", Body::Table(table)).remarks(remarks)
}

/// The first failure of a stage.
fn failure(stage: &StageReport) -> Option<String> {
    let failure = stage.failure.as_ref()?;
    let on_failure = match stage.on_failure {
        OnFailure::Stop => "the pipeline stopped",
        OnFailure::Skip if stage.failed_calls == 1 => "the stage skipped the block",
        OnFailure::Skip => "the stage skipped this block and others",
    };
    Some(format!("{}: call {}: {} ({}); {on_failure}", stage.stage, failure.call, failure.message, failure.cause))
}

fn work(report: &PipeReport) -> Section {
    let figures = ["handed over", "copied", "mapped", "in calls", "per call", "idle", "blocked"];
    let mut table = Table::new(&["stage"], &figures);
    for stage in &report.stages {
        table.row([
            stage.stage.clone(),
            bytes(stage.handed_over_bytes),
            bytes(stage.copied_bytes),
            grouped(stage.mapped),
            nanoseconds(stage.call_ns),
            or_dash(stage.call_ns.checked_div(stage.calls), nanoseconds),
            nanoseconds(stage.input_wait_ns),
            nanoseconds(stage.output_wait_ns),
        ]);
    }
    let explained = "idle: the stage waited for blocks; blocked: it waited for room in the queues of others".to_owned();
    Section::new("Bytes and time", Body::Table(table)).remarks([explained])
}

fn queues(report: &PipeReport) -> Section {
    let figures = ["room", "delivered", "dropped", "longest"];
    let mut table = Table::new(&["queue of", "if full"], &figures);
    for StageReport { stage, queue, .. } in &report.stages {
        let mut cells = vec![stage.clone(), queue.when_full.name().to_owned(), grouped(queue.capacity.into())];
        cells.extend([queue.delivered, queue.dropped, queue.most_queued].map(grouped));
        table.row(cells);
    }
    Section::new("Queues", Body::Table(table))
}

#[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
fn nanoseconds(count: u64) -> String {
    time(count as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::FailedCall;

    fn text(report: &PipeReport) -> String {
        format!("{:?}", sections(report))
    }

    #[test]
    fn failures_have_remarks() {
        let mut stage =
            StageReport { stage: "blend".to_owned(), calls: 9, copied_bytes: 2048, ..StageReport::default() };
        let report = |stage: &StageReport| PipeReport { stages: vec![stage.clone()], ..PipeReport::default() };
        let said = text(&report(&stage));
        assert!(said.contains("2 KiB") && !said.contains("FAILED"), "{said}");

        (stage.failed_calls, stage.stopped) = (1, true);
        stage.failure = Some(FailedCall::by_host("not-shared", "it is not".to_owned(), 9));
        let said = text(&report(&stage));
        assert!(said.contains("FAILED: stopped by the stage `blend`"), "{said}");
        assert!(said.contains("blend: call 9: it is not (not-shared); the pipeline stopped"), "{said}");

        (stage.on_failure, stage.stopped) = (OnFailure::Skip, false);
        let said = text(&report(&stage));
        assert!(said.contains("the stage skipped the block"), "{said}");
    }
}
