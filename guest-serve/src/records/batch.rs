//! Calls that share a transaction.

use std::collections::HashMap;
use std::sync::Arc;

use guest_host::guest_abi::cbor::encode;
use guest_host::guest_abi::storage;
use guest_host::{OrderedMapMut as _, StoredState, StoredStateError};
use guest_state_redb::{InTransaction, Snapshot};
use guest_tenants::RedbReader;
use guest_tenants::redb::{self, ReadOnlyTable, WriteTransaction};

use super::account::Account;
use super::kept::{self, Kept};
use super::meter::{MeterError, Metered};
use super::response::{Left, Response, left};
use super::state::View;
use super::tables::{ACCOUNTS, RECORDS, RESPONSES, Responses};
use super::{CallState, RecordsError, Request};
use crate::config::{GuestConfig, RecordsConfig};

/// Bytes of intents behind which a batch takes no further calls.
const ENOUGH: usize = 8 << 20;

type Accounts = ReadOnlyTable<&'static str, (u64, u64, u64, u64)>;

/// The calls that share a transaction: what they left, and what there was before.
#[derive(Debug)]
pub(crate) struct Batch {
    /// Times that the file had been opened.
    opened: u64,
    view: Arc<View>,
    accounts: Accounts,
    responses: Responses,
    /// Changes to write, by tenant.
    changed: HashMap<Arc<str>, Changed>,
    /// Bytes of intents.
    bytes: usize,
    /// Whether a call waits until it is on the disk.
    waits: bool,
}

/// Changes of a tenant beside its records.
#[derive(Debug)]
struct Changed {
    config: RecordsConfig,
    account: Account,
    /// Responses, by idempotency key.
    responses: Vec<(Box<str>, Kept)>,
}

impl Batch {
    /// A batch of no calls.
    pub(crate) fn open(reader: &RedbReader) -> Result<Self, RecordsError> {
        let tables = reader.read(|transaction| {
            let snapshot = Snapshot::open(transaction, RECORDS)?;
            // Here, as reading may have opened the file again.
            let opened = reader.opened();
            Ok((opened, snapshot, transaction.open_table(ACCOUNTS)?, transaction.open_table(RESPONSES)?))
        });
        let (opened, snapshot, accounts, responses) = tables.map_err(|error| RecordsError::Store(error.to_string()))?;
        let view = Arc::new(View::new(Arc::new(snapshot)));
        Ok(Self { opened, view, accounts, responses, changed: HashMap::new(), bytes: 0, waits: false })
    }

    /// The state that a call of the tenant reads.
    pub(crate) fn state(&self, request: &Request) -> CallState {
        CallState::new(&request.tenant, Arc::clone(&request.event), Arc::clone(&self.view))
    }

    /// The response to an earlier request with the same idempotency key.
    pub(crate) fn response(&self, request: &Request) -> Result<Option<Response>, RecordsError> {
        let Some(key) = &request.idempotency_key else { return Ok(None) };
        let in_batch = self.changed.get(&request.tenant).and_then(|changed| {
            let found = changed.responses.iter().find(|(other, _)| *other == key.text);
            found.map(|(_, kept)| kept.clone())
        });
        let found = match in_batch {
            Some(kept) => Some(kept),
            None => kept::find(&self.responses, &request.tenant, &key.text).map_err(store)?,
        };
        match found {
            Some(kept) if kept.hash != key.hash => Err(RecordsError::OtherRequest),
            found => Ok(found.map(|kept| kept.response)),
        }
    }

    /// Takes what a call left: all of it, or with an error none.
    pub(crate) fn take(
        &mut self,
        request: &Request,
        config: &GuestConfig,
        intents: &[u8],
    ) -> Result<Response, RecordsError> {
        let Left { response, others } = left(intents, request.encoding, config.limits.response)?;
        if others > config.records.intents as usize {
            let most = config.records.intents;
            return Err(RecordsError::Intents(format!("the call leaves {others} intents, and may leave {most}")));
        }
        let kept = request.idempotency_key.as_ref().filter(|_| config.records.idempotency_keys > 0);
        if others == 0 && kept.is_none() {
            return Ok(response);
        }
        let mut account = self.account(&request.tenant)?;
        if others > 0 {
            self.apply(request, config.records.bytes, intents, &mut account)?;
        }
        let empty = || Changed { config: config.records, account, responses: Vec::new() };
        let changed = self.changed.entry(Arc::clone(&request.tenant)).or_insert_with(empty);
        (changed.config, changed.account) = (config.records, account);
        if let Some(key) = kept {
            changed.responses.push((key.text.clone(), Kept { hash: key.hash, response: response.clone() }));
        }
        self.bytes += intents.len() + response.bytes.len();
        self.waits |= config.records.durable;
        Ok(response)
    }

    /// Applies the intents of a call to the records of its tenant.
    fn apply(
        &mut self,
        request: &Request,
        most: u64,
        intents: &[u8],
        account: &mut Account,
    ) -> Result<(), RecordsError> {
        let mut prefix = Vec::new();
        encode::element(&mut prefix, &*request.tenant);
        // No call reads now, so nothing is copied.
        let view = Arc::make_mut(&mut self.view);
        let metered = Metered::new(view, prefix.len(), &mut account.records, most);
        let applied =
            StoredState::of(&request.tenant, metered).apply_if(intents, |intent| intent.key.storage != storage::RESULT);
        match applied {
            Ok(_) => Ok(()),
            Err(StoredStateError::State(error)) => Err(RecordsError::Intents(error.to_string())),
            Err(StoredStateError::Map(error @ MeterError::Full { .. })) => Err(RecordsError::Full(error.to_string())),
            Err(error) => Err(RecordsError::Store(error.to_string())),
        }
    }

    fn account(&self, tenant: &str) -> Result<Account, RecordsError> {
        match self.changed.get(tenant) {
            Some(changed) => Ok(changed.account),
            None => {
                let found = self.accounts.get(tenant).map_err(store)?;
                Ok(found.map_or_else(Account::default, |account| Account::of(account.value())))
            }
        }
    }

    /// Whether there is something to write.
    pub(crate) fn is_changed(&self) -> bool {
        !self.changed.is_empty()
    }

    /// Whether a call waits until it is on the disk.
    pub(crate) const fn waits(&self) -> bool {
        self.waits
    }

    /// Whether it should take no further calls.
    pub(crate) const fn is_full(&self) -> bool {
        self.bytes > ENOUGH
    }

    /// Whether it can be written to the file, which has been opened `opened` times. After another opening it cannot: the file may lack
    /// records that the calls have read.
    pub(crate) const fn is_of(&self, opened: u64) -> bool {
        self.opened == opened
    }

    /// Writes what the calls left.
    pub(crate) fn write(self, transaction: &WriteTransaction) -> Result<(), redb::Error> {
        InTransaction::open(transaction, RECORDS)?.write(Arc::unwrap_or_clone(self.view).into_written())?;
        let mut accounts = transaction.open_table(ACCOUNTS)?;
        for (tenant, Changed { config, mut account, responses }) in self.changed {
            if !responses.is_empty() {
                let responses = responses.iter().map(|(key, kept)| (&**key, kept));
                kept::write(transaction, &tenant, &mut account, &config, responses)?;
            }
            accounts.insert(&*tenant, account.stored())?;
        }
        Ok(())
    }
}

fn store(error: impl Into<redb::Error>) -> RecordsError {
    RecordsError::Store(error.into().to_string())
}
