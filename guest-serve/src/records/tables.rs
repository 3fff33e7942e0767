//! The tables of records, in the file of the programs' memory.

use guest_state_redb::InTransaction;
use guest_tenants::redb::{self, ReadOnlyTable, TableDefinition, WriteTransaction};

/// The records of all tenants, each under the name of its tenant.
pub(super) const RECORDS: &str = "records";

/// The account of each tenant: see [`Account`](super::account::Account).
pub(super) const ACCOUNTS: TableDefinition<'_, &str, (u64, u64, u64, u64)> = TableDefinition::new("record_accounts");

/// A response: its number, its encoding, the hash of the request, and its bytes.
pub(super) type StoredResponse<'r> = (u64, u8, &'r [u8; 32], &'r [u8]);

/// Responses by tenant and idempotency key.
pub(super) const RESPONSES: TableDefinition<'_, (&str, &str), StoredResponse<'static>> =
    TableDefinition::new("responses");

/// The table of responses at one moment.
pub(super) type Responses = ReadOnlyTable<(&'static str, &'static str), StoredResponse<'static>>;

/// The idempotency keys of a tenant by the number of the response.
pub(super) const RESPONSE_KEYS: TableDefinition<'_, (&str, u64), &str> = TableDefinition::new("response_keys");

/// Makes the tables, so that no read has to find out that there is none yet.
pub(crate) fn make(transaction: &WriteTransaction) -> Result<(), redb::Error> {
    InTransaction::open(transaction, RECORDS)?;
    transaction.open_table(ACCOUNTS)?;
    transaction.open_table(RESPONSES)?;
    transaction.open_table(RESPONSE_KEYS)?;
    Ok(())
}
