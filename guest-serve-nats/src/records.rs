//! Where the records of tenants are: a bucket whose values have revisions.

use std::future::Future;

use async_nats::jetstream::kv::{Operation, Store, UpdateErrorKind};

use crate::error::Unavailable;
use crate::names::Tenant;
use crate::record::{Record, RecordError};

/// Where the records of tenants are.
///
/// A write says which revision of the record it follows, and is refused if that is not the last one. So the records of a tenant are
/// one chain, whichever process writes them: a process that was away for a while cannot overwrite the records that others wrote meanwhile.
pub trait Records: Send + Sync + 'static {
    /// The record of a tenant and its revision; a fresh one and 0 if there is none.
    fn load(&self, tenant: &Tenant) -> impl Future<Output = Result<(Record, u64), LoadError>> + Send;

    /// Writes the record that follows `revision`, and returns its own revision.
    fn save(
        &self,
        tenant: &Tenant,
        record: &Record,
        revision: u64,
    ) -> impl Future<Output = Result<u64, SaveError>> + Send;
}

/// Why a record cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// NATS did not answer.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// The value is no record.
    #[error("the record of the tenant cannot be used: {0}")]
    Record(#[from] RecordError),
}

/// Why a record was not written.
#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    /// Something else was written meanwhile.
    #[error("the tenant has a newer record")]
    Newer,
    /// NATS did not answer; the record may be written all the same.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

impl Records for Store {
    async fn load(&self, tenant: &Tenant) -> Result<(Record, u64), LoadError> {
        match self.entry(tenant.token()).await.map_err(Unavailable::of)? {
            None => Ok((Record::default(), 0)),
            // Somebody has removed the tenant: it begins anew, behind the mark of its removal.
            Some(entry) if entry.operation != Operation::Put => Ok((Record::default(), entry.revision)),
            Some(entry) => Ok((Record::decode(&entry.value)?, entry.revision)),
        }
    }

    async fn save(&self, tenant: &Tenant, record: &Record, revision: u64) -> Result<u64, SaveError> {
        self.update(tenant.token(), record.encode().into(), revision).await.map_err(|error| match error.kind() {
            UpdateErrorKind::WrongLastRevision => SaveError::Newer,
            _ => SaveError::Unavailable(Unavailable::of(error)),
        })
    }
}
