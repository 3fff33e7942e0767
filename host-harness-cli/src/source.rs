//! Reading what the command line names: guests and the state.

use std::borrow::Cow;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Result;
use guest_host::text::printable;
use guest_host::{CodeOrigin, Engine, Function, Guest, InputError, LoadError, MemoryState, artefact};
use guest_prepare::PrepareOptions;
use guest_prepare::module_info::ContractKind;
use host_harness::functions::{check_with_stages, is_bare};
use host_harness::inspect::WHAT_WOULD_BE_CALLABLE;
use host_harness::load_state_file;
use host_harness::replay::{Numbering, TraceError, TraceFile};

use crate::run::ADD_AN_EXTENSION;

/// The bytes of a guest, a module or an artefact, and what reports call it.
pub(crate) struct GuestFile {
    pub(crate) path: PathBuf,
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
}

impl GuestFile {
    /// The error, beginning with the file that was given.
    pub(crate) fn error(&self, error: LoadError) -> LoadError {
        error.in_file(&self.path)
    }

    /// Loads the guest for an engine, and says so when that takes longer than it was meant to.
    pub(crate) fn load(&self, engine: &Engine, options: PrepareOptions) -> Result<Guest, LoadError> {
        let guest = Guest::load(engine, &self.name, &self.bytes, options).map_err(|error| self.error(error))?;
        self.note(&guest);
        Ok(guest)
    }

    /// Refuses a guest that has nothing to call.
    pub(crate) fn has_functions(&self, guest: &Guest) -> anyhow::Result<()> {
        anyhow::ensure!(
            !guest.functions().is_empty() || !is_bare(guest),
            "{}: the module exports no function that can be called; {WHAT_WOULD_BE_CALLABLE}: {ADD_AN_EXTENSION}",
            self.path.display()
        );
        let has_typed = guest.info().typed_functions().next().is_some();
        anyhow::ensure!(
            !guest.functions().is_empty() || !has_typed,
            "{}: the module exports no extension function; `host-harness functions` lists its typed functions, and \
             `host-harness call` calls one",
            self.path.display()
        );
        anyhow::ensure!(
            !guest.functions().is_empty() || guest.stages().next().is_none(),
            "{}: the module exports no extension function; `host-harness pipe` runs its stages, and `host-harness verify` verifies them",
            self.path.display()
        );
        anyhow::ensure!(
            !guest.functions().is_empty(),
            "{}: the module exports no extension function; an extension function has type {}",
            self.path.display(),
            match guest.info().contract() {
                ContractKind::ExtTinyGo => "`() -> ()` and a name that the contract does not reserve",
                _ => "`() -> i64` and a name that does not begin with `_`",
            }
        );
        Ok(())
    }

    /// Refuses a guest that has neither a function to call nor a stage.
    pub(crate) fn has_functions_or_stages(&self, guest: &Guest) -> anyhow::Result<()> {
        if guest.stages().next().is_some() { Ok(()) } else { self.has_functions(guest) }
    }

    /// Refuses a name that neither a function to call nor a stage has.
    pub(crate) fn function_or_stage(&self, guest: &Guest, name: &str) -> anyhow::Result<()> {
        match guest.stages().next() {
            Some(_) => Ok(check_with_stages(guest, name).map_err(|error| self.error(error))?),
            None => self.function(guest, name).map(drop),
        }
    }

    /// The function of this name.
    pub(crate) fn function(&self, guest: &Guest, name: &str) -> anyhow::Result<Function> {
        anyhow::ensure!(
            guest.function(name).is_ok() || guest.stage(name).is_none(),
            "{}: `{name}` is a stage, which takes a memory block: `host-harness pipe` runs stages, and `host-harness verify` verifies \
             them",
            self.path.display()
        );
        if !is_bare(guest) {
            return Ok(guest.function(name).map_err(LoadError::Function).map_err(|error| self.error(error))?);
        }
        self.has_functions(guest)?;
        guest.function(name).map_err(|cause| {
            let error = self.error(LoadError::Function(cause));
            let told = format!("{error}; it is a bare module: if it is meant as an extension, {ADD_AN_EXTENSION}");
            anyhow::Error::new(error).context(told)
        })
    }

