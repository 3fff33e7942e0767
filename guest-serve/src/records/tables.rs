//! The tables of records, in the file of the programs' memory.

use guest_state_redb::InTransaction;
use guest_tenants::redb::{self, TableDefinition, WriteTransaction};

/// The records of all tenants, each under the name of its tenant.
pub(super) const RECORDS: &str = "records";

/// What a tenant has: see [`Account`](super::account::Account).
pub(super) const ACCOUNTS: TableDefinition<'_, &str, (u64, u64, u64, u64)> = TableDefinition::new("record_accounts");

/// Responses by tenant and idempotency key: their number, their encoding, the hash of the request, and their bytes.
pub(super) const RESPONSES: TableDefinition<'_, (&str, &str), (u64, u8, &[u8; 32], &[u8])> =
    TableDefinition::new("responses");

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
