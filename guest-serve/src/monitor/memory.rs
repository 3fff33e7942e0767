//! The memories of instances.

use std::sync::Arc;

use super::GuestMonitor;

/// Bytes of a page of linear memory.
const PAGE: u64 = 64 << 10;

/// Counts an instance of a guest for as long as it exists, with the bytes of its memory.
#[derive(Debug)]
pub(crate) struct CountedInstance {
    monitor: Arc<GuestMonitor>,
    bytes: u64,
}

impl CountedInstance {
    /// Counts an instance that has `pages` pages in physical memory.
    pub(crate) fn new(monitor: &Arc<GuestMonitor>, pages: u64) -> Self {
        monitor.instances(1, 0);
        let mut count = Self { monitor: Arc::clone(monitor), bytes: 0 };
        count.measure(pages);
        count
    }

    /// Takes note that the instance has `pages` pages in physical memory now.
    pub(crate) fn measure(&mut self, pages: u64) {
        let bytes = pages.saturating_mul(PAGE);
        if bytes != self.bytes {
            let change = bytes.cast_signed().saturating_sub(self.bytes.cast_signed());
            self.monitor.instances(0, change);
            self.bytes = bytes;
        }
    }
}

impl Drop for CountedInstance {
    fn drop(&mut self) {
        self.monitor.instances(-1, -self.bytes.cast_signed());
    }
}
