//! `inspect`.

use anyhow::Result;
use guest_host::{Engine, InputError};
use host_harness::inspect::inspect;
use host_harness::report::Content;

use crate::arguments::{Common, Inspect};
use crate::source;

pub(crate) fn run(arguments: &Inspect, common: &Common) -> Result<Content> {
    let file = source::guest(&arguments.guest)?;
    let engine = Engine::new(&common.engine()?)?;
    let inspection = inspect(&engine, &file.name, &file.bytes, common.prepare(), &common.config())
        .map_err(|error| file.error(InputError::Module(error).into()))?;
    Ok(Content::Inspect(Box::new(inspection)))
}
