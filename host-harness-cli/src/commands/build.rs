//! `build`.

use std::path::Path;

use anyhow::Result;
use guest_build::{Allocator, BuiltGuest, quoted};
use guest_host::{Engine, Guest, MemoryState};
use host_harness::compare::{Built, state_file_beside};
use host_harness::functions::{is_bare, select};
use host_harness::inspect::best_strategy;
use host_harness::report::{BuildReport, BuiltModule, Content, PlainCargoLine};

use super::building::built;
use crate::arguments::{Build, Common, GuestCrate};
use crate::progress::Progress;
use crate::run::{ADD_AN_EXTENSION, speaks_no_contract};
use crate::source;

pub(crate) fn run(arguments: &Build, common: &Common) -> Result<Content> {
    let asked = &arguments.guest;
    let state_file = state_file_beside(&asked.manifest_path);
    let state = source::state(state_file.as_deref())?;
    let built = built(&asked.manifest_path, asked.allocators(), |build| match &arguments.out {
        Some(folder) => asked.prepare(build).out_dir(folder),
        None => asked.prepare(build),
    })?;
    let engine = Engine::new(&common.engine()?)?;
    let progress = Progress::spinner();
    let mut report = BuildReport::default();
    let (mut last, mut callable, mut is_no_extension) = (None, Callable::default(), false);
    for built in built {
        match built {
            Built::Module(guest) => {
                progress.doing(format!("inspecting {}", shown(&guest.module)));
                let inspected = inspect(&engine, &guest, common, &state)?;
                report.modules.push(inspected.module);
                callable.function = callable.function.or(inspected.callable.function);
                callable.is_typed |= inspected.callable.is_typed;
                callable.has_stages |= inspected.callable.has_stages;
                is_no_extension |= inspected.is_no_extension;
                last = Some(guest);
            }
            Built::Skipped(skipped) => report.skipped.push(skipped.to_string()),
        }
    }
    drop(progress);
    let Some(guest) = last else { anyhow::bail!("nothing was built: {}", report.skipped.join("; ")) };
    // The allocator does not matter for this, so one error stands for all modules.
    anyhow::ensure!(!is_no_extension, "`{}` exports no extension function: {ADD_AN_EXTENSION}", guest.package);
    report.package.clone_from(&guest.package);
    report.toolchain = guest.toolchain.way().name().to_owned();
    guest.toolchain.version().clone_into(&mut report.compiler);
    report.plain_cargo = plain_cargo(&guest, &asked.manifest_path);
    report.next = next(asked, &report.modules, &callable, state_file.as_deref());
    Ok(Content::Build(Box::new(report)))
}

/// The functions of a crate's modules that commands can call.
#[derive(Default)]
struct Callable {
    /// The first function that `run` calls.
    function: Option<String>,
    /// Whether there are typed functions.
    is_typed: bool,
    /// Whether there are stages.
    has_stages: bool,
}

/// A module, as the report has it, and what can be called in it.
struct Inspected {
    module: BuiltModule,
    callable: Callable,
    /// Whether it has no sign of any contract.
    is_no_extension: bool,
}

/// Loads a module and asks how it can be restored.
fn inspect(engine: &Engine, built: &BuiltGuest, common: &Common, state: &MemoryState) -> Result<Inspected> {
    let path = built.module.as_path();
    let file = source::guest(path)?;
    let mut module = BuiltModule::default();
    module.allocator = built.allocator.to_string();
    module.file = shown(path);
    module.bytes = file.bytes.len() as u64;
    let guest = match Guest::load(engine, &file.name, &file.bytes, common.prepare()) {
        Ok(guest) => guest,
        Err(error) => {
            module.reason = error.to_string();
            let is_no_extension = speaks_no_contract(&error);
            return Ok(Inspected { module, callable: Callable::default(), is_no_extension });
        }
    };
    match best_strategy(&guest, &common.config_of(&guest), state) {
        Ok(choice) => {
            module.strategy = Some(choice.strategy.name().to_owned());
            module.reason = choice.reason.to_string();
        }
        Err(error) => module.reason = error.to_string(),
    }
    // A function whose arguments nobody has given would be refused.
    let function =
        select(&guest, &[], &common.config_of(&guest).arguments).unwrap_or_default().functions.into_iter().next();
    let callable = Callable {
        function,
        is_typed: guest.info().typed_functions().next().is_some(),
        has_stages: guest.stages().next().is_some(),
    };
    Ok(Inspected { module, callable, is_no_extension: is_bare(&guest) && guest.functions().is_empty() })
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
fn next(asked: &GuestCrate, modules: &[BuiltModule], callable: &Callable, state: Option<&Path>) -> Vec<String> {
    let mut next = Vec::new();
    let state = state.map(|path| format!(" --state {}", quoted(&path.display().to_string()))).unwrap_or_default();
    let module = to_run(modules).map(|module| quoted(&module.file));
    if let (Some(module), Some(function)) = (&module, &callable.function) {
        next.push(format!("host-harness run {module} {}{state}", quoted(function)));
    }
    if let Some(module) = module.as_ref().filter(|_| callable.is_typed) {
        next.push(format!("host-harness functions {module}"));
    }
    if let Some(module) = module.filter(|_| callable.has_stages) {
        next.push(format!("host-harness verify {module}"));
    }
    // Typed functions take arguments and stages blocks, which `compare` does not have.
    if callable.function.is_none() && (callable.is_typed || callable.has_stages) {
        return next;
    }
    let mut compare = "host-harness compare".to_owned();
    if !is_of_the_working_folder(&asked.manifest_path) {
        compare.push_str(&format!(" --manifest-path {}", quoted(&asked.manifest_path.display().to_string())));
    }
    if let Some(package) = &asked.package {
        compare.push_str(&format!(" --package {}", quoted(package)));
    }
    if !asked.features.is_empty() {
        compare.push_str(&format!(" --features {}", quoted(&asked.features.join(","))));
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
