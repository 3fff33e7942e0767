//! The records of all tenants, in one file.
//!
//! Reads go through a [`Snapshot`], which stays as it is while others write. Writes go through one thread: it takes
//! whatever commits wait, applies each of them completely or not at all, and makes all of them durable by one
//! transaction. A commit is answered after that.

use std::collections::BTreeMap;
use std::fmt;
use std::panic;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use guest_abi::key::Key;
use guest_abi::storage;
use guest_abi::value::ValueRef;
use guest_state::{MemoryStateError, StoredState, StoredStateError};
use guest_state_redb::InTransaction;
use redb::{Database, DatabaseError, ReadOnlyTable, ReadableDatabase as _, TableDefinition};
use tokio::sync::{mpsc, oneshot, watch};

use crate::metrics::ServiceMetrics;
use crate::turns::Turn;

/// Name of the table of records. Each tenant owns those under its name.
const RECORDS: &str = "records";
/// Names of the tenants that exist.
const TENANTS: TableDefinition<'_, &str, ()> = TableDefinition::new("tenants");

/// Commits that one transaction takes at most. Each of them waits for all others.
const MOST_TOGETHER: usize = 256;

/// Error of a read or a write.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A storage that is not well known, and of which the tenant has no record.
    #[error("unsupported storage `{0}`: it is not a well-known one, and the tenant has no record of it")]
    UnsupportedStorage(String),
    /// A key that no record can have, an intent that updates a record which does not exist, or malformed intents.
    #[error(transparent)]
    State(MemoryStateError),
    /// An entry of the table that is not a record.
    #[error("the store has an entry that is not a record")]
    Damaged,
    /// The database failed.
    #[error("the store failed: {0}")]
    Database(Arc<redb::Error>),
    /// The store is closed.
    #[error("the store is closed")]
    Closed,
}

impl StoreError {
    fn database(error: impl Into<redb::Error>) -> Self {
        Self::Database(Arc::new(error.into()))
    }
}

impl From<MemoryStateError> for StoreError {
    fn from(error: MemoryStateError) -> Self {
        match error {
            MemoryStateError::UnsupportedStorage { storage } => Self::UnsupportedStorage(storage),
            error => Self::State(error),
        }
    }
}

impl From<StoredStateError<redb::Error>> for StoreError {
    fn from(error: StoredStateError<redb::Error>) -> Self {
        match error {
            StoredStateError::State(error) => error.into(),
            StoredStateError::Map(error) => Self::database(error),
            _ => Self::Damaged,
        }
    }
}

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The folder of a file that does not exist either.
    #[error("the folder {} does not exist; make it first", .0.display())]
    NoFolder(PathBuf),
    /// A store that is open already.
    #[error("it is already open, probably in another process; each process needs a store of its own")]
    InUse,
    /// A store that is damaged.
    #[error("the file is damaged ({0}); restore it from a backup")]
    Damaged(String),
    /// A file that is not a store, or that cannot be read or written.
    #[error(transparent)]
    Database(redb::Error),
}

impl From<redb::Error> for OpenError {
    fn from(error: redb::Error) -> Self {
        match error {
            redb::Error::Corrupted(what) => Self::Damaged(what),
            error => Self::Database(error),
        }
    }
}

/// The open store. Cheap to clone; the clones share the file and the thread that writes.
#[derive(Clone)]
pub struct Store {
    database: Arc<Database>,
    writes: mpsc::Sender<Write>,
    /// Why no write succeeds any more.
    failure: watch::Receiver<Option<Arc<redb::Error>>>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}

/// The thread that writes. It ends when every [`Store`] is gone.
#[derive(Debug)]
pub struct Writer(JoinHandle<()>);

impl Writer {
    /// Waits until everything that was sent is written and the file is closed. Drop every [`Store`] before: the writer
    /// goes on as long as there is one.
    pub fn join(self) {
        if self.0.join().is_err() {
            eprintln!("the writer of the store panicked");
        }
    }
}

