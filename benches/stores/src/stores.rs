//! The stores by one interface.

use std::path::Path;

use anyhow::Result;
use fjall::{KeyspaceCreateOptions, KvSeparationOptions, PersistMode};
use redb::{Database, Durability, ReadableDatabase as _, TableDefinition};

/// Bytes that each may keep of its files.
const CACHE: usize = 16 << 20;

/// A store of images.
pub(crate) trait Store: Sized {
    /// Opens the store in a folder, or makes it.
    fn open(folder: &Path) -> Result<Self>;

    /// Writes images in one transaction. If `is_durable`, it and those before are on the disk then.
    fn commit(&mut self, images: &[(Vec<u8>, Vec<u8>)], is_durable: bool) -> Result<()>;

    /// Bytes of an image.
    fn get(&mut self, key: &[u8]) -> Result<Option<usize>>;
}

/// redb: as guest-tenants uses it, or with commits that make repairs after a kill quick.
pub(crate) struct Redb<const QUICK_REPAIR: bool>(Database);

const IMAGES: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("images");

impl<const QUICK_REPAIR: bool> Store for Redb<QUICK_REPAIR> {
    fn open(folder: &Path) -> Result<Self> {
        let database = Database::builder().set_cache_size(CACHE).create(folder.join("tenants.redb"))?;
        let transaction = database.begin_write()?;
        transaction.open_table(IMAGES)?;
        transaction.commit()?;
        Ok(Self(database))
    }

    fn commit(&mut self, images: &[(Vec<u8>, Vec<u8>)], is_durable: bool) -> Result<()> {
        let mut transaction = self.0.begin_write()?;
        transaction.set_durability(if is_durable { Durability::Immediate } else { Durability::None })?;
        transaction.set_quick_repair(QUICK_REPAIR && is_durable);
        {
            let mut table = transaction.open_table(IMAGES)?;
            for (key, image) in images {
                table.insert(key.as_slice(), image.as_slice())?;
            }
        }
        Ok(transaction.commit()?)
    }

    fn get(&mut self, key: &[u8]) -> Result<Option<usize>> {
        let table = self.0.begin_read()?.open_table(IMAGES)?;
        Ok(table.get(key)?.map(|image| image.value().to_vec().len()))
    }
}

/// fjall, with images in its trees, or apart from them in files of their own.
pub(crate) struct Fjall<const APART: bool> {
    database: fjall::Database,
    images: fjall::Keyspace,
}

impl<const APART: bool> Store for Fjall<APART> {
    fn open(folder: &Path) -> Result<Self> {
        let database = fjall::Database::builder(folder.join("fjall")).cache_size(CACHE as u64).open()?;
        let apart = APART.then(KvSeparationOptions::default);
        let images = database.keyspace("images", || KeyspaceCreateOptions::default().with_kv_separation(apart))?;
        Ok(Self { database, images })
    }

    fn commit(&mut self, images: &[(Vec<u8>, Vec<u8>)], is_durable: bool) -> Result<()> {
        let mut batch = self.database.batch();
        for (key, image) in images {
            batch.insert(&self.images, key.as_slice(), image.as_slice());
        }
        batch.commit()?;
        if is_durable {
            self.database.persist(PersistMode::SyncData)?;
        }
        Ok(())
    }

    fn get(&mut self, key: &[u8]) -> Result<Option<usize>> {
        Ok(self.images.get(key)?.map(|image| image.to_vec().len()))
    }
}
