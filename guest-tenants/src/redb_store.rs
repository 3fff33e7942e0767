//! Images in a file of redb.

use std::path::Path;
use std::sync::Arc;

use guest_host::guest_image::ImageError;
use redb::{Database, Durability, ReadableDatabase as _, TableDefinition};

use crate::store::{Image, Store, decoded, encoded};

const IMAGES: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("images");
const NOTES: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("notes");

/// Images in a file of [redb](https://www.redb.org). What was saved is on the disk once [`RedbStore::sync`] has returned; if the
/// process is killed before, the file has the images of the sync before. A store that is dropped syncs.
///
/// Cheap to clone: clones are the same file, for the [`Tenants`](crate::Tenants) of other threads.
#[derive(Debug, Clone)]
pub struct RedbStore {
    database: Arc<Database>,
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
        let database = Database::builder().set_cache_size(cache).create(path)?;
        let transaction = database.begin_write()?;
        transaction.open_table(IMAGES)?;
        transaction.open_table(NOTES)?;
        transaction.commit()?;
        Ok(Self { database: Arc::new(database) })
    }

    /// Number of images in it.
    ///
    /// # Errors
    /// [`RedbStoreError::Redb`] if the file cannot be read.
    pub fn len(&self) -> Result<u64, RedbStoreError> {
        use redb::ReadableTableMetadata as _;
        Ok(self.database.begin_read()?.open_table(IMAGES)?.len()?)
    }

    /// Whether it has none.
    ///
    /// # Errors
    /// As for [`RedbStore::len`].
    pub fn is_empty(&self) -> Result<bool, RedbStoreError> {
        Ok(self.len()? == 0)
    }

    /// Keeps images and notes in one transaction, and waits until they are on the disk. A note is what the embedder knows of a tenant; an
    /// empty one is forgotten.
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
    /// store.commit(&[("ada", &image)], &[("ada", b"3 connections")])?;
    /// assert_eq!(store.load("ada")?, Some(image));
    /// assert_eq!(store.note("ada")?.as_deref(), Some(&b"3 connections"[..]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`RedbStoreError::Redb`] if it cannot be written; nothing of it is kept then.
    pub fn commit(&mut self, images: &[(&str, &Image)], notes: &[(&str, &[u8])]) -> Result<(), RedbStoreError> {
        self.write(images, notes, Durability::Immediate)
    }

    fn write(
        &mut self,
        images: &[(&str, &Image)],
        notes: &[(&str, &[u8])],
        durability: Durability,
    ) -> Result<(), RedbStoreError> {
        let mut transaction = self.database.begin_write()?;
        transaction.set_durability(durability)?;
        {
            let mut table = transaction.open_table(IMAGES)?;
            for (tenant, image) in images {
                table.insert(*tenant, encoded(image).as_slice())?;
            }
            let mut table = transaction.open_table(NOTES)?;
            for (tenant, note) in notes {
                match note.is_empty() {
                    true => drop(table.remove(*tenant)?),
                    false => drop(table.insert(*tenant, *note)?),
                }
            }
        }
        Ok(transaction.commit()?)
    }

    /// The note of a tenant.
    ///
    /// # Errors
    /// [`RedbStoreError::Redb`] if the file cannot be read.
    pub fn note(&self, tenant: &str) -> Result<Option<Vec<u8>>, RedbStoreError> {
        let table = self.database.begin_read()?.open_table(NOTES)?;
        Ok(table.get(tenant)?.map(|note| note.value().to_vec()))
    }

    /// Waits until everything that was saved is on the disk.
    ///
    /// # Errors
    /// [`RedbStoreError::Redb`] if it cannot be written.
    pub fn sync(&mut self) -> Result<(), RedbStoreError> {
        // A transaction that waits makes those before it durable.
        let transaction = self.database.begin_write()?;
        Ok(transaction.commit()?)
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
        let table = self.database.begin_read()?.open_table(IMAGES)?;
        let found = table.get(tenant)?;
        let image = found.map(|bytes| decoded(bytes.value())).transpose();
        image.map_err(|source| RedbStoreError::Image { tenant: tenant.to_owned(), source })
    }

    fn save(&mut self, images: &[(&str, &Image)]) -> Result<(), Self::Error> {
        self.write(images, &[], Durability::None)
    }

    fn remove(&mut self, tenant: &str) -> Result<(), Self::Error> {
        let mut transaction = self.database.begin_write()?;
        transaction.set_durability(Durability::None)?;
        transaction.open_table(IMAGES)?.remove(tenant)?;
        transaction.open_table(NOTES)?.remove(tenant)?;
        Ok(transaction.commit()?)
    }
}
