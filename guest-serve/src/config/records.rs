//! Records: what extension functions of a guest read and leave.

use super::table::Table;
use crate::error::ServeError;

/// The keys of the table `records`.
pub(super) const KEYS: [&str; 4] = ["durable", "bytes", "intents", "idempotency_keys"];

/// How the records of a guest's tenants are kept, and how many each may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordsConfig {
    /// Whether a response is sent only when the records that the call left are on the disk.
    pub durable: bool,
    /// Bytes of records that a tenant may have: keys and values.
    pub bytes: u64,
    /// Intents that a call may leave.
    pub intents: u32,
    /// Responses of a tenant that are kept by their idempotency key: the last ones.
    pub idempotency_keys: u32,
}

impl Default for RecordsConfig {
    fn default() -> Self {
        Self { durable: true, bytes: 16 << 20, intents: 1000, idempotency_keys: 1000 }
    }
}

impl RecordsConfig {
    pub(super) fn read(table: &Table<'_, '_, '_>) -> Result<Self, ServeError> {
        let default = Self::default();
        Ok(Self {
            durable: table.flag("durable")?.unwrap_or(default.durable),
            bytes: table.read("bytes", guest_host::text::size)?.unwrap_or(default.bytes),
            intents: table.count("intents", 1..=1_000_000)?.unwrap_or(default.intents),
            idempotency_keys: table.count("idempotency_keys", 0..=1_000_000)?.unwrap_or(default.idempotency_keys),
        })
    }
}
