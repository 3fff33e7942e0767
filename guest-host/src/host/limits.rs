//! The limit on a guest's memory, and what the guest asked beyond it.

use wasmtime::ResourceLimiter;

use crate::host::supervisor::Supervisor;

/// Limits one instance's linear memory and remembers what it refused.
#[derive(Debug, Clone)]
pub(crate) struct MemoryLimiter {
    /// Bytes that the memory may have.
    limit: usize,
    /// Size in bytes of the last growth that was refused during the running call.
    refused: Option<usize>,
    /// Size in bytes of the last growth that was granted, which the engine may still have been unable to serve.
    granted: usize,
    /// Bytes of the card table, which is not the guest's, while it is being made.
    card_table: Option<usize>,
    /// The embedder's own limit.
    supervisor: Option<Supervisor>,
    /// Times the memory really grew, since instantiation.
    pub(crate) growths: u64,
}

impl MemoryLimiter {
    pub(crate) fn new(limit: usize, supervisor: Option<Supervisor>) -> Self {
        Self { limit, refused: None, granted: 0, card_table: None, supervisor, growths: 0 }
    }

    /// Grants a card table of so many bytes, until it is taken back.
    pub(crate) fn grant_card_table(&mut self, bytes: Option<usize>) {
        self.card_table = bytes;
    }

    /// Forgets what an earlier call was refused, and says whether it was.
    pub(crate) fn begin_call(&mut self) -> bool {
        self.refused.take().is_some()
    }

    /// The embedder's own limit.
    pub(crate) fn supervisor(&self) -> Option<&Supervisor> {
        self.supervisor.as_ref()
    }

    /// Bytes that the memory may have.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// Bytes that the memory was allowed to have, at most; it has no more.
    pub(crate) fn granted(&self) -> usize {
        self.granted
    }

    /// Size in bytes that the memory would have had after the last refused growth of this call; one that it has
    /// already, where the engine did not say.
    pub(crate) fn refused(&self) -> Option<usize> {
        self.refused
    }
}

impl ResourceLimiter for MemoryLimiter {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        if current == 0 && self.card_table == Some(desired) && maximum == Some(desired) {
            return Ok(true);
        }
        let granted = desired <= self.limit
            && maximum.is_none_or(|maximum| desired <= maximum)
            && self.supervisor.as_ref().is_none_or(|supervisor| supervisor.grants_memory(desired));
        if granted {
            self.growths += 1;
            self.granted = desired;
        } else {
            self.refused = Some(desired);
        }
        Ok(granted)
    }

    /// The engine could not serve what was granted, as the system has no memory left; or it did not even ask, as no
    /// memory can be so large.
    fn memory_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.refused = Some(self.granted);
        Ok(())
    }

    fn table_growing(&mut self, _current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        const MAX_TABLE_ELEMENTS: usize = 1 << 16;
        Ok(desired <= MAX_TABLE_ELEMENTS && maximum.is_none_or(|maximum| desired <= maximum))
    }
}
