//! What the last call wrote to its output through WASI.

use super::Instance;

impl Instance {
    /// What the last call wrote to its output through WASI, whether it succeeded or failed, until the next call: the last
    /// [`CallLimits::output_bytes`](crate::CallLimits::output_bytes) of it.
    #[must_use]
    pub fn last_output(&self) -> &[u8] {
        self.last_call().map_or(&[], |call| call.output.bytes())
    }

    /// Bytes that the last call wrote to its output before those that are kept.
    #[must_use]
    pub fn last_output_dropped(&self) -> u64 {
        self.last_call().map_or(0, |call| call.output.dropped())
    }

    /// What of WASI belongs to the instance.
    #[cfg(test)]
    pub(crate) fn wasi_mut(&mut self) -> Option<&mut crate::wasi::Wasi> {
        self.live.as_mut().map(|live| &mut live.store.data_mut().wasi)
    }
}
