//! `replay`.

use std::path::{Path, PathBuf};

use anyhow::Result;
use guest_build::Allocator;
use guest_host::{AdmissionError, Engine, Guest, LoadError, RestorePolicy, RestoreStrategy};
use host_harness::compare::Built;
use host_harness::measure::FailedCall;
use host_harness::replay::{ReplayOptions, ReplayRow, TraceFile, TraceSummary, replay};
use host_harness::report::{Content, ReplayReport, Settings};

use super::building::built;
use crate::arguments::{Common, Replay};
use crate::progress::Progress;
use crate::run::is_of_the_guest;
use crate::source;

/// The beginning of the names of the modules in a folder.
const PREFIX: &str = "replay-";

/// The end of the names of modules with an allocator of their own, which are built with none of this family.
const OWN: &str = "-system";

/// All allocators that there are.
const ALL: &str = "all";

pub(crate) fn run(arguments: &Replay, common: &Common) -> Result<Content> {
    let mut options = ReplayOptions::default();
    options.repeats = arguments.repeats;
    options.budget = arguments.budget;
    options.config = common.config();
    options.config.strategy = strategy(common)?;
    // What can be wrong with the traces is told before anything is built.
    let traces = source::traces(&arguments.traces, arguments.count_from)?;
    let (modules, notes) = modules(arguments)?;

    let settings = Settings::of(&options.config, common.prepare().virtual_growth);
    let mut report = ReplayReport::new(settings, options.config.strategy, arguments.count_from);
    report.notes = notes;
    if cfg!(debug_assertions) {
        report.notes.push("the harness was built without optimisation, so the times mean little".to_owned());
    }
    report.traces = traces.iter().map(TraceSummary::of).collect();
    let engine = Engine::new(&common.engine()?)?;
    let progress = Progress::steps((modules.len() * traces.len()) as u64);
    let mut of_allocators = Vec::new();
    for Module { allocator, path } in &modules {
        progress.doing(format!("compiling {}", path.display()));
        let file = source::guest(path)?;
        let guest = file.load(&engine, common.prepare())?;
        let mut rows = Vec::new();
        for trace in &traces {
            progress.doing(format!("replaying {} with {allocator}", trace.name));
            rows.push(row(&guest, allocator, trace, &options).map_err(|error| file.error(error))?);
            progress.step();
        }
        of_allocators.push(rows.into_iter());
    }
    // Trace by trace, so that allocators stand side by side.
    for _ in &traces {
        report.rows.extend(of_allocators.iter_mut().filter_map(Iterator::next));
    }
    Ok(Content::Replay(report))
}

/// The strategy that was asked for; without one, that which restores every allocator's guest.
fn strategy(common: &Common) -> Result<RestoreStrategy> {
    if common.restore != RestorePolicy::EveryCall {
        anyhow::bail!("`replay` restores after every replay; leave out --restore");
    }
    match common.strategy.as_slice() {
        [] => Ok(RestoreStrategy::FullCopy),
        [strategy] => Ok(*strategy),
        _ => anyhow::bail!("`replay` uses one strategy; give --strategy once, without commas"),
    }
}

/// One row; what keeps the guest from being instantiated this way is a row as well.
fn row(guest: &Guest, allocator: &str, trace: &TraceFile, options: &ReplayOptions) -> Result<ReplayRow, LoadError> {
    let failed = |failure| {
        let mut row = ReplayRow::new(&trace.name, allocator);
        row.failure = Some(failure);
        Ok(row)
    };
    match replay(guest, allocator, trace, options) {
        Err(error @ LoadError::Admission(AdmissionError::Strategy { .. })) => {
            failed(FailedCall::by_host("not-restorable", error.to_string(), 0))
        }
        Err(error) if is_of_the_guest(&error) => failed(FailedCall::load(error)),
        result => result,
    }
}

/// A module that replays, and the name of its allocator.
struct Module {
    allocator: String,
    path: PathBuf,
}

/// The modules: those of the folder that was given, or built.
fn modules(arguments: &Replay) -> Result<(Vec<Module>, Vec<String>)> {
    match &arguments.guests {
        Some(folder) => Ok((in_folder(folder, &arguments.allocators)?, Vec::new())),
        None => build(arguments),
    }
}

