//! The files of a guest by their stamps: whether something changed, without reading it.

use std::fs;
use std::path::Path;

use crate::config::{GuestConfig, Secrets};
use crate::files::{Listed, list};
use crate::folder::{GuestFolder, GuestName, Stamp};

/// The paths that a version of `guest.toml` names.
#[derive(Debug)]
pub(super) struct Paths {
    config: Stamp,
    /// `None` if the file cannot be read or has a fault.
    named: Option<GuestConfig>,
}

/// The files of a guest at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trace {
    config: Option<Stamp>,
    module: Option<Stamp>,
    /// Or why there is no list.
    files: Option<Result<Vec<Listed>, String>>,
    secrets: Option<guest_host::Secrets>,
    secrets_fault: Option<String>,
}

impl Paths {
    /// The paths of a guest: those from `before` if the file is as it was.
    pub(super) fn of(folder: &GuestFolder, name: &GuestName, before: Option<Self>) -> Option<Self> {
        let path = folder.config_file(name);
        let config = stamp(&path)?;
        if let Some(before) = before.filter(|before| before.config == config) {
            return Some(before);
        }
        let text = fs::read_to_string(&path).ok();
        let named = text.and_then(|text| GuestConfig::parse(name.as_str(), &path, &text).ok());
        Some(Self { config, named })
    }
}

impl Trace {
    pub(super) fn of(folder: &GuestFolder, name: &GuestName, paths: Option<&Paths>, secrets: &Secrets) -> Self {
        let (own, named) = (folder.of(name), paths.and_then(|paths| paths.named.as_ref()));
        let statics = named.and_then(|named| Some((own.join(named.static_folder.as_ref()?), &named.static_place)));
        let reads_secrets = named.is_some_and(|named| !named.secrets.is_empty());
        Self {
            config: paths.map(|paths| paths.config),
            module: named.and_then(|named| stamp(&own.join(&named.module))),
            files: statics.map(|(statics, place)| list(&statics, place).map_err(|error| error.to_string())),
            secrets: secrets.of(name.as_str()).filter(|_| reads_secrets).cloned(),
            secrets_fault: secrets.fault().filter(|_| reads_secrets).map(str::to_owned),
        }
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    fs::metadata(path).ok().map(|metadata| Stamp::of(&metadata))
}
