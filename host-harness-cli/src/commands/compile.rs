//! `compile`.

use anyhow::Result;
use guest_host::{Engine, artefact};
use host_harness::report::{CompileReport, Content};

use crate::arguments::{Common, Compile};
use crate::output::Destination;
use crate::progress::Progress;
use crate::source;

pub(crate) fn run(arguments: &Compile, common: &Common) -> Result<Content> {
    let file = source::guest(&arguments.guest)?;
    let engine = Engine::new(&common.engine()?)?;
    let progress = Progress::spinner();
    progress.doing(format!("compiling {}", file.name));
    let guest = file.load(&engine, common.prepare())?;
    let made = guest.to_artefact().map_err(|error| file.error(error))?;
    drop(progress);
    Destination::File(arguments.output.clone()).write(&made)?;
    let module = artefact::module_of(&made).map_or(0, <[u8]>::len);
    let sealed = common.artefact_key.is_some();
    let report = CompileReport::new(guest.name(), &arguments.output, module as u64, made.len() as u64, sealed);
    Ok(Content::Compile(report))
}
