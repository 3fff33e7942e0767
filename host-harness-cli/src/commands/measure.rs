//! `measure`.

use anyhow::Result;
use host_harness::recommend::recommend;
use host_harness::report::Content;

use super::memory;
use super::starving;
use super::table::{Job, table};
use crate::arguments::{Common, Measure};
use crate::source;

pub(crate) fn run(arguments: &Measure, common: &Common) -> Result<Option<Content>> {
    let files = source::guests(&arguments.guests)?;
    let state = source::state(arguments.work.state.as_deref())?;
    let weights = arguments.extent.weights()?;
    let job = Job {
        files,
        functions: &arguments.work.function,
        state: &state,
        weights: &weights,
        extent: &arguments.extent,
        common,
    };
    let probe = |file: &_, guest: &_| starving::check(file, guest, &arguments.work, common, &state);
    let Some((mut report, measured)) = table(&job, probe)? else { return Ok(None) };
    memory::add(&mut report, &measured, common, &state)?;
    report.allow_failing = arguments.work.allow_failing();
    report.recommendations = recommend(&report, &weights)?;
    Ok(Some(Content::Measure(report)))
}
