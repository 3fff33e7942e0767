//! The stream of a thread's call.

use std::cell::RefCell;
use std::vec::Vec;

#[derive(Default)]
struct Stream {
    to_read: Vec<u8>,
    read: usize,
    written: Vec<u8>,
}

std::thread_local! {
    static STREAM: RefCell<Stream> = RefCell::default();
}

/// Lets guests on this thread read these bytes with [`read_body`](crate::http::read_body), as the body of a request that is streamed. What
/// was written before is forgotten.
pub fn set_stream(bytes: impl Into<Vec<u8>>) {
    STREAM.set(Stream { to_read: bytes.into(), ..Stream::default() });
}

/// The bytes that guests on this thread have written: a response, and behind it the pieces of its body.
pub fn take_stream() -> Vec<u8> {
    STREAM.with_borrow_mut(|stream| std::mem::take(&mut stream.written))
}

pub(super) fn read(out: &mut [u8]) -> usize {
    STREAM.with_borrow_mut(|stream| {
        let rest = &stream.to_read[stream.read..];
        let length = rest.len().min(out.len());
        out[..length].copy_from_slice(&rest[..length]);
        stream.read += length;
        length
    })
}

pub(super) fn write(bytes: &[u8]) {
    STREAM.with_borrow_mut(|stream| stream.written.extend_from_slice(bytes));
}
