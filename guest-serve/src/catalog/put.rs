//! Changes of guests that do not come through the folder, but are written there: only what can be served is.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::Catalog;
use crate::config::{self, GuestConfig, Secrets};
use crate::deployment::Deployment;
use crate::error::ServeError;
use crate::folder::{GuestFiles, GuestFolder, GuestName, read, read_text, write};

/// The folder of removed guests, in the server's own folder.
const REMOVED: &str = "removed";

/// The outcome of putting a part of a guest.
#[derive(Debug)]
pub enum Put {
    /// It was written, and the guest is served with it.
    Served(Arc<Deployment>),
    /// It was written. The guest is served once it has this file, too.
    Lacks(String),
}

impl Catalog {
    /// Puts a module in the place of a guest's current one. A guest without `guest.toml` is begun with it.
    ///
    /// # Errors
    /// [`ServeError`] if the guest cannot be served with it. Nothing changes then.
    pub fn put_module(&self, name: &GuestName, module: Vec<u8>) -> Result<Put, ServeError> {
        let _work = self.work();
        let inner = &*self.inner;
        let path = inner.folder.config_file(name);
        let folder = inner.folder.of(name);
        let text = match read_text(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let file = folder.join(format!("{name}.wasm"));
                inner.loader.check(&GuestFolder::shown(name, format!("{name}.wasm").as_ref()), &module)?;
                write(&file, &module)?;
                return Ok(Put::Lacks(config::FILE.to_owned()));
            }
            Err(error) => return Err(ServeError::io("read", &path)(error)),
        };
        let mut config = GuestConfig::parse(name.as_str(), &shown_config(name), &text)?;
        self.secrets().give(name.as_str(), &mut config)?;
        let file = folder.join(&config.module);
        self.put(GuestFiles::new(name, &folder, config, module.clone()), &file, &module)
    }

    /// Puts a text in the place of a guest's `guest.toml`. A guest without module is begun with it.
    ///
    /// # Errors
    /// [`ServeError`] if the guest cannot be served with it. Nothing changes then.
    pub fn put_config(&self, name: &GuestName, text: &str) -> Result<Put, ServeError> {
        let _work = self.work();
        let inner = &*self.inner;
        let mut config = GuestConfig::parse(name.as_str(), &shown_config(name), text)?;
        self.secrets().give(name.as_str(), &mut config)?;
        let (folder, path) = (inner.folder.of(name), inner.folder.config_file(name));
        let file = folder.join(&config.module);
        match read(&file) {
            Ok(module) => self.put(GuestFiles::new(name, &folder, config, module), &path, text.as_bytes()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                write(&path, text.as_bytes())?;
                Ok(Put::Lacks(config.module.display().to_string()))
            }
            Err(error) => Err(ServeError::io("read the module", &file)(error)),
        }
    }

    /// Serves a guest with a changed file, which is written before.
    fn put(&self, guest: GuestFiles, file: &Path, contents: &[u8]) -> Result<Put, ServeError> {
        let inner = &*self.inner;
        let table = inner.registry.table();
        let current = table.get(&guest.name).cloned();
        let deployment = Deployment::load_after(&inner.loader, guest, current.as_deref())?;
        table.check_mount(&deployment)?;
        inner.unswept.fetch_add(1, Relaxed);
        write(file, contents)?;
        self.publish(deployment).map(Put::Served)
    }

    /// Serves a guest no more, and moves its folder to the removed ones, where it takes the place of an earlier one of
    /// its name. Returns whether there was one.
    ///
    /// # Errors
    /// [`ServeError::Io`] if its folder cannot be moved. The guest is served still.
    pub fn remove(&self, name: &GuestName) -> Result<bool, ServeError> {
        let _work = self.work();
        let folder = self.inner.folder.of(name);
        if !folder.is_dir() {
            return Ok(false);
        }
        let removed = self.inner.folder.own().join(REMOVED);
        let place = removed.join(name.as_str());
        fs::create_dir_all(&removed).map_err(ServeError::io("make the folder", &removed))?;
        let free = match fs::remove_dir_all(&place) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
        free.map_err(ServeError::io("remove the folder", &place))?;
        fs::rename(&folder, &place).map_err(ServeError::io("move the folder", &folder))?;
        self.forget(name.as_str());
        Ok(true)
    }

    /// The secrets as they are now. See [`Secrets::give`].
    pub(super) fn secrets(&self) -> Secrets {
        self.inner.folder.secrets().unwrap_or_else(|error| Secrets::unreadable(error.to_string()))
    }
}

fn shown_config(name: &GuestName) -> PathBuf {
    GuestFolder::shown(name, config::FILE.as_ref())
}