/// The modules in a folder, of the allocators that were asked for.
fn in_folder(folder: &Path, asked: &[String]) -> Result<Vec<Module>> {
    let mut found = modules_in(folder)?;
    if found.is_empty() {
        anyhow::bail!(
            "{}: there is no module `{PREFIX}NAME.wasm`; build them with `cargo xtask guests --guest replay`",
            folder.display()
        );
    }
    if asked.iter().any(|name| name == ALL) {
        return Ok(found);
    }
    let mut modules = Vec::new();
    for name in unique(asked) {
        match found.iter().position(|module| module.allocator == *name) {
            Some(at) => modules.push(found.remove(at)),
            None => {
                let names: Vec<_> = found.iter().map(|module| module.allocator.as_str()).collect();
                anyhow::bail!(
                    "{}: there is no module `{PREFIX}{name}.wasm`: use one of {}",
                    folder.display(),
                    names.join(", ")
                );
            }
        }
    }
    Ok(modules)
}

/// Every module in a folder: the allocators of this family in their order, then others by name.
fn modules_in(folder: &Path) -> Result<Vec<Module>> {
    let cannot = |error: std::io::Error| anyhow::anyhow!("{}: cannot be read: {error}", folder.display());
    let mut modules = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(cannot)? {
        let path = entry.map_err(cannot)?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if let Some(allocator) = name.strip_prefix(PREFIX).and_then(|name| name.strip_suffix(".wasm")) {
            let allocator = allocator.strip_suffix(OWN).unwrap_or(allocator);
            modules.push(Module { allocator: allocator.to_owned(), path });
        }
    }
    let known = |name: &str| Allocator::ALL.iter().position(|allocator| allocator.name() == name);
    modules.sort_by_cached_key(|module| (known(&module.allocator).unwrap_or(usize::MAX), module.allocator.clone()));
    Ok(modules)
}

/// Builds the guest with the allocators that were asked for.
fn build(arguments: &Replay) -> Result<(Vec<Module>, Vec<String>)> {
    let allocators = match arguments.allocators.iter().any(|name| name == ALL) {
        true => Allocator::ALL.to_vec(),
        false => unique(&arguments.allocators).map(|name| name.parse()).collect::<Result<_, _>>()?,
    };
    let manifest = manifest(arguments);
    if arguments.manifest_path.is_none() && !manifest.is_file() {
        anyhow::bail!(
            "there is no replaying guest at {}, where this program was built; name its modules with --guests FOLDER, or \
             its manifest with --manifest-path",
            manifest.display()
        );
    }
    let (mut modules, mut notes) = (Vec::new(), Vec::new());
    for built in built(&manifest, &allocators, |build| build)? {
        match built {
            Built::Module(guest) => {
                modules.push(Module { allocator: guest.allocator.to_string(), path: guest.module });
            }
            Built::Skipped(skipped) => notes.push(skipped.to_string()),
        }
    }
    if modules.is_empty() {
        anyhow::bail!("nothing to replay with: {}", notes.join("; "));
    }
    Ok((modules, notes))
}

/// The guest's manifest: the one that was given, or that of the checkout that this program was built from.
fn manifest(arguments: &Replay) -> PathBuf {
    arguments.manifest_path.clone().unwrap_or_else(|| {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        here.parent().unwrap_or(here).join("guests/replay/Cargo.toml")
    })
}

/// Each name once, in their order.
fn unique(names: &[String]) -> impl Iterator<Item = &String> {
    names.iter().enumerate().filter(|(at, name)| !names[..*at].contains(name)).map(|(_, name)| name)
}

/// The files that the command reads.
pub(crate) fn inputs(arguments: &Replay) -> Vec<PathBuf> {
    let mut inputs = arguments.traces.clone();
    match &arguments.guests {
        // What cannot be read is told when it is needed.
        Some(folder) => inputs.extend(modules_in(folder).into_iter().flatten().map(|module| module.path)),
        None => {
            let manifest = manifest(arguments);
            inputs.extend([manifest.with_file_name("Cargo.lock"), manifest]);
        }
    }
    inputs
}
