//! A host for tests: a state, and calls.
#![expect(unsafe_code, reason = "a call is lent the exchange region, which is raw memory")]

#[cfg(feature = "state-file")]
use std::path::Path;
use std::vec;

use guest_abi::names::DEFAULT_EXCHANGE_SIZE;
use guest_sdk_core::testing::{self, MemoryState, MemoryStateError, Outcome};

use crate::Result;
use crate::context::Context;
use crate::entry::Exchange;

/// A state, and the calls of extensions against it.
///
/// ```
/// use guest_sdk::ErrorCode;
/// use guest_sdk::testing::{Failure, Host, MemoryState};
///
/// // A small exchange region, to see what the extension does where values do not fit.
/// let mut host = Host::new(MemoryState::new()).exchange_size(4096);
/// let outcome = host.call(|_cx| Err("sold out".into()));
/// assert!(matches!(outcome.unwrap_failure(), Failure::Error { code: ErrorCode::Application(1000), .. }));
/// ```
#[derive(Debug, Clone, Default)]
pub struct Host {
    state: MemoryState,
    exchange_size: Option<usize>,
}

impl Host {
    /// A host with this state and an exchange region of the usual size.
    #[must_use]
    pub fn new(state: MemoryState) -> Self {
        Self { state, exchange_size: None }
    }

    /// A host with the records of a state file, as `host-harness run --state` loads them. Needs the feature `state-file`.
    ///
    /// Cargo runs tests in the folder of their package: `"state.json"` is the file beside its manifest.
    ///
    /// ```no_run
    /// use guest_sdk::testing::Host;
    ///
    /// let host = Host::from_state_file("state.json");
    /// assert_eq!(host.state().len(), 2);
    /// ```
    ///
    /// # Panics
    /// When the file cannot be loaded. The message names file, line and column.
    /// [`load_state_file`](testing::load_state_file) returns the error instead.
    #[cfg(feature = "state-file")]
    #[must_use]
    #[track_caller]
    pub fn from_state_file(path: impl AsRef<Path>) -> Self {
        match testing::load_state_file(path.as_ref()) {
            Ok(state) => Self::new(state),
            Err(error) => panic!("{error}"),
        }
    }

    /// Gives calls an exchange region of so many bytes: a quarter for intents, the rest for values.
    #[must_use]
    pub fn exchange_size(mut self, bytes: usize) -> Self {
        self.exchange_size = Some(bytes);
        self
    }

    /// The state.
    #[must_use]
    pub const fn state(&self) -> &MemoryState {
        &self.state
    }

    /// The state, to be changed or read.
    pub const fn state_mut(&mut self) -> &mut MemoryState {
        &mut self.state
    }

    /// Calls an extension. The intents that it leaves are in the outcome and not applied.
    ///
    /// # Panics
    /// When the thread is in a call already.
    pub fn call(&mut self, extension: impl FnOnce(&mut Context<'_>) -> Result<()>) -> Outcome {
        let size = self.exchange_size.unwrap_or(DEFAULT_EXCHANGE_SIZE as usize);
        let mut region = vec![0; size];
        let exchange = Exchange { start: region.as_mut_ptr(), length: size };
        testing::run(&mut self.state, || {
            // SAFETY: the region is this call's alone and outlives it.
            unsafe { exchange.call(extension, |pending| pending.map(<[u8]>::to_vec)) }
        })
    }

    /// Applies the intents of an outcome to the state, all or none, and returns how many there were.
    ///
    /// # Errors
    /// The first intent that cannot be applied; the state is unchanged then.
    pub fn apply(&mut self, outcome: &Outcome) -> Result<usize, MemoryStateError> {
        self.state.apply(outcome.encoded_intents())
    }
}
