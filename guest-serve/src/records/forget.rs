//! Forgetting what a tenant has.

use guest_host::guest_abi::cbor::encode;
use guest_tenants::redb::{self, TableDefinition, WriteTransaction};

use super::tables::{ACCOUNTS, RECORDS, RESPONSE_KEYS, RESPONSES};

/// Removes the records and the kept responses of a tenant. Returns the number of records.
pub(crate) fn forget(transaction: &WriteTransaction, tenant: &str) -> Result<u64, redb::Error> {
    let mut first = Vec::new();
    encode::element(&mut first, tenant);
    let mut behind = first.clone();
    if let Some(last) = behind.last_mut() {
        // UTF-8 has no byte 0xFF.
        *last += 1;
    }
    let mut removed = 0;
    let mut records = transaction.open_table(TableDefinition::<&[u8], &[u8]>::new(RECORDS))?;
    records.retain_in(first.as_slice()..behind.as_slice(), |_, _| {
        removed += 1;
        false
    })?;
    transaction.open_table(ACCOUNTS)?.remove(tenant)?;
    // No text lies between another and the same with a zero behind it.
    let next = format!("{tenant}\0");
    transaction.open_table(RESPONSES)?.retain_in((tenant, "")..(next.as_str(), ""), |_, _| false)?;
    transaction.open_table(RESPONSE_KEYS)?.retain_in((tenant, 0)..(next.as_str(), 0), |_, _| false)?;
    Ok(removed)
}
