//! The log of a thread, for functions that are called without a host.

use std::cell::RefCell;
use std::vec::Vec;

use guest_sdk_core::testing::LogLine;

std::thread_local! {
    static LOG: RefCell<Vec<LogLine>> = const { RefCell::new(Vec::new()) };
}

/// The lines that guests on this thread have logged since the last time. Those of an extension that a [`Host`](super::Host) calls are in
/// its [`Outcome`](super::Outcome) instead.
pub fn take_log() -> Vec<LogLine> {
    LOG.take()
}

pub(super) fn write(line: LogLine) {
    LOG.with_borrow_mut(|log| log.push(line));
}
