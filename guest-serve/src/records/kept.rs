//! Responses that are kept, so that a request that is sent again is not carried out again.

use sha2::{Digest as _, Sha256};

use guest_functions::wire::Encoding;
use guest_tenants::redb::{self, WriteTransaction};

use super::account::Account;
use super::response::Response;
use super::tables::{RESPONSE_KEYS, RESPONSES, Responses, StoredResponse};
use crate::config::RecordsConfig;

/// Characters of an idempotency key.
const LONGEST: usize = 255;

/// Bytes that a kept response takes beside its own.
const BESIDE: u64 = 64;

/// The name that a client gave to a request, so that it can send it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    pub(super) text: Box<str>,
    /// Of the request.
    pub(super) hash: [u8; 32],
}

impl IdempotencyKey {
    /// The key with this text of a request that consists of these parts; `None` if no key can have the text: it has 1 to 255 visible
    /// characters of ASCII.
    #[must_use]
    pub fn new(text: &[u8], request: &[&[u8]]) -> Option<Self> {
        let is_key = (1..=LONGEST).contains(&text.len()) && text.iter().all(u8::is_ascii_graphic);
        let text = std::str::from_utf8(text).ok().filter(|_| is_key)?;
        let mut hash = Sha256::new();
        for part in request {
            // With its length: no other request has the same parts one behind the other.
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        Some(Self { text: text.into(), hash: hash.finalize().into() })
    }
}

/// A response that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kept {
    /// Of the request.
    pub(super) hash: [u8; 32],
    pub(super) response: Response,
}

impl Kept {
    /// From the table.
    pub(super) fn of((_, encoding, hash, bytes): StoredResponse<'_>) -> Self {
        let encoding = if encoding == CBOR { Encoding::Cbor } else { Encoding::Json };
        Self { hash: *hash, response: Response { encoding, bytes: bytes.to_vec() } }
    }
}

const JSON: u8 = 0;
const CBOR: u8 = 1;

/// Bytes that a response takes.
fn size(key: &str, bytes: &[u8]) -> u64 {
    (key.len() + bytes.len()) as u64 + BESIDE
}

/// Writes responses of a tenant, and removes the oldest beyond what it may have.
pub(super) fn write<'k>(
    transaction: &WriteTransaction,
    tenant: &str,
    account: &mut Account,
    config: &RecordsConfig,
    responses: impl Iterator<Item = (&'k str, &'k Kept)>,
) -> Result<(), redb::Error> {
    let mut table = transaction.open_table(RESPONSES)?;
    let mut keys = transaction.open_table(RESPONSE_KEYS)?;
    for (key, Kept { hash, response }) in responses {
        let encoding = if response.encoding == Encoding::Cbor { CBOR } else { JSON };
        let number = account.next_response;
        table.insert((tenant, key), (number, encoding, hash, response.bytes.as_slice()))?;
        keys.insert((tenant, number), key)?;
        account.next_response += 1;
        account.responses += size(key, &response.bytes);
    }
    let most = u64::from(config.idempotency_keys);
    let is_over = |account: &Account| match account.next_response - account.first_response {
        0 => false,
        count => count > most || (count > 1 && account.responses > config.bytes / 4),
    };
    while is_over(account) {
        let oldest = (tenant, account.first_response);
        account.first_response += 1;
        let Some(key) = keys.remove(oldest)?.map(|key| key.value().to_owned()) else { continue };
        if let Some(found) = table.remove((tenant, key.as_str()))? {
            account.responses = account.responses.saturating_sub(size(&key, found.value().3));
        }
    }
    Ok(())
}

/// The response that is kept under a key.
pub(super) fn find(table: &Responses, tenant: &str, key: &str) -> Result<Option<Kept>, redb::Error> {
    Ok(table.get((tenant, key))?.map(|found| Kept::of(found.value())))
}
