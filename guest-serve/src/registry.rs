//! The deployments that are served now, by name and by mount, for many threads.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::deployment::Deployment;
use crate::error::ServeError;
use crate::folder::GuestName;

/// The current deployments. Cheap to clone; the clones are the same.
///
/// Threads read it through a [`Reader`] of their own, which looks at one number and takes no lock unless something changed.
#[derive(Debug, Clone, Default)]
pub struct Registry {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Changes with each change of the table.
    version: AtomicU64,
    table: Mutex<Arc<Table>>,
}

/// The deployments of one moment.
#[derive(Debug, Clone, Default)]
pub struct Table {
    by_name: BTreeMap<GuestName, Arc<Deployment>>,
    /// Names by mount.
    by_mount: BTreeMap<String, Arc<Deployment>>,
}

/// A view of a [`Registry`] that belongs to one thread.
#[derive(Debug)]
pub struct Reader {
    registry: Registry,
    version: u64,
    table: Arc<Table>,
}

impl Registry {
    /// A view for one thread.
    #[must_use]
    pub fn reader(&self) -> Reader {
        let table = self.shared.table.lock().unwrap_or_else(PoisonError::into_inner);
        let version = self.shared.version.load(Ordering::Acquire);
        Reader { registry: self.clone(), version, table: Arc::clone(&table) }
    }

    /// The deployments of this moment.
    #[must_use]
    pub fn table(&self) -> Arc<Table> {
        Arc::clone(&self.shared.table.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts a deployment in the place of the guest's current one, which it returns.
    ///
    /// # Errors
    /// [`ServeError::Mount`] if another guest has its mount; the current one stays then.
    pub fn replace(&self, deployment: Arc<Deployment>) -> Result<Option<Arc<Deployment>>, ServeError> {
        self.change(
            |table| table.check_mount(&deployment),
            |table| {
                let old = table.remove(&deployment.name);
                table.by_mount.insert(deployment.config.mount.clone(), Arc::clone(&deployment));
                table.by_name.insert(deployment.name.clone(), Arc::clone(&deployment));
                old
            },
        )
    }

    /// Takes a guest out, and returns its deployment.
    #[must_use]
    pub fn remove(&self, name: &GuestName) -> Option<Arc<Deployment>> {
        let has_it = |table: &Table| if table.by_name.contains_key(name) { Ok(()) } else { Err(()) };
        self.change(has_it, |table| table.remove(name)).ok().flatten()
    }

    /// Changes a copy of the table, which takes the place of the table, unless `check` finds an error.
    fn change<T, E>(
        &self,
        check: impl FnOnce(&Table) -> Result<(), E>,
        change: impl FnOnce(&mut Table) -> T,
    ) -> Result<T, E> {
        let mut current = self.shared.table.lock().unwrap_or_else(PoisonError::into_inner);
        check(&current)?;
        let changed = change(Arc::make_mut(&mut current));
        // Under the lock, so that a reader that sees the number takes the table that belongs to it.
        self.shared.version.fetch_add(1, Ordering::Release);
        Ok(changed)
    }
}

impl Reader {
    /// The deployments of this moment.
    #[inline]
    pub fn table(&mut self) -> &Arc<Table> {
        if self.registry.shared.version.load(Ordering::Acquire) != self.version {
            *self = self.registry.reader();
        }
        &self.table
    }
}

impl Table {
    /// The deployment of a guest.
    #[must_use]
    pub fn get(&self, name: &GuestName) -> Option<&Arc<Deployment>> {
        self.by_name.get(name)
    }

    /// All deployments, by name.
    pub fn deployments(&self) -> impl Iterator<Item = &Arc<Deployment>> {
        self.by_name.values()
    }

    /// The deployment with the longest mount that the path is below, and the part of the path behind the mount.
    #[must_use]
    pub fn find<'p>(&self, path: &'p str) -> Option<(&Arc<Deployment>, &'p str)> {
        let mut end = path.len();
        loop {
            if let Some(found) = self.by_mount.get(&path[..end]).filter(|_| end > 0) {
                return found.rest(path).map(|rest| (found, rest));
            }
            match path[..end].rfind('/') {
                Some(slash) if end > 0 => end = slash,
                _ => break,
            }
        }
        self.by_mount.get("/").map(|found| (found, path))
    }

    /// Checks that no other guest has the mount of a deployment.
    ///
    /// # Errors
    /// [`ServeError::Mount`].
    pub fn check_mount(&self, deployment: &Deployment) -> Result<(), ServeError> {
        let mount = &deployment.config.mount;
        match self.by_mount.get(mount).filter(|other| other.name != deployment.name) {
            None => Ok(()),
            Some(other) => Err(ServeError::Mount {
                name: deployment.name.to_string(),
                other: other.name.to_string(),
                mount: mount.clone(),
            }),
        }
    }

    fn remove(&mut self, name: &GuestName) -> Option<Arc<Deployment>> {
        let old = self.by_name.remove(name)?;
        self.by_mount.remove(&old.config.mount);
        Some(old)
    }
}
