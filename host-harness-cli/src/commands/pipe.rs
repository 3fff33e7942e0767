//! `pipe`.

use std::path::{Path, PathBuf};

use anyhow::Result;
use guest_host::{Engine, InstanceAllocation, Level};
use host_harness::pipe::{Observer, PipeConfig, Pipeline, Source};
use host_harness::report::Content;

use crate::arguments::{Common, Pipe};
use crate::progress::Progress;
use crate::source;

pub(crate) fn run(arguments: &Pipe, common: &Common) -> Result<Content> {
    let config = PipeConfig::from_file(&arguments.file)?;
    let mut engine = common.engine()?;
    if let InstanceAllocation::Pooling { instances, .. } = &mut engine.allocation {
        // Each stage has an instance for as long as the pipeline runs.
        *instances = (*instances).max(u32::try_from(config.stages.len()).unwrap_or(u32::MAX));
    }
    let engine = Engine::new(&engine)?;
    let instance = common.config().with_strategy(common.one_strategy("pipe")?);
    let frames = config.source.frames();
    let progress = frames.map_or_else(Progress::spinner, Progress::steps);
    let load = |path: &Path| {
        progress.doing(format!("compiling {}", path.display()));
        source::guest(path)?.load(&engine, common.prepare())
    };
    let pipeline = Pipeline::new(config, &instance, load).map_err(|error| error.in_file(&arguments.file))?;
    progress.doing(format!("running {} stages", pipeline.config().stages.len()));
    let mut report = pipeline.run(&Shown(&progress)).map_err(|error| error.in_file(&arguments.file))?;
    if common.map_blocks_from.is_some() && report.stages.iter().all(|stage| stage.mapped == 0) {
        report.notes.push(
            "no block was mapped: the blocks were smaller than --map-blocks-from says, the stages are not restored by dirty-cards, or \
             their guests had offered no storage for them in one piece when they were initialised"
                .to_owned(),
        );
    }
    Ok(Content::Pipe(report))
}

/// Shows how far the pipeline is, and the lines that its guests log.
struct Shown<'a>(&'a Progress);

impl Observer for Shown<'_> {
    fn frame(&self) {
        self.0.step();
    }

    fn log(&self, stage: &str, level: Level, line: &str) {
        self.0.say(|| format!("{stage}: {} {line}", level.name()));
    }
}

/// The files that the command reads.
pub(crate) fn inputs(arguments: &Pipe) -> Vec<PathBuf> {
    let mut inputs = vec![arguments.file.clone()];
    // The error of a file that cannot be read comes when it is needed. A pipe can be read once.
    if arguments.file.is_file()
        && let Ok(config) = PipeConfig::from_file(&arguments.file)
    {
        inputs.extend(config.stages.into_iter().map(|stage| stage.module));
        if let Source::File { path, .. } = config.source {
            inputs.push(path);
        }
    }
    inputs
}
