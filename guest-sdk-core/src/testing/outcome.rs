//! Outcomes of calls.

use core::fmt;
use std::string::String;
use std::vec::Vec;

use guest_abi::cbor::WireError;
use guest_abi::{ErrorCode, Level};
use guest_state::MemoryStateError;

use super::Intents;

/// The outcome of a call: its result, its log lines and, if it succeeded, its intents.
///
/// ```
/// use guest_sdk::Level;
/// use guest_sdk::testing::Host;
///
/// let outcome = Host::default().call(|cx| {
///     cx.log(Level::Info, "hello");
///     Ok(())
/// });
/// outcome.unwrap();
/// assert_eq!((outcome.log[0].text.as_str(), outcome.crossings.log), ("hello", 1));
/// assert_eq!(outcome.intents().count(), 0);
/// ```
#[derive(Debug, Clone, PartialEq)]
#[must_use = "a call may have failed: `unwrap` the outcome or look at its `result`"]
pub struct Outcome {
    /// Success, or the reason of the failure.
    pub result: Result<(), Failure>,
    /// The log lines, in their order; also those of a call that failed.
    pub log: Vec<LogLine>,
    /// Number of calls to the host.
    pub crossings: Crossings,
    pub(super) intents: Vec<u8>,
}

impl Outcome {
    /// Panics unless the call succeeded.
    ///
    /// # Panics
    /// With the failure.
    #[track_caller]
    pub fn unwrap(&self) {
        if let Err(failure) = &self.result {
            panic!("the extension failed: {failure}");
        }
    }

    /// The failure.
    ///
    /// # Panics
    /// When the call succeeded.
    #[track_caller]
    #[must_use]
    pub fn unwrap_failure(&self) -> &Failure {
        match &self.result {
            Ok(()) => panic!("the extension succeeded, with the intents {:?}", self.intents().collect::<Vec<_>>()),
            Err(failure) => failure,
        }
    }

    /// The intents, in their order; none when the call failed. As text, one paragraph for each.
    pub fn intents(&self) -> Intents<'_> {
        // They have been validated when the call ended.
        Intents::of(&self.intents)
    }

    /// The intents' wire form.
    #[must_use]
    pub fn encoded_intents(&self) -> &[u8] {
        &self.intents
    }
}

/// A log line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// Its level.
    pub level: Level,
    /// Its text.
    pub text: String,
}

/// Number of calls to the host, by what they were for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Crossings {
    /// Values asked for.
    pub get: usize,
    /// Chunks of rows asked for.
    pub read: usize,
    /// Times that intents were handed over: on the native contract those that did not fit, on the exttinygo contract
    /// each.
    pub intents: usize,
    /// Log lines.
    pub log: usize,
    /// Keys that were made, and fields that were read or put. Only the exttinygo contract has calls for these.
    pub fields: usize,
}

/// Why a call failed.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Failure {
    /// The extension returned an error.
    Error {
        /// Its code.
        code: ErrorCode,
        /// Its message.
        message: String,
    },
    /// The extension panicked.
    Panic {
        /// The message.
        message: String,
        /// Source file; empty when it is not known.
        file: String,
        /// Line in it.
        line: u32,
        /// Column in it.
        column: u32,
    },
    /// The state refused a read.
    State(MemoryStateError),
    /// The extension left intents, or asked for a key, that the contract does not allow.
    InvalidGuestData(WireError),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Error { code, message } => write!(f, "error {}: {message}", code.number()),
            Self::Panic { message, file, line, column } => {
                write!(f, "panic at {file}:{line}:{column}: {message}")
            }
            Self::State(error) => error.fmt(f),
            Self::InvalidGuestData(error) => write!(f, "invalid intents or key: {error}"),
        }
    }
}

impl core::error::Error for Failure {}
