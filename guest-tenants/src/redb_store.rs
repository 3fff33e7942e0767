//! Images in a file of redb.

mod groups;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, TryLockError};

use guest_host::guest_image::ImageError;
use redb::{Database, Durability, ReadTransaction, ReadableDatabase as _, TableDefinition, WriteTransaction};

use crate::store::{Image, Store, decoded, encoded};
use groups::Changes;
pub use groups::{Listed, Usage};

const IMAGES: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("images");
const NOTES: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("notes");

/// Images in a file of [redb](https://www.redb.org). What was saved is on the disk once [`RedbStore::sync`] or [`RedbStore::commit`] has
/// returned; if the process is killed before, the file has the images of the time before. A store that is dropped syncs.
///
/// After an error of the disk the file is opened again, and has what was on the disk.
///
/// A clone is the same file, for the [`Tenants`](crate::Tenants) of another thread. Notes that were not written yet are not cloned.
///
/// Embedders may have tables of their own in the file: [`RedbStore::commit_with`] and [`RedbReader`]. The names `images`, `notes` and
/// `groups` are taken.
#[derive(Debug)]
pub struct RedbStore {
    shared: Arc<Shared>,
    /// Notes that belong into the next transaction.
    notes: BTreeMap<Box<str>, Vec<u8>>,
}

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    cache: usize,
    /// `None` after an error, until it is opened again.
    database: RwLock<Option<Database>>,
    /// Times that it was opened. Changes only with the database, under its lock.
    opened: AtomicU64,
}

impl Clone for RedbStore {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), notes: BTreeMap::new() }
    }
}

impl Shared {
    fn open(path: &Path, cache: usize) -> Result<Database, redb::Error> {
        let database = Database::builder().set_cache_size(cache).create(path)?;
        let transaction = database.begin_write()?;
        transaction.open_table(IMAGES)?;
        transaction.open_table(NOTES)?;
        groups::begin(&transaction)?;
        transaction.commit()?;
        Ok(database)
    }

    /// Does something with the file, which is opened again if an error of the disk has closed it, and closed after one.
    fn with<T>(&self, work: impl FnOnce(&Database) -> Result<T, redb::Error>) -> Result<T, RedbStoreError> {
        let (result, opened) = {
            let mut database = self.database.read().unwrap_or_else(PoisonError::into_inner);
            if database.is_none() {
                drop(database);
                self.open_again()?;
                database = self.database.read().unwrap_or_else(PoisonError::into_inner);
            }
            // If it is not open now, another thread has met the next error.
            self.use_open(database.as_ref(), work)
        };
        if is_of_disk(&result) {
            self.close(&mut self.database.write().unwrap_or_else(PoisonError::into_inner), opened);
        }
        Ok(result?)
    }

    /// As [`Shared::with`], but never waits for the file to be opened or closed: while it is not open, that is an error.
    fn with_open<T>(&self, work: impl FnOnce(&Database) -> Result<T, redb::Error>) -> Result<T, RedbStoreError> {
        let (result, opened) = {
            let database = match self.database.try_read() {
                Ok(database) => database,
                Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => return Err(redb::Error::PreviousIo.into()),
            };
            self.use_open(database.as_ref(), work)
        };
        // If others use the file at the moment, they meet the error too, or else whoever reads next.
        if is_of_disk(&result)
            && let Ok(mut database) = self.database.try_write()
        {
            self.close(&mut database, opened);
        }
        Ok(result?)
    }

    /// Does something with the file if it is open. Also says as the how many-th it was opened.
    fn use_open<T>(
        &self,
        database: Option<&Database>,
        work: impl FnOnce(&Database) -> Result<T, redb::Error>,
    ) -> (Result<T, redb::Error>, u64) {
        (database.map_or(Err(redb::Error::PreviousIo), work), self.opened())
    }

    /// Closes the file after an error of the one that was opened as the `opened`th. If another thread has opened it again since, that
    /// one is healthy, and stays.
    fn close(&self, database: &mut Option<Database>, opened: u64) {
        if self.opened() == opened {
            *database = None;
        }
    }

    fn opened(&self) -> u64 {
        self.opened.load(Ordering::Relaxed)
    }

