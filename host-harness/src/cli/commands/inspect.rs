//! `inspect`.

use anyhow::Result;
use host_harness::inspect::inspect;
use host_harness::report::Content;
use host_harness::{Engine, EngineConfig, LoadError};

use crate::cli::arguments::{Common, Inspect};
use crate::cli::source;

pub(crate) fn run(arguments: &Inspect, common: &Common) -> Result<Content> {
    let file = source::guest(&arguments.guest)?;
    let engine = Engine::new(&EngineConfig::default())?;
    let inspection = inspect(&engine, &file.name, &file.wasm, common.prepare(), &common.config())
        .map_err(|error| file.error(LoadError::from(error)))?;
    Ok(Content::Inspect(Box::new(inspection)))
}
