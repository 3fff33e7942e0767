//! What one run learnt about toolchains that the next need not learn again.
//!
//! It is a hint only: a toolchain is always looked at before it is used. What it saves is waiting for a server
//! that did not answer, and what it keeps is the caller's choice.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{Way, active::Active};

const SCHEMA: u32 = 1;
const FILE: &str = "guest-toolchain.json";

/// The remembered facts, valid for one active toolchain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Memory {
    schema: u32,
    /// The active compiler's version and place: another one voids the rest.
    active: String,
    /// Why `rustup target add` failed.
    pub(super) rustup_failure: Option<String>,
    /// The ways that the caller allows, where it said so.
    pub(super) among: Option<Vec<Way>>,
}

impl Memory {
    /// Nothing remembered yet.
    pub(super) fn new(active: Result<&Active, &String>) -> Self {
        Self {
            schema: SCHEMA,
            active: match active {
                Ok(active) => format!("{} at {}", active.version, active.sysroot.display()),
                Err(_) => "none".to_owned(),
            },
            rustup_failure: None,
            among: None,
        }
    }

    /// Reads what is remembered in `folder`; nothing where it is of another toolchain or cannot be read.
    pub(super) fn load(folder: &Path, active: Result<&Active, &String>) -> Self {
        let fresh = Self::new(active);
        let read = fs::read(path(folder)).ok().and_then(|text| serde_json::from_slice::<Self>(&text).ok());
        match read {
            Some(memory) if memory.schema == fresh.schema && memory.active == fresh.active => memory,
            _ => fresh,
        }
    }

    /// Writes it to `folder`, whole or not at all.
    pub(super) fn store(&self, folder: &Path) -> io::Result<()> {
        fs::create_dir_all(folder)?;
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        serde_json::to_writer_pretty(&mut file, self)?;
        file.persist(path(folder))?;
        Ok(())
    }
}

fn path(folder: &Path) -> PathBuf {
    folder.join(FILE)
}