    /// Says why the guest was compiled anew, if it was.
    pub(crate) fn note(&self, guest: &Guest) {
        if let CodeOrigin::Recompiled(reason) = guest.code_origin() {
            let note = format!("note: {}: compiled the module in the artefact again: {reason}", self.path.display());
            // Nobody may be there to read it.
            let _ = writeln!(std::io::stderr(), "{}", printable(&note));
        }
    }
}

/// Reads a guest's file.
pub(crate) fn guest(path: &Path) -> Result<GuestFile, LoadError> {
    let bytes = binary(path, Guest::read_file(path)?)?;
    let name = path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    if artefact::is_artefact(&bytes) {
        artefact::module_of(&bytes).map_err(|error| LoadError::from(InputError::Artefact(error)).in_file(path))?;
    }
    Ok(GuestFile { path: path.to_owned(), name, bytes })
}

/// The bytes of a guest's file, which is translated where its name says that it is WebAssembly text.
fn binary(path: &Path, bytes: Vec<u8>) -> Result<Vec<u8>, LoadError> {
    if path.extension().is_none_or(|extension| !extension.eq_ignore_ascii_case("wat")) {
        return Ok(bytes);
    }
    let wrong = |error: wat::Error| {
        let error = io::Error::new(io::ErrorKind::InvalidData, in_one_line(&error.to_string(), path));
        LoadError::from(InputError::Read(error)).in_file(path)
    };
    wat::Parser::new().parse_bytes(Some(path), &bytes).map(Cow::into_owned).map_err(wrong)
}

/// The parser's message in one line, with the place before it. The parser prints the place in a line below the message.
fn in_one_line(told: &str, path: &Path) -> String {
    let message = told.lines().next().unwrap_or_default();
    let arrow = told.lines().find_map(|line| line.trim_start().strip_prefix("--> "));
    let place =
        arrow.and_then(|place| place.strip_prefix(&*path.to_string_lossy())?.strip_prefix(':')?.split_once(':'));
    match place {
        Some((line, column)) => format!("line {line}, column {column}: {message}"),
        None => message.to_owned(),
    }
}

/// Reads several guests. A file that is named twice is taken once. Those whose names would be the same are called by
/// their paths.
pub(crate) fn guests(paths: &[PathBuf]) -> Result<Vec<GuestFile>, LoadError> {
    let paths = each_once(paths);
    let mut guests: Vec<GuestFile> = paths.iter().map(|path| guest(path)).collect::<Result<_, _>>()?;
    tell_apart(guests.iter_mut().map(|guest| &mut guest.name), &paths);
    Ok(guests)
}

/// Reads several traces, as [`guests`] reads guests.
pub(crate) fn traces(paths: &[PathBuf], numbering: Numbering) -> Result<Vec<TraceFile>, TraceError> {
    let paths = each_once(paths);
    let mut traces: Vec<TraceFile> =
        paths.iter().map(|path| TraceFile::load(path, numbering)).collect::<Result<_, _>>()?;
    tell_apart(traces.iter_mut().map(|trace| &mut trace.name), &paths);
    Ok(traces)
}

/// The paths without those that name a file which another one named before.
fn each_once(paths: &[PathBuf]) -> Vec<&PathBuf> {
    let mut files: Vec<(PathBuf, &PathBuf)> = Vec::new();
    for path in paths {
        // What is not there is told of when it is read.
        let file = path.canonicalize().unwrap_or_else(|_| path.clone());
        if files.iter().all(|(known, _)| *known != file) {
            files.push((file, path));
        }
    }
    files.into_iter().map(|(_, path)| path).collect()
}

/// Calls what has the same name as another by its path.
fn tell_apart<'n>(names: impl Iterator<Item = &'n mut String>, paths: &[&PathBuf]) {
    let names: Vec<&mut String> = names.collect();
    let taken: Vec<String> = names.iter().map(|name| (*name).clone()).collect();
    for (name, path) in names.into_iter().zip(paths) {
        if taken.iter().filter(|other| *other == name).count() > 1 {
            *name = path.display().to_string();
        }
    }
}

/// Reads the state, which is empty where no file is given.
pub(crate) fn state(path: Option<&Path>) -> Result<MemoryState> {
    Ok(path.map(load_state_file).transpose()?.unwrap_or_default())
}