    fn open_again(&self) -> Result<(), redb::Error> {
        let mut database = self.database.write().unwrap_or_else(PoisonError::into_inner);
        if database.is_none() {
            *database = Some(Self::open(&self.path, self.cache)?);
            self.opened.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// Whether an error of the disk makes the open file useless.
const fn is_of_disk<T>(result: &Result<T, redb::Error>) -> bool {
    matches!(result, Err(redb::Error::Io(_) | redb::Error::PreviousIo))
}

/// Reads tables of the embedder's own in the file of a [`RedbStore`]. Cheap to clone.
#[derive(Debug, Clone)]
pub struct RedbReader {
    shared: Arc<Shared>,
    /// Whether it opens the file again after an error.
    opens: bool,
}

impl RedbReader {
    /// A reader that never opens the file again after an error, which may take minutes: for threads that must not wait. While the file
    /// is not open, or another thread opens it, reading fails with [`redb::Error::PreviousIo`].
    #[must_use]
    pub fn without_opening(self) -> Self {
        Self { opens: false, ..self }
    }

    fn with<T>(&self, work: impl FnOnce(&Database) -> Result<T, redb::Error>) -> Result<T, RedbStoreError> {
        match self.opens {
            true => self.shared.with(work),
            false => self.shared.with_open(work),
        }
    }

    /// Lets `read` read the file as it is now: all that was saved, also what is not on the disk yet. The file keeps the space of what
    /// others replace as long as the transaction lives.
    ///
    /// # Errors
    /// [`RedbStoreError::Redb`] if the file cannot be read.
    pub fn read<T>(&self, read: impl FnOnce(&ReadTransaction) -> Result<T, redb::Error>) -> Result<T, RedbStoreError> {
        self.with(|database| read(&database.begin_read()?))
    }

    /// As [`RedbStore::opened`]. It stays the same while [`RedbReader::read`] reads.
    #[must_use]
    pub fn opened(&self) -> u64 {
        self.shared.opened()
    }
}

/// Why images in a file could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RedbStoreError {
    /// redb's reason.
    #[error(transparent)]
    Redb(Box<redb::Error>),
    /// An image that cannot be used.
    #[error("the image of `{tenant}` cannot be used: {source}")]
    Image {
        /// The tenant.
        tenant: String,
        /// What is wrong with it.
        source: ImageError,
    },
}

/// Of each of redb's errors.
impl<E: Into<redb::Error>> From<E> for RedbStoreError {
    fn from(error: E) -> Self {
        Self::Redb(Box::new(error.into()))
    }
}

impl RedbStore {
    /// Opens the file, or makes it. `cache` is how many bytes of the file are kept in the process's memory.
    ///
    /// # Errors
    /// [`RedbStoreError::Redb`] if it cannot be opened, is open elsewhere, or is something else.
    pub fn open(path: &Path, cache: usize) -> Result<Self, RedbStoreError> {
        let database = RwLock::new(Some(Shared::open(path, cache)?));
        let shared = Shared { path: path.to_owned(), cache, database, opened: AtomicU64::new(1) };
        Ok(Self { shared: Arc::new(shared), notes: BTreeMap::new() })
    }

    /// Number of images in it.
    ///
    /// # Errors
    /// [`RedbStoreError::Redb`] if the file cannot be read.
    pub fn len(&self) -> Result<u64, RedbStoreError> {
        use redb::ReadableTableMetadata as _;
        self.shared.with(|database| Ok(database.begin_read()?.open_table(IMAGES)?.len()?))
    }

    /// Whether it has none.
    ///
    /// # Errors
    /// As for [`RedbStore::len`].
    pub fn is_empty(&self) -> Result<bool, RedbStoreError> {
        Ok(self.len()? == 0)
    }

    /// Times that the file was opened. If it changes, images that were saved and not yet on the disk are lost.
    #[must_use]
    pub fn opened(&self) -> u64 {
        self.shared.opened()
    }

    /// Whether the file is open. After an error of the disk it is not, until the store is used again.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.shared.database.read().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Keeps what the embedder knows of a tenant, in the same transaction as the images that are written next. An empty note is
    /// forgotten.
    pub fn set_note(&mut self, tenant: &str, note: Vec<u8>) {
        self.notes.insert(tenant.into(), note);
    }

    /// Forgets a note that was not written yet.
    pub fn unset_note(&mut self, tenant: &str) {
        self.notes.remove(tenant);
    }

    /// The note of a tenant, also one that was not written yet; empty if there is none.
    ///
    /// # Errors
    /// [`RedbStoreError::Redb`] if the file cannot be read.
    pub fn note(&self, tenant: &str) -> Result<Vec<u8>, RedbStoreError> {
        if let Some(note) = self.notes.get(tenant) {
            return Ok(note.clone());
        }
        self.shared.with(|database| {
            let table = database.begin_read()?.open_table(NOTES)?;
            Ok(table.get(tenant)?.map(|note| note.value().to_vec()).unwrap_or_default())
        })
    }

    /// Keeps images, and the notes that were set, in one transaction, and waits until they are on the disk. All that was saved before is
    /// there then, too.
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use guest_host::guest_image::{Delta, Identity};
    /// use guest_tenants::{Image, RedbStore, Store as _};
    ///
    /// let folder = tempfile::tempdir()?;
    /// let mut store = RedbStore::open(&folder.path().join("tenants.redb"), 1 << 20)?;
    /// let identity = Arc::new(Identity::of([0; 32], b"", &[0; 65536], &[]));
    /// let image = Image { number: 1, delta: Delta::pristine(identity, 65536) };
    /// store.set_note("ada", b"3 connections".to_vec());
    /// store.commit(&[("ada", &image)])?;
    /// assert_eq!(store.load("ada")?, Some(image));
    /// assert_eq!(store.note("ada")?, b"3 connections");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`RedbStoreError::Redb`] if it cannot be written; nothing of it is kept then, and the notes are still set.
    pub fn commit(&mut self, images: &[(&str, &Image)]) -> Result<(), RedbStoreError> {
        self.commit_with(images, |_| Ok(()))
    }

    /// As [`RedbStore::commit`]. `beside` writes tables of the embedder's own in the same transaction: either all of it is kept, or
    /// nothing.
    ///
    /// ```
    /// use guest_tenants::{RedbStore, redb::TableDefinition};
    ///
    /// const COUNTS: TableDefinition<'_, &str, u64> = TableDefinition::new("counts");
    ///
    /// let folder = tempfile::tempdir()?;
    /// let mut store = RedbStore::open(&folder.path().join("tenants.redb"), 1 << 20)?;
    /// store.commit_with(&[], |transaction| {
    ///     transaction.open_table(COUNTS)?.insert("ada", 3)?;
    ///     Ok(())
    /// })?;
    /// let count = store.reader().read(|transaction| {
    ///     use guest_tenants::redb::ReadableTable as _;
    ///     Ok(transaction.open_table(COUNTS)?.get("ada")?.map(|count| count.value()))
    /// })?;
    /// assert_eq!(count, Some(3));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As for [`RedbStore::commit`], and the error of `beside`.
    pub fn commit_with(
        &mut self,
        images: &[(&str, &Image)],
        beside: impl FnOnce(&WriteTransaction) -> Result<(), redb::Error>,
    ) -> Result<(), RedbStoreError> {
        self.write(images, Durability::Immediate, beside)
    }

    /// As [`RedbStore::commit_with`], without waiting for the disk, as [`Store::save`] does.
    ///
    /// # Errors
    /// As for [`RedbStore::commit_with`].
    pub fn save_with(
        &mut self,
        images: &[(&str, &Image)],
        beside: impl FnOnce(&WriteTransaction) -> Result<(), redb::Error>,
    ) -> Result<(), RedbStoreError> {
        self.write(images, Durability::None, beside)
    }

    /// Reads tables of the embedder's own, also beside the writes of other threads.
    #[must_use]
    pub fn reader(&self) -> RedbReader {
        RedbReader { shared: Arc::clone(&self.shared), opens: true }
    }

    fn write(
        &mut self,
        images: &[(&str, &Image)],
        durability: Durability,
        beside: impl FnOnce(&WriteTransaction) -> Result<(), redb::Error>,
    ) -> Result<(), RedbStoreError> {
        let notes = &self.notes;
        self.shared.with(|database| {
            let mut transaction = database.begin_write()?;
            transaction.set_durability(durability)?;
            {
                let mut table = transaction.open_table(IMAGES)?;
                let mut changes = Changes::default();
                for (tenant, image) in images {
                    let bytes = encoded(image);
                    let before = table.insert(*tenant, bytes.as_slice())?.map(|before| before.value().len());
                    changes.add(tenant, before, Some(bytes.len()));
                }
                changes.write(&transaction)?;
                let mut table = transaction.open_table(NOTES)?;
                for (tenant, note) in notes {
                    match note.is_empty() {
                        true => drop(table.remove(&**tenant)?),
                        false => drop(table.insert(&**tenant, note.as_slice())?),
                    }
                }
            }
            beside(&transaction)?;
            Ok(transaction.commit()?)
        })?;
        self.notes.clear();
        Ok(())
    }

    /// Waits until everything that was saved is on the disk.
    ///
    /// # Errors
    /// [`RedbStoreError::Redb`] if it cannot be written.
    pub fn sync(&mut self) -> Result<(), RedbStoreError> {
        // A transaction that waits makes those before it durable.
        self.write(&[], Durability::Immediate, |_| Ok(()))
    }
}

impl Drop for RedbStore {
    fn drop(&mut self) {
        // Whoever must know whether it succeeds calls it.
        let _ = self.sync();
    }
}

impl Store for RedbStore {
    type Error = RedbStoreError;

    fn load(&mut self, tenant: &str) -> Result<Option<Image>, Self::Error> {
        let found = self.shared.with(|database| {
            let table = database.begin_read()?.open_table(IMAGES)?;
            Ok(table.get(tenant)?.map(|bytes| decoded(bytes.value())))
        })?;
        found.transpose().map_err(|source| RedbStoreError::Image { tenant: tenant.to_owned(), source })
    }

    fn contains(&mut self, tenant: &str) -> Result<bool, Self::Error> {
        self.shared.with(|database| Ok(database.begin_read()?.open_table(IMAGES)?.get(tenant)?.is_some()))
    }

    fn save(&mut self, images: &[(&str, &Image)]) -> Result<(), Self::Error> {
        self.save_with(images, |_| Ok(()))
    }

    fn remove(&mut self, tenant: &str) -> Result<(), Self::Error> {
        self.notes.remove(tenant);
        self.shared.with(|database| {
            let mut transaction = database.begin_write()?;
            transaction.set_durability(Durability::None)?;
            let mut changes = Changes::default();
            let before = transaction.open_table(IMAGES)?.remove(tenant)?.map(|before| before.value().len());
            changes.add(tenant, before, None);
            changes.write(&transaction)?;
            transaction.open_table(NOTES)?.remove(tenant)?;
            Ok(transaction.commit()?)
        })
    }
}

#[cfg(test)]
mod tests;