/// One thing to write.
struct Write {
    what: What,
    done: oneshot::Sender<Result<(), StoreError>>,
}

enum What {
    Tenant(String),
    /// The turn is held until the intents are durable, also if nobody waits for the answer any more.
    Intents {
        turn: Turn,
        intents: Vec<u8>,
    },
}

impl Store {
    /// Opens the store in this file, which is made if it does not exist.
    ///
    /// # Errors
    /// [`OpenError`] if the folder does not exist, or if the file is not a store, is open already, or cannot be read or
    /// written.
    pub fn open(path: &Path, metrics: ServiceMetrics) -> Result<(Self, Writer), OpenError> {
        if let Some(folder) = path.parent()
            && !folder.as_os_str().is_empty()
            && !folder.exists()
        {
            return Err(OpenError::NoFolder(folder.to_owned()));
        }
        // Some damage makes redb panic.
        let opened = panic::catch_unwind(|| {
            let database = Database::create(path).map_err(|error| match error {
                DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => OpenError::InUse,
                error => redb::Error::from(error).into(),
            })?;
            make_tables(&database)?;
            Ok::<_, OpenError>(database)
        });
        let database = opened.map_err(|_| OpenError::Damaged("reading it panicked".to_owned()))??;
        let database = Arc::new(database);
        let (writes, waiting) = mpsc::channel(MOST_TOGETHER);
        let (fails, failure) = watch::channel(None);
        let written = Arc::clone(&database);
        let thread = thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || write_all(&written, waiting, &fails, &metrics))
            .map_err(redb::Error::Io)?;
        Ok((Self { database, writes, failure }, Writer(thread)))
    }

    /// Ends when a write has failed as a whole, as on a full disk. No later write succeeds then: redb refuses them until the
    /// file is opened again.
    pub async fn failed(&self) -> StoreError {
        let mut failure = self.failure.clone();
        match failure.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(error)) => StoreError::Database(Arc::clone(error)),
            // The writer has ended while there is a store: it panicked.
            _ => StoreError::Closed,
        }
    }

    /// Whether writes can succeed.
    #[must_use]
    pub fn can_write(&self) -> bool {
        self.failure.borrow().is_none() && self.failure.has_changed().is_ok()
    }

    /// The records as they are now.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub fn snapshot(&self) -> Result<Snapshot, StoreError> {
        let transaction = self.database.begin_read().map_err(StoreError::database)?;
        Ok(Snapshot {
            records: guest_state_redb::Snapshot::open(&transaction, RECORDS).map_err(StoreError::database)?,
            tenants: transaction.open_table(TENANTS).map_err(StoreError::database)?,
        })
    }

    /// Makes a tenant, unless it exists already, and returns when that is durable.
    ///
    /// # Errors
    /// [`StoreError::Database`] or [`StoreError::Closed`].
    pub async fn add_tenant(&self, tenant: String) -> Result<(), StoreError> {
        self.write(What::Tenant(tenant)).await
    }

    /// Applies the intents of one call for the tenant whose turn it is, completely or not at all, and returns when they are
    /// durable.
    ///
    /// # Errors
    /// [`StoreError`] if one of them cannot be applied. None of them is then.
    pub async fn commit(&self, turn: Turn, intents: Vec<u8>) -> Result<(), StoreError> {
        self.write(What::Intents { turn, intents }).await
    }

    async fn write(&self, what: What) -> Result<(), StoreError> {
        let (done, answer) = oneshot::channel();
        self.writes.send(Write { what, done }).await.map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }
}

/// Makes the tables, so that no read has to find out that there is none yet.
fn make_tables(database: &Database) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    InTransaction::open(&transaction, RECORDS)?;
    transaction.open_table(TENANTS)?;
    transaction.commit()?;
    Ok(())
}

/// The records at one moment.
#[derive(Debug)]
pub struct Snapshot {
    records: guest_state_redb::Snapshot,
    tenants: ReadOnlyTable<&'static str, ()>,
}

/// A record: its key map and its value.
type Row = (Vec<u8>, Vec<u8>);

