//! The imports of the contract, answered by the thread's own host.
#![expect(unsafe_code, reason = "the other end of foreign functions: they are handed addresses")]

use core::cell::{Cell, RefCell};
use core::slice;
use std::boxed::Box;
use std::string::{String, ToString};
use std::vec::Vec;

use guest_abi::key::Key;
use guest_abi::names::GET_ABSENT;
use guest_abi::value::ValueRef;
use guest_state::MemoryState;

use super::outcome::{Crossings, Failure, LogLine};
use crate::Level;

/// What a running call has done so far.
#[derive(Default)]
pub(super) struct Call {
    pub(super) state: MemoryState,
    pub(super) intents: Vec<u8>,
    pub(super) log: Vec<LogLine>,
    pub(super) failure: Option<(u32, String)>,
    pub(super) crossings: Crossings,
}

/// What ends a call where a host would trap.
pub(super) struct Trap(pub(super) Failure);

std::thread_local! {
    static CALL: RefCell<Option<Call>> = const { RefCell::new(None) };
    static RUNNING: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is in the host's part of a call, so that what it allocates is not the extension's.
#[must_use]
pub fn host_is_running() -> bool {
    RUNNING.get()
}

/// Begins a call, which has the state until it ends.
pub(super) fn begin(state: &mut MemoryState) {
    CALL.with_borrow_mut(|call| {
        assert!(call.is_none(), "this thread is in a call already");
        *call = Some(Call { state: core::mem::take(state), ..Call::default() });
    });
}

/// Ends the call that [`begin`] began.
pub(super) fn end() -> Call {
    CALL.take().unwrap_or_default()
}

fn in_host<R>(answer: impl FnOnce(&mut Call) -> Result<R, Failure>) -> R {
    RUNNING.set(true);
    let answer = CALL.with_borrow_mut(|call| match call {
        Some(call) => answer(call),
        None => panic!("an extension was called without a host: use `guest_sdk::testing::Host::call`"),
    });
    let answer = match answer {
        Ok(answer) => answer,
        Err(failure) => {
            // The payload is the host's too.
            let payload = Box::new(Trap(failure));
            RUNNING.set(false);
            std::panic::resume_unwind(payload)
        }
    };
    RUNNING.set(false);
    answer
}

/// # Safety
/// The first `length` bytes behind `start` can be read during the call.
unsafe fn bytes<'a>(start: *const u8, length: usize) -> &'a [u8] {
    // SAFETY: the caller's promise.
    unsafe { slice::from_raw_parts(start, length) }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).to_string()
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
    in_host(|call| {
        call.crossings.log += 1;
        // The SDK passes no other number.
        let level = Level::from_number(level).unwrap_or(Level::Trace);
        // SAFETY: the SDK lends the bytes.
        let text = text(unsafe { bytes(start, len) });
        call.log.push(LogLine { level, text });
        Ok(())
    });
}

pub(crate) unsafe fn fail(code: u32, start: *const u8, len: usize) {
    in_host(|call| {
        // SAFETY: the SDK lends the bytes.
        call.failure = Some((code, text(unsafe { bytes(start, len) })));
        Ok(())
    });
}
