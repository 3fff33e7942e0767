//! Takes intents into the first part of the exchange region, and passes on to the host what does not fit.
#![expect(unsafe_code, reason = "the buffer is raw memory, and flushing it an import")]

use core::slice;

use guest_abi::cbor::copy_bytes;
use guest_abi::cbor::encode::Sink;

use crate::raw;

/// Takes the encoding of intents. What is left in it at the end of a call, the call returns.
#[derive(Debug)]
pub(crate) struct IntentSink {
    start: *mut u8,
    capacity: usize,
    length: usize,
}

impl IntentSink {
    /// The sink over `capacity` bytes from `start`.
    ///
    /// # Safety
    /// While the sink exists, these bytes are valid for reads and writes through `start` and nothing else uses them.
    pub(crate) const unsafe fn new(start: *mut u8, capacity: usize) -> Self {
        Self { start, capacity, length: 0 }
    }

    /// The bytes that have been written and not been flushed.
    pub(crate) const fn pending(&self) -> &[u8] {
        // SAFETY: `length` bytes have been written, and the sink is borrowed.
        unsafe { slice::from_raw_parts(self.start, self.length) }
    }

    #[cold]
    #[inline(never)]
    fn write_over_the_end(&mut self, bytes: &[u8]) {
        let pending = self.pending();
        if !pending.is_empty() {
            // SAFETY: the bytes are borrowed during the call.
            unsafe { raw::intents(pending.as_ptr(), pending.len()) };
            self.length = 0;
        }
        if bytes.len() > self.capacity {
            // SAFETY: the bytes are borrowed during the call.
            unsafe { raw::intents(bytes.as_ptr(), bytes.len()) };
        } else {
            // SAFETY: they fit the buffer, which is empty and the sink's own.
            unsafe { copy_bytes(bytes.as_ptr(), self.start, bytes.len()) };
            self.length = bytes.len();
        }
    }
}

// SAFETY: the room is what is left of the buffer, which is the sink's own.
unsafe impl Sink for IntentSink {
    #[inline]
    fn room(&mut self, bytes: usize) -> Option<*mut u8> {
        // SAFETY: `length` is at most `capacity`.
        (bytes <= self.capacity - self.length).then(|| unsafe { self.start.add(self.length) })
    }

    #[inline]
    unsafe fn written(&mut self, end: *mut u8) {
        self.length = end.addr() - self.start.addr();
    }

    #[inline]
    fn append(&mut self, bytes: &[u8]) {
        if bytes.len() > self.capacity - self.length {
            self.write_over_the_end(bytes);
        } else {
            // SAFETY: they fit what is left of the buffer, which is the sink's own.
            unsafe { copy_bytes(bytes.as_ptr(), self.start.add(self.length), bytes.len()) };
            self.length += bytes.len();
        }
    }
}
