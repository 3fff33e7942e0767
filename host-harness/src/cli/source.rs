//! Reading what the command line names: guests and the state.

use std::path::{Path, PathBuf};

use anyhow::Result;
use host_harness::{Guest, LoadError, MemoryState, load_state_file};

/// A guest's bytes and what reports call it.
pub(crate) struct GuestFile {
    pub(crate) path: PathBuf,
    pub(crate) name: String,
    pub(crate) wasm: Vec<u8>,
}

impl GuestFile {
    /// The error, beginning with the file that was given.
    pub(crate) fn error(&self, error: LoadError) -> LoadError {
        error.in_file(&self.path)
    }
}

/// Reads a guest's file.
pub(crate) fn guest(path: &Path) -> Result<GuestFile, LoadError> {
    let wasm = Guest::read_file(path)?;
    let name = path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    Ok(GuestFile { path: path.to_owned(), name, wasm })
}

/// Reads several guests. A file that is named twice is taken once. Those whose names would be the same are called by
/// their paths.
pub(crate) fn guests(paths: &[PathBuf]) -> Result<Vec<GuestFile>, LoadError> {
    let mut files: Vec<(PathBuf, &PathBuf)> = Vec::new();
    for path in paths {
        // What is not there is told of when it is read.
        let file = path.canonicalize().unwrap_or_else(|_| path.clone());
        if files.iter().all(|(known, _)| *known != file) {
            files.push((file, path));
        }
    }
    let mut guests: Vec<GuestFile> = files.iter().map(|(_, path)| guest(path)).collect::<Result<_, _>>()?;
    let names: Vec<String> = guests.iter().map(|guest| guest.name.clone()).collect();
    for (guest, (_, path)) in guests.iter_mut().zip(&files) {
        if names.iter().filter(|name| **name == guest.name).count() > 1 {
            guest.name = path.display().to_string();
        }
    }
    Ok(guests)
}

/// Reads the state, which is empty where no file is given.
pub(crate) fn state(path: Option<&Path>) -> Result<MemoryState> {
    Ok(path.map(load_state_file).transpose()?.unwrap_or_default())
}
