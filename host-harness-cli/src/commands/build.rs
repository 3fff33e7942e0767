//! `build`.

use std::path::{Path, PathBuf};

use anyhow::Result;
use guest_build::{Allocator, BuiltGuest, quoted};
use guest_host::{Engine, Guest, MemoryState};
use host_harness::compare::{Built, state_file_beside};
use host_harness::inspect::best_strategy;
use host_harness::report::{BuildReport, BuiltModule, Content, PlainCargoLine};

use super::building::built;
use crate::arguments::{Build, Common};
use crate::progress::Progress;
use crate::run::{ADD_AN_EXTENSION, speaks_no_contract};
use crate::source;

pub(crate) fn run(arguments: &Build, common: &Common) -> Result<Content> {
    let state_file = state_file_beside(&arguments.manifest_path);
    let state = source::state(state_file.as_deref())?;
    let allocators = match arguments.allocator.as_slice() {
        [] => Allocator::ALL.to_vec(),
        asked => asked.to_vec(),
    };
    let built = built(&arguments.manifest_path, &allocators, |mut build| {
        build = build.features(&arguments.features);
        if let Some(package) = &arguments.package {
            build = build.package(package);
        }
        match &arguments.out {
            Some(folder) => build.out_dir(folder),
            None => build,
        }
    })?;
    let engine = Engine::new(&common.engine()?)?;
    let progress = Progress::spinner();
    let mut report = BuildReport::default();
    let (mut last, mut function, mut is_no_extension) = (None, None, false);
    for built in built {
        match built {
            Built::Module { allocator, path, guest } => {
                progress.doing(format!("inspecting {}", shown(&path)));
                let inspected = module(&engine, allocator, &path, common, &state)?;
                report.modules.push(inspected.module);
                function = function.or(inspected.function);
                is_no_extension |= inspected.is_no_extension;
                last = Some(guest);
            }
            Built::Skipped { allocator, reason } => report.skipped.push(format!("skipped {allocator}: {reason}")),
        }
    }
    drop(progress);
    let Some(guest) = last else { anyhow::bail!("nothing was built: {}", report.skipped.join("; ")) };
    // What a module of one allocator lacks, those of the others lack too: it is said once.
    anyhow::ensure!(!is_no_extension, "`{}` exports no extension function: {ADD_AN_EXTENSION}", guest.package);
    report.package.clone_from(&guest.package);
    report.toolchain = guest.toolchain.way().name().to_owned();
    guest.toolchain.version().clone_into(&mut report.compiler);
    report.plain_cargo = plain_cargo(&guest, &arguments.manifest_path);
    report.next = next(arguments, &report.modules, function.as_deref(), state_file.as_deref());
    Ok(Content::Build(Box::new(report)))
}

/// The files that the command reads.
pub(crate) fn inputs(arguments: &Build) -> Vec<PathBuf> {
    let manifest = &arguments.manifest_path;
    let state = state_file_beside(manifest);
    [manifest.clone(), manifest.with_file_name("Cargo.lock")].into_iter().chain(state).collect()
}

/// What is known of a module.
struct Inspected {
    module: BuiltModule,
    /// Its first function.
    function: Option<String>,
    /// Whether it has no sign of any contract.
    is_no_extension: bool,
}

/// Loads a module and asks how it can be restored.
fn module(
    engine: &Engine,
    allocator: Allocator,
    path: &Path,
    common: &Common,
    state: &MemoryState,
) -> Result<Inspected> {
    let file = source::guest(path)?;
    let mut module = BuiltModule::default();
    module.allocator = allocator.to_string();
    module.file = shown(path);
    module.bytes = file.bytes.len() as u64;
    let guest = match Guest::load(engine, &file.name, &file.bytes, common.prepare()) {
        Ok(guest) => guest,
        Err(error) => {
            module.reason = error.to_string();
            return Ok(Inspected { module, function: None, is_no_extension: speaks_no_contract(&error) });
        }
    };
    match best_strategy(&guest, &common.config(), state) {
        Ok(choice) => {
            module.strategy = Some(choice.strategy.name().to_owned());
            module.reason = choice.reason.to_string();
        }
        Err(error) => module.reason = error.to_string(),
    }
    Ok(Inspected { module, function: guest.functions().first().cloned(), is_no_extension: false })
}

fn plain_cargo(guest: &BuiltGuest, manifest: &Path) -> PlainCargoLine {
    let way = guest.toolchain.way();
    let mut line = PlainCargoLine::default();
    line.folder = match manifest.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => shown(folder),
        _ => ".".to_owned(),
    };
    line.line = guest.plain.shell_line();
    line.module = shown(&guest.plain.module);
    line.because = way.builds_std().then(|| {
        let whose = if way.is_beside_the_active() {
            "it uses Debian's toolchain: the active one"
        } else {
            "the active toolchain"
        };
        format!("{whose} has no standard library for wasm32, and cargo builds it; without this, the error is E0463")
    });
    line
}

/// The commands that go on with these modules.
fn next(arguments: &Build, modules: &[BuiltModule], function: Option<&str>, state: Option<&Path>) -> Vec<String> {
    let mut next = Vec::new();
    let state = state.map(|path| format!(" --state {}", quoted(&path.display().to_string()))).unwrap_or_default();
    if let (Some(module), Some(function)) = (to_run(modules), function) {
        next.push(format!("host-harness run {} {}{state}", quoted(&module.file), quoted(function)));
    }
    let mut compare = "host-harness compare".to_owned();
    if !is_of_the_working_folder(&arguments.manifest_path) {
        compare.push_str(&format!(" --manifest-path {}", quoted(&arguments.manifest_path.display().to_string())));
    }
    if let Some(package) = &arguments.package {
        compare.push_str(&format!(" --package {}", quoted(package)));
    }
    if !arguments.features.is_empty() {
        compare.push_str(&format!(" --features {}", quoted(&arguments.features.join(","))));
    }
    next.push(compare);
    next
}

/// The module that the printed command runs: one that only allocates, as hosts that restore after each call use it, or else the
/// first that can be instantiated.
fn to_run(modules: &[BuiltModule]) -> Option<&BuiltModule> {
    let usable = || modules.iter().filter(|module| module.strategy.is_some());
    let with = |allocator: Allocator| usable().find(|module| module.allocator == allocator.name());
    with(Allocator::Leaking).or_else(|| with(Allocator::BumpReset)).or_else(|| usable().next())
}

/// Whether commands find this manifest by themselves.
fn is_of_the_working_folder(manifest: &Path) -> bool {
    match (std::path::absolute(manifest), std::path::absolute("Cargo.toml")) {
        (Ok(manifest), Ok(default)) => manifest == default,
        _ => false,
    }
}

/// The path, without the folder that the command runs in.
fn shown(path: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(&here).unwrap_or(path).display().to_string()
}
