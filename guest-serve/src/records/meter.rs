//! The limit of what a tenant may store.

use std::collections::BTreeMap;

use guest_host::{OrderedMap, OrderedMapMut};
use guest_tenants::redb;

/// A map that a tenant writes to, within a limit of bytes.
#[derive(Debug)]
pub(super) struct Metered<'m, M> {
    map: &'m mut M,
    /// Bytes of each key that are not the tenant's own.
    prefix: usize,
    /// Bytes that the tenant has, and may have.
    bytes: &'m mut u64,
    most: u64,
}

/// Why a tenant's records were not written.
#[derive(Debug, thiserror::Error)]
pub(super) enum MeterError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] redb::Error),
    /// The tenant would have more than it may.
    #[error("the records of the tenant would have {needed} bytes, and may have {most}")]
    Full { needed: u64, most: u64 },
}

impl<'m, M> Metered<'m, M> {
    pub(super) fn new(map: &'m mut M, prefix: usize, bytes: &'m mut u64, most: u64) -> Self {
        Self { map, prefix, bytes, most }
    }
}

impl<M: OrderedMap<Error = redb::Error>> OrderedMap for Metered<'_, M> {
    type Error = MeterError;

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, MeterError> {
        Ok(self.map.get(key)?)
    }

    fn range(&self, first: &[u8], visit: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), MeterError> {
        Ok(self.map.range(first, visit)?)
    }
}

impl<M: OrderedMapMut<Error = redb::Error>> OrderedMapMut for Metered<'_, M> {
    fn write(&mut self, entries: BTreeMap<Vec<u8>, Vec<u8>>) -> Result<(), MeterError> {
        let mut needed = *self.bytes;
        for (key, value) in &entries {
            let size = |value: &[u8]| (key.len() - self.prefix + value.len()) as u64;
            let before = self.map.get(key)?.map_or(0, |before| size(&before));
            needed = (needed + size(value)).saturating_sub(before);
        }
        // A write that frees bytes is applied also if the limit was lowered.
        if needed > self.most && needed > *self.bytes {
            return Err(MeterError::Full { needed, most: self.most });
        }
        self.map.write(entries)?;
        *self.bytes = needed;
        Ok(())
    }
}
