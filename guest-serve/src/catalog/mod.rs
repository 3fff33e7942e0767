//! The guests of the folder, and how each is served: looks at the folder again and again, and deploys what changed.
//!
//! A guest whose new version is bad keeps its old version, and has the error. Nothing here is on the path of a request.

mod put;
mod trace;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use put::Put;

use crate::config::Secrets;
use crate::deployment::{Deployment, Loader};
use crate::error::ServeError;
use crate::folder::{GuestFolder, GuestName};
use crate::monitor::{Event, Monitor};
use crate::registry::Registry;
use trace::{Paths, Trace};

/// The guests of a folder. Cheap to clone; the clones are the same.
#[derive(Debug, Clone)]
pub struct Catalog {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    folder: GuestFolder,
    loader: Loader,
    registry: Registry,
    monitor: Monitor,
    /// One change of guests at a time. It is held while modules are compiled.
    work: Mutex<()>,
    guests: Mutex<Guests>,
    /// Versions since copies of modules were removed that nobody needs.
    unswept: AtomicUsize,
}

/// Versions after which copies of modules are removed that nobody needs.
const SWEEP: usize = 256;

#[derive(Debug, Default)]
struct Guests {
    by_name: BTreeMap<String, Known>,
    /// Why the folder could not be read at the last look.
    folder_error: Option<String>,
}

/// A guest, or a folder that would be one.
#[derive(Debug, Default)]
struct Known {
    paths: Option<Paths>,
    /// Its files at the last look.
    seen: Option<Trace>,
    /// Its files when they were last deployed, whether or not that succeeded.
    tried: Option<Trace>,
    error: Option<String>,
    /// A version that could be served if its mount were free.
    refused: Option<Arc<Deployment>>,
    /// Whether it was gone at the last look.
    gone: bool,
}

/// How a guest is served.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct GuestStatus {
    /// Its name.
    pub name: String,
    /// The version that is served.
    pub deployment: Option<Arc<Deployment>>,
    /// Why a newer version is not.
    pub error: Option<String>,
}

/// Which versions a look deploys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// All that changed.
    AtOnce,
    /// Those that changed before the last look and not since: what is being written is not deployed.
    Settled,
}

