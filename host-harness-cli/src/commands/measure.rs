//! `measure`.

use anyhow::Result;
use host_harness::report::Content;

use super::memory;
use super::table::{Job, table};
use crate::arguments::{Common, Measure};
use crate::source;

pub(crate) fn run(arguments: &Measure, common: &Common) -> Result<Content> {
    let files = source::guests(&arguments.guests)?;
    let state = source::state(arguments.work.state.as_deref())?;
    let job = Job { files, functions: &arguments.work.function, state: &state, extent: &arguments.extent, common };
    let (mut report, measured) = table(&job)?;
    memory::add(&mut report, &measured, common, &state)?;
    Ok(Content::Measure(report))
}
