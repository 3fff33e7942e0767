//! A call: what it has done so far is the thread's own, and the imports of a contract find it there.

use core::cell::{Cell, RefCell};
use std::boxed::Box;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::string::String;
use std::vec::Vec;

use guest_abi::{ErrorCode, Level, intent};
use guest_state::MemoryState;

use super::outcome::{Crossings, Failure, LogLine, Outcome};
use super::panics;
use crate::error::ErrorReported;

/// The state of a running call.
#[derive(Debug, Default)]
pub struct Call {
    /// The state that it reads.
    pub state: MemoryState,
    /// The intents that the host has already, in their wire form.
    pub intents: Vec<u8>,
    /// Number of calls to the host.
    pub crossings: Crossings,
    log: Vec<LogLine>,
    failure: Option<(u32, String)>,
}

/// Ends a call where a host would trap.
struct Trap(Failure);

std::thread_local! {
    static CALL: RefCell<Option<Call>> = const { RefCell::new(None) };
    static RUNNING: Cell<bool> = const { Cell::new(false) };
}

/// Returns `true` while this thread runs the host's part of a call. A test that counts an extension's allocations leaves
/// out those of the host.
#[must_use]
pub fn host_is_running() -> bool {
    RUNNING.get()
}

/// Runs an extension against the state, and leaves the state unchanged. `extension` returns the intents that the host
/// does not have yet.
///
/// # Panics
/// When the thread is in a call already.
pub fn run(state: &mut MemoryState, extension: impl FnOnce() -> Result<Vec<u8>, ErrorReported>) -> Outcome {
    CALL.with_borrow_mut(|call| {
        assert!(call.is_none(), "this thread is in a call already");
        *call = Some(Call { state: core::mem::take(state), ..Call::default() });
    });
    let (returned, panic) = panics::capture(|| catch_unwind(AssertUnwindSafe(extension)));
    let call = CALL.take().unwrap_or_default();
    *state = call.state;
    let mut intents = call.intents;
    let result = match returned {
        Ok(Ok(pending)) => {
            intents.extend(pending);
            intent::validate(&intents).map(drop).map_err(Failure::InvalidGuestData)
        }
        Ok(Err(ErrorReported)) => Err(match call.failure {
            Some((code, message)) => Failure::Error { code: ErrorCode::from_number(code), message },
            None => unreachable!("an SDK reports a failure before it returns it"),
        }),
        Err(payload) => Err(match payload.downcast::<Trap>() {
            Ok(trap) => trap.0,
            Err(payload) => panics::failure(panic, &*payload),
        }),
    };
    if result.is_err() {
        intents.clear();
    }
    Outcome { result, intents, log: call.log, crossings: call.crossings }
}

/// Answers an import of the running call. A failure ends the call.
///
/// # Panics
/// When the thread is in no call.
pub fn in_host<R>(answer: impl FnOnce(&mut Call) -> Result<R, Failure>) -> R {
    RUNNING.set(true);
    let answer = CALL.with_borrow_mut(|call| match call {
        Some(call) => answer(call),
        None => panic!("an extension was called without a host: use `testing::Host::call` of the SDK"),
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

/// Whether the thread runs an extension against a state.
#[must_use]
pub fn is_in_call() -> bool {
    CALL.with_borrow(Option::is_some)
}

/// Writes a log line.
pub fn log(level: Level, text: &[u8]) {
    in_host(|call| {
        call.crossings.log += 1;
        call.log.push(LogLine { level, text: String::from_utf8_lossy(text).into_owned() });
        Ok(())
    });
}

/// Reports the error with which the call fails: the number of its code, and its message.
pub fn fail(code: u32, message: &[u8]) {
    in_host(|call| {
        call.failure = Some((code, String::from_utf8_lossy(message).into_owned()));
        Ok(())
    });
}