impl Catalog {
    /// The guests of a folder, none of which is deployed yet.
    #[must_use]
    pub fn new(folder: GuestFolder, loader: Loader, registry: Registry, monitor: Monitor) -> Self {
        let (work, guests, unswept) = (Mutex::default(), Mutex::default(), AtomicUsize::new(SWEEP));
        Self { inner: Arc::new(Inner { folder, loader, registry, monitor, work, guests, unswept }) }
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &GuestFolder {
        &self.inner.folder
    }

    /// Where versions are loaded.
    #[must_use]
    pub fn loader(&self) -> &Loader {
        &self.inner.loader
    }

    /// The record of the guests' calls.
    #[must_use]
    pub fn monitor(&self) -> &Monitor {
        &self.inner.monitor
    }

    /// Looks at the folder, and deploys the guests that changed. Errors are those of the guests' [status](Self::statuses), and
    /// events.
    pub fn look(&self, look: Look) {
        let _work = self.work();
        let inner = &*self.inner;
        let names = match inner.folder.guests() {
            Ok(names) => {
                if self.guests().folder_error.take().is_some() {
                    inner.monitor.event(&Event::Folder { error: None });
                }
                names
            }
            Err(error) => {
                let error = error.to_string();
                let before = self.guests().folder_error.replace(error.clone());
                if before.as_ref() != Some(&error) {
                    inner.monitor.event(&Event::Folder { error: Some(&error) });
                }
                return;
            }
        };
        let secrets = self.secrets();
        let mut present = BTreeSet::new();
        for name in names {
            match name {
                Ok(name) => {
                    present.insert(name.to_string());
                    self.look_at(&name, &secrets, look);
                }
                Err(error) => {
                    if let ServeError::Name(name) = &error {
                        present.insert(name.clone());
                        let name = name.clone();
                        self.failed(&name, &error);
                    }
                }
            }
        }
        self.remove_all_but(&present, look);
        self.retry_refused();
        if inner.unswept.load(Relaxed) >= SWEEP {
            inner.unswept.store(0, Relaxed);
            inner.loader.sweep();
        }
    }

    /// Deploys a guest if its files changed.
    fn look_at(&self, name: &GuestName, secrets: &Secrets, look: Look) {
        let is_new = {
            let mut guests = self.guests();
            let known = guests.by_name.entry(name.to_string()).or_default();
            known.gone = false;
            let paths = Paths::of(&self.inner.folder, name, known.paths.take());
            let trace = Trace::of(&self.inner.folder, name, paths.as_ref(), secrets);
            known.paths = paths;
            let is_settled = look == Look::AtOnce || known.seen.as_ref() == Some(&trace);
            let is_new = is_settled && known.tried.as_ref() != Some(&trace);
            if is_new {
                known.tried = Some(trace.clone());
            }
            known.seen = Some(trace);
            is_new
        };
        if is_new {
            self.deploy(name, secrets);
        }
    }

    /// Serves the guests whose mount is free now, by name.
    fn retry_refused(&self) {
        let refused: Vec<_> = self.guests().by_name.values().filter_map(|known| known.refused.clone()).collect();
        for deployment in refused {
            // Its error is the guest's status.
            let _ = self.publish(deployment);
        }
    }

    /// Reads, compiles and serves a guest.
    fn deploy(&self, name: &GuestName, secrets: &Secrets) {
        let inner = &*self.inner;
        inner.unswept.fetch_add(1, Relaxed);
        let current = inner.registry.table().get(name).cloned();
        let read = inner.folder.read(name, secrets);
        match read.and_then(|files| Deployment::load_after(&inner.loader, files, current.as_deref())) {
            // Its error is the guest's status.
            Ok(deployment) => drop(self.publish(deployment)),
            Err(error) => self.failed(name.as_str(), &error),
        }
    }

    /// Serves a version, unless it is the one that is served.
    fn publish(&self, deployment: Arc<Deployment>) -> Result<Arc<Deployment>, ServeError> {
        let inner = &*self.inner;
        let name = deployment.name.clone();
        let current = inner.registry.table().get(&name).cloned();
        if let Some(current) = current.filter(|current| current.is_same(&deployment)) {
            // The event of a newer version would say the same.
            if self.succeeded(&name).is_some() {
                let serving = Some(current.version);
                inner.monitor.event(&Event::Failed { guest: name.as_str(), error: None, serving });
            }
            return Ok(current);
        }
        match inner.registry.replace(Arc::clone(&deployment)) {
            Ok(_old) => {
                let _mended = self.succeeded(&name);
                inner.monitor.event(&Event::Deployed {
                    guest: name.as_str(),
                    version: deployment.version,
                    mount: &deployment.config.mount,
                    module: deployment.hash,
                });
                Ok(deployment)
            }
            Err(error) => {
                self.failed(name.as_str(), &error);
                self.known(name.as_str(), |known| known.refused = Some(deployment));
                Err(error)
            }
        }
    }

    /// Forgets the error of a guest, and returns it.
    fn succeeded(&self, name: &GuestName) -> Option<String> {
        self.known(name.as_str(), |known| {
            known.refused = None;
            known.error.take()
        })
    }

    /// Keeps the error of a guest, and writes an event if it is a new one.
    fn failed(&self, name: &str, error: &ServeError) {
        let error = error.to_string();
        let before = self.known(name, |known| {
            known.refused = None;
            known.error.replace(error.clone())
        });
        if before.as_ref() != Some(&error) {
            let current = name.parse().ok().and_then(|name| self.inner.registry.table().get(&name).cloned());
            let serving = current.map(|current| current.version);
            self.inner.monitor.event(&Event::Failed { guest: name, error: Some(&error), serving });
        }
    }

    /// Serves the guests no more whose folders are gone.
    fn remove_all_but(&self, present: &BTreeSet<String>, look: Look) {
        let mut gone = Vec::new();
        for (name, known) in &mut self.guests().by_name {
            if !present.contains(name) {
                if known.gone || look == Look::AtOnce {
                    gone.push(name.clone());
                }
                known.gone = true;
            }
        }
        gone.iter().for_each(|name| self.forget(name));
    }

    /// Serves a guest no more.
    fn forget(&self, name: &str) {
        self.guests().by_name.remove(name);
        let Ok(name) = name.parse::<GuestName>() else { return };
        if self.inner.registry.remove(&name).is_some() {
            self.inner.monitor.event(&Event::Removed { guest: name.as_str() });
        }
        self.inner.monitor.forget(&name);
    }

    /// How all guests are served, by name. Folders whose name no guest can have are among them, with their error.
    #[must_use]
    pub fn statuses(&self) -> Vec<GuestStatus> {
        let table = self.inner.registry.table();
        let guests = self.guests();
        let status = |(name, known): (&String, &Known)| GuestStatus {
            deployment: name.parse().ok().and_then(|name| table.get(&name).cloned()),
            name: name.clone(),
            error: known.error.clone(),
        };
        guests.by_name.iter().map(status).collect()
    }

    /// How a guest is served; `None` if there is none of this name.
    #[must_use]
    pub fn status(&self, name: &str) -> Option<GuestStatus> {
        self.statuses().into_iter().find(|status| status.name == name)
    }

    /// Why the folder could not be read at the last look.
    #[must_use]
    pub fn folder_error(&self) -> Option<String> {
        self.guests().folder_error.clone()
    }

    fn work(&self) -> MutexGuard<'_, ()> {
        self.inner.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn guests(&self) -> MutexGuard<'_, Guests> {
        self.inner.guests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known<T>(&self, name: &str, change: impl FnOnce(&mut Known) -> T) -> T {
        change(self.guests().by_name.entry(name.to_owned()).or_default())
    }
}
