//! A checked pipeline.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use guest_host::blocks::Block;
use guest_host::{Function, Guest, InstanceConfig, Level, LoadError};

use super::config::{PipeConfig, StageConfig};
use super::error::PipeError;
use super::report::PipeReport;
use super::run;

/// A pipeline that can run: its guests are loaded, and have the functions.
///
/// ```no_run
/// use guest_host::{Engine, EngineConfig, Guest, InstanceConfig, PrepareOptions};
/// use host_harness::pipe::{PipeConfig, Pipeline};
///
/// let engine = Engine::new(&EngineConfig::default())?;
/// let config = PipeConfig::from_file("frames.toml".as_ref())?;
/// let load = |path: &std::path::Path| Guest::from_file(&engine, path, PrepareOptions::default());
/// let report = Pipeline::new(config, &InstanceConfig::default(), load)?.run(&())?;
/// println!("{} frames, {} bytes per second", report.frames, report.bytes_per_second);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Pipeline {
    pub(super) config: PipeConfig,
    pub(super) stages: Vec<Stage>,
}

/// A stage that can run.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) config: StageConfig,
    /// The index of the stage that it takes from; `None` for the source.
    pub(super) from: Option<usize>,
    pub(super) guest: Guest,
    pub(super) function: Function,
    pub(super) instance: InstanceConfig,
}

/// Sees a pipeline run. The threads of the source and of the stages call it, and go on when it returns.
///
/// ```
/// use std::sync::Mutex;
/// use guest_host::blocks::Block;
/// use host_harness::pipe::Observer;
///
/// /// Collects the content of the blocks that the stage `blend` returns.
/// struct Blended(Mutex<Vec<Vec<u8>>>);
///
/// impl Observer for Blended {
///     fn returned(&self, stage: &str, block: &Block) {
///         if let ("blend", Ok(reading)) = (stage, block.read()) {
///             self.0.lock().unwrap().push(reading.bytes(<[u8]>::to_vec));
///         }
///     }
/// }
/// ```
pub trait Observer: Sync {
    /// The source has handed over a frame, or the frame was refused.
    fn frame(&self) {}

    /// The guest of a stage has logged a line.
    fn log(&self, _stage: &str, _level: Level, _line: &str) {}

    /// A call of a stage has returned a block. The stage hands it on when this returns. A [`Reading`](guest_host::blocks::Reading) of it that
    /// lives longer keeps others from writing it.
    fn returned(&self, _stage: &str, _block: &Block) {}
}

/// Sees nothing.
impl Observer for () {}

impl Pipeline {
    /// Checks a pipeline. `load` loads each module once. Stages have instances as `instance` says, unless they have settings of their
    /// own.
    ///
    /// # Errors
    /// [`PipeError`] if the stages do not fit together, a module cannot be loaded, or has no such function.
    pub fn new(
        config: PipeConfig,
        instance: &InstanceConfig,
        mut load: impl FnMut(&Path) -> Result<Guest, LoadError>,
    ) -> Result<Self, PipeError> {
        let origins = config.origins()?;
        let mut guests: HashMap<PathBuf, Guest> = HashMap::new();
        let mut stages = Vec::new();
        for (stage, from) in config.stages.iter().zip(origins) {
            let guest = match guests.get(&stage.module) {
                Some(guest) => guest.clone(),
                None => {
                    let loaded =
                        load(&stage.module).map_err(|error| load_error(stage, error.in_file(&stage.module)))?;
                    guests.entry(stage.module.clone()).or_insert(loaded).clone()
                }
            };
            let function = guest.stage(&stage.function).ok_or_else(|| PipeError::NoFunction {
                stage: stage.name().to_owned(),
                module: stage.module.clone(),
                function: stage.function.clone(),
                known: guest.stages().map(|(name, _)| name.to_owned()).collect(),
            })?;
            let mut instance = instance.clone();
            instance.strategy = stage.strategy.unwrap_or(instance.strategy);
            instance.memory_limit = stage.memory_limit.unwrap_or(instance.memory_limit);
            instance.limits.block_bytes = stage.block_limit.unwrap_or(instance.limits.block_bytes);
            instance.deadline = stage.deadline.unwrap_or(instance.deadline);
            stages.push(Stage { config: stage.clone(), from, guest, function, instance });
        }
        Ok(Self { config, stages })
    }

    /// Its configuration.
    #[must_use]
    pub fn config(&self) -> &PipeConfig {
        &self.config
    }

    /// Makes the instances, and runs the pipeline until its source has ended and all stages have handled their blocks.
    ///
    /// Each stage has a thread of its own, and the source has that of the caller. All threads have ended when this returns.
    ///
    /// # Errors
    /// [`PipeError`] if an instance cannot be made, or the file of the source cannot be read. Calls that fail are in the report.
    ///
    /// # Panics
    /// If the observer panics, after the other threads have ended.
    pub fn run(&self, observer: &dyn Observer) -> Result<PipeReport, PipeError> {
        run::run(self, observer)
    }
}

/// The error of a stage's module.
pub(super) fn load_error(stage: &StageConfig, error: LoadError) -> PipeError {
    PipeError::Load { stage: stage.name().to_owned(), source: Box::new(error) }
}
