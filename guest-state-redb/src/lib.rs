#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use guest_state::{OrderedMap, OrderedMapMut};
use redb::{
    Database, ReadOnlyTable, ReadTransaction, ReadableDatabase as _, ReadableTable, Table, TableDefinition,
    WriteTransaction,
};

/// A table of records.
type Definition<'a> = TableDefinition<'a, &'static [u8], &'static [u8]>;

/// A table of records in a database. Clones share the database.
#[derive(Clone)]
pub struct RedbMap {
    database: Arc<Database>,
    table: Arc<str>,
}

impl RedbMap {
    /// The table of this name, which is made if the database has none.
    ///
    /// # Errors
    /// [`redb::Error`] if the database cannot be written, or has a table of this name with other types.
    pub fn open(database: Arc<Database>, table: &str) -> Result<Self, redb::Error> {
        let transaction = database.begin_write()?;
        transaction.open_table(Definition::new(table))?;
        transaction.commit()?;
        Ok(Self { database, table: table.into() })
    }

    /// The table as it is now. It stays as it is while others write.
    ///
    /// # Errors
    /// [`redb::Error`] if the database cannot be read.
    pub fn snapshot(&self) -> Result<Snapshot, redb::Error> {
        Snapshot::open(&self.database.begin_read()?, &self.table)
    }
}

impl fmt::Debug for RedbMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedbMap").field("table", &self.table).finish_non_exhaustive()
    }
}

impl OrderedMap for RedbMap {
    type Error = redb::Error;

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, redb::Error> {
        self.snapshot()?.get(key)
    }

    fn range(&self, first: &[u8], visit: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), redb::Error> {
        self.snapshot()?.range(first, visit)
    }
}

impl OrderedMapMut for RedbMap {
    fn write(&mut self, entries: BTreeMap<Vec<u8>, Vec<u8>>) -> Result<(), redb::Error> {
        let transaction = self.database.begin_write()?;
        InTransaction::open(&transaction, &self.table)?.write(entries)?;
        transaction.commit()?;
        Ok(())
    }
}

/// A table of records at one moment.
#[derive(Debug)]
pub struct Snapshot(ReadOnlyTable<&'static [u8], &'static [u8]>);

impl Snapshot {
    /// The table of this name as the transaction has it.
    ///
    /// # Errors
    /// [`redb::Error`] if there is no such table, or one with other types.
    pub fn open(transaction: &ReadTransaction, table: &str) -> Result<Self, redb::Error> {
        Ok(Self(transaction.open_table(Definition::new(table))?))
    }
}

impl OrderedMap for Snapshot {
    type Error = redb::Error;

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, redb::Error> {
        get(&self.0, key)
    }

    fn range(&self, first: &[u8], visit: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), redb::Error> {
        range(&self.0, first, visit)
    }
}

/// A table of records in a write transaction, which the caller commits.
#[derive(Debug)]
pub struct InTransaction<'txn>(Table<'txn, &'static [u8], &'static [u8]>);

impl<'txn> InTransaction<'txn> {
    /// The table of this name, which is made if there is none. Drop it before the transaction is committed.
    ///
    /// # Errors
    /// [`redb::Error`] if the table is open already, or has other types.
    pub fn open(transaction: &'txn WriteTransaction, table: &str) -> Result<Self, redb::Error> {
        Ok(Self(transaction.open_table(Definition::new(table))?))
    }
}

impl OrderedMap for InTransaction<'_> {
    type Error = redb::Error;

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, redb::Error> {
        get(&self.0, key)
    }

    fn range(&self, first: &[u8], visit: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), redb::Error> {
        range(&self.0, first, visit)
    }
}

/// If a write fails, abort the transaction: some of the entries may be in it.
impl OrderedMapMut for InTransaction<'_> {
    fn write(&mut self, entries: BTreeMap<Vec<u8>, Vec<u8>>) -> Result<(), redb::Error> {
        for (key, value) in entries {
            self.0.insert(key.as_slice(), value.as_slice())?;
        }
        Ok(())
    }
}

fn get(table: &impl ReadableTable<&'static [u8], &'static [u8]>, key: &[u8]) -> Result<Option<Vec<u8>>, redb::Error> {
    Ok(table.get(key)?.map(|value| value.value().to_vec()))
}

fn range(
    table: &impl ReadableTable<&'static [u8], &'static [u8]>,
    first: &[u8],
    visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
) -> Result<(), redb::Error> {
    for entry in table.range(first..)? {
        let (key, value) = entry?;
        if !visit(key.value(), value.value()) {
            break;
        }
    }
    Ok(())
}
