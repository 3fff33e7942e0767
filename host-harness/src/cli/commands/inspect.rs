//! `inspect`.

use anyhow::Result;
use host_harness::inspect::inspect;
use host_harness::report::Content;
use host_harness::{Engine, LoadError};

use crate::cli::arguments::{Common, Inspect};
use crate::cli::source;

pub(crate) fn run(arguments: &Inspect, common: &Common) -> Result<Content> {
    let file = source::guest(&arguments.guest)?;
    let engine = Engine::new(&common.engine()?)?;
    let inspection = inspect(&engine, &file.name, &file.bytes, common.prepare(), &common.config())
        .map_err(|error| file.error(LoadError::from(error)))?;
    Ok(Content::Inspect(Box::new(inspection)))
}