impl Snapshot {
    /// Whether this tenant exists.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub fn has_tenant(&self, tenant: &str) -> Result<bool, StoreError> {
        self.tenants.get(tenant).map(|found| found.is_some()).map_err(StoreError::database)
    }

    /// The value of the record with this key.
    ///
    /// # Errors
    /// [`StoreError`]; an absent record is not an error.
    pub fn get(&self, tenant: &str, key: &Key<'_>) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.of(tenant).find(key)?)
    }

    /// The rows that match a partial key, starting behind the row whose key map is `after`: as many whole ones as fit `room`
    /// bytes, or the next one alone if it is larger; empty if there are no more.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn read(
        &self,
        tenant: &str,
        key: &Key<'_>,
        after: Option<ValueRef<'_>>,
        room: usize,
    ) -> Result<Vec<u8>, StoreError> {
        Ok(self.of(tenant).page(key, after, room)?.into_rows())
    }

    /// The first rows that match a partial key, at most `most` of them.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn list(&self, tenant: &str, key: &Key<'_>, most: usize) -> Result<Vec<Row>, StoreError> {
        let mut rows = Vec::new();
        self.of(tenant).rows(key, None, |map, value| {
            if rows.len() < most {
                rows.push((map.to_vec(), value.to_vec()));
            }
            rows.len() < most
        })?;
        Ok(rows)
    }

    fn of(&self, tenant: &str) -> StoredState<&guest_state_redb::Snapshot> {
        StoredState::of(tenant, &self.records)
    }
}

/// Applies all writes as they come, until every sender is gone.
fn write_all(
    database: &Database,
    mut waiting: mpsc::Receiver<Write>,
    fails: &watch::Sender<Option<Arc<redb::Error>>>,
    metrics: &ServiceMetrics,
) {
    let mut together = Vec::new();
    while waiting.blocking_recv_many(&mut together, MOST_TOGETHER) > 0 {
        let mut written = write_together(database, &together);
        match &written {
            Ok(failed) => metrics.committed(together.len() - failed.len()),
            Err(error) => {
                // The first says why; those after it say that there was one.
                fails.send_if_modified(|first| {
                    let is_first = first.is_none();
                    first.get_or_insert_with(|| Arc::clone(error));
                    is_first
                });
            }
        }
        for (index, Write { what, done }) in together.drain(..).enumerate() {
            let answer = match &mut written {
                Ok(failed) => failed.remove(&index).map_or(Ok(()), Err),
                Err(error) => Err(StoreError::Database(Arc::clone(error))),
            };
            // This ends the turn: the next call of the tenant finds these records.
            drop(what);
            // The client may have gone meanwhile.
            let _ = done.send(answer);
        }
    }
}

/// Writes several things by one transaction. Returns the errors of those that were left out, by index.
fn write_together(database: &Database, together: &[Write]) -> Result<BTreeMap<usize, StoreError>, Arc<redb::Error>> {
    let failed = || -> Result<_, redb::Error> {
        let mut failed = BTreeMap::new();
        let transaction = database.begin_write()?;
        {
            let mut records = InTransaction::open(&transaction, RECORDS)?;
            let mut tenants = transaction.open_table(TENANTS)?;
            for (index, write) in together.iter().enumerate() {
                match &write.what {
                    What::Tenant(tenant) => drop(tenants.insert(tenant.as_str(), ())?),
                    What::Intents { turn, intents } => {
                        let mut state = StoredState::of(turn.tenant(), &mut records);
                        // The answer has the result.
                        match state.apply_if(intents, |intent| intent.key.storage != storage::RESULT) {
                            Ok(_) => {}
                            // Some of this commit may be written: none of the transaction is.
                            Err(StoredStateError::Map(error)) => return Err(error),
                            Err(error) => drop(failed.insert(index, error.into())),
                        }
                    }
                }
            }
        }
        transaction.commit()?;
        Ok(failed)
    };
    failed().map_err(Arc::new)
}
