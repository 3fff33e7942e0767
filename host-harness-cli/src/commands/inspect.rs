//! `inspect`.

use anyhow::Result;
use guest_host::{Engine, InputError};
use host_harness::inspect::{inspect, inspect_within};
use host_harness::report::Content;

use crate::arguments::{Common, Inspect};
use crate::source;

pub(crate) fn run(arguments: &Inspect, common: &Common) -> Result<Content> {
    let file = source::guest(&arguments.guest)?;
    let state = source::state(arguments.state.as_deref())?;
    let engine = Engine::new(&common.engine()?)?;
    let (name, wasm, options, config) = (&file.name, &file.bytes, common.prepare(), common.config());
    let inspection = match arguments.budget {
        Some(budget) => inspect_within(&engine, name, wasm, options, &config, budget, &state),
        None => inspect(&engine, name, wasm, options, &config),
    };
    let inspection = inspection.map_err(|error| file.error(InputError::Module(error).into()))?;
    Ok(Content::Inspect(Box::new(inspection)))
}
