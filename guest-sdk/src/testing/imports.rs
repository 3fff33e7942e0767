//! The imports of the contract, answered by the thread's own host.
#![expect(unsafe_code, reason = "the other end of foreign functions: they are handed addresses")]

use core::slice;
use std::string::String;

use guest_abi::key::Key;
use guest_abi::names::{GET_ABSENT, SECRET_ABSENT};
use guest_abi::value::ValueRef;
use guest_sdk_core::testing::{self, Failure, LogLine, in_host};

use crate::Level;

/// # Safety
/// The first `length` bytes behind `start` can be read during the call.
unsafe fn bytes<'a>(start: *const u8, length: usize) -> &'a [u8] {
    // SAFETY: the caller's promise.
    unsafe { slice::from_raw_parts(start, length) }
}

fn length(bytes: usize) -> i32 {
    i32::try_from(bytes).expect("an answer is below 2 GiB")
}

/// As the contract's import of this name; the others likewise.
pub(crate) unsafe fn get(key: *const u8, key_len: usize, out: *mut u8, out_cap: usize) -> i32 {
    in_host(|call| {
        call.crossings.get += 1;
        // SAFETY: the SDK lends the key, and the room to nobody else.
        let (key, out) = unsafe { (bytes(key, key_len), slice::from_raw_parts_mut(out, out_cap)) };
        let key = Key::parse(key).map_err(Failure::InvalidGuestData)?;
        let Some(value) = call.state.get(&key).map_err(Failure::State)? else {
            return Ok(GET_ABSENT);
        };
        if let Some(out) = out.get_mut(..value.len()) {
            out.copy_from_slice(value);
        }
        Ok(length(value.len()))
    })
}

pub(crate) unsafe fn read(
    key: *const u8,
    key_len: usize,
    after: *const u8,
    after_len: usize,
    out: *mut u8,
    out_cap: usize,
) -> i32 {
    in_host(|call| {
        call.crossings.read += 1;
        // SAFETY: the SDK lends key and last row, and the room to nobody else.
        let (key, after) = unsafe { (bytes(key, key_len), bytes(after, after_len)) };
        // SAFETY: as above.
        let out = unsafe { slice::from_raw_parts_mut(out, out_cap) };
        let key = Key::parse(key).map_err(Failure::InvalidGuestData)?;
        let after = (!after.is_empty()).then(|| ValueRef::new(after));
        call.state.read(&key, after, out).map(length).map_err(Failure::State)
    })
}

pub(crate) unsafe fn intents(start: *const u8, len: usize) {
    in_host(|call| {
        call.crossings.intents += 1;
        // SAFETY: the SDK lends the bytes.
        call.intents.extend_from_slice(unsafe { bytes(start, len) });
        Ok(())
    });
}

pub(crate) unsafe fn log(level: u32, start: *const u8, len: usize) {
    // The SDK passes no other number.
    let level = Level::from_number(level).unwrap_or(Level::Trace);
    // SAFETY: the SDK lends the bytes.
    let text = unsafe { bytes(start, len) };
    match testing::is_in_call() {
        true => testing::log(level, text),
        false => super::log::write(LogLine { level, text: String::from_utf8_lossy(text).into_owned() }),
    }
}

pub(crate) unsafe fn secret(name: *const u8, name_len: usize, out: *mut u8, out_cap: usize) -> i32 {
    // SAFETY: the SDK lends the name, and the room to nobody else.
    let (name, out) = unsafe { (bytes(name, name_len), slice::from_raw_parts_mut(out, out_cap)) };
    super::secrets::with(name, |value| {
        let Some(value) = value else { return SECRET_ABSENT };
        if let Some(out) = out.get_mut(..value.len()) {
            out.copy_from_slice(value.as_bytes());
        }
        length(value.len())
    })
}

pub(crate) unsafe fn stream_read(out: *mut u8, out_cap: usize) -> i32 {
    // SAFETY: the SDK lends the room to nobody else.
    length(super::stream::read(unsafe { slice::from_raw_parts_mut(out, out_cap) }))
}

pub(crate) unsafe fn stream_write(start: *const u8, len: usize) {
    // SAFETY: the SDK lends the bytes.
    super::stream::write(unsafe { bytes(start, len) });
}

pub(crate) unsafe fn fail(code: u32, start: *const u8, len: usize) {
    // SAFETY: the SDK lends the bytes.
    testing::fail(code, unsafe { bytes(start, len) });
}
