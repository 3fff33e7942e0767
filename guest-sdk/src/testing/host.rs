//! A host for tests: a state, and calls.
#![expect(unsafe_code, reason = "a call is lent the exchange region, which is raw memory")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::vec;

use guest_abi::names::DEFAULT_EXCHANGE_SIZE;
use guest_abi::{ErrorCode, intent};
use guest_state::{MemoryState, MemoryStateError};

use super::imports::{self, Trap};
use super::outcome::{Failure, Outcome};
use super::panics;
use crate::context::Context;
use crate::error::Result;
use crate::native::Exchange;

/// A state, and the calls of extensions against it.
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
        imports::begin(&mut self.state);
        let (returned, panic) = panics::capture(|| {
            catch_unwind(AssertUnwindSafe(|| {
                // SAFETY: the region is this call's alone and outlives it.
                unsafe { exchange.call(extension, |pending| pending.map(<[u8]>::to_vec)) }
            }))
        });
        let call = imports::end();
        self.state = call.state;
        let mut intents = call.intents;
        let result = match returned {
            Ok(Ok(pending)) => {
                intents.extend(pending);
                intent::validate(&intents).map(drop).map_err(Failure::InvalidGuestData)
            }
            Ok(Err(_)) => Err(match call.failure {
                Some((code, message)) => Failure::Error { code: ErrorCode::from_number(code), message },
                None => unreachable!("who returns a failure has reported it"),
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

    /// Applies the intents of an outcome to the state, all or none, and returns how many there were.
    ///
    /// # Errors
    /// The first intent that cannot be applied; the state is unchanged then.
    pub fn apply(&mut self, outcome: &Outcome) -> Result<usize, MemoryStateError> {
        self.state.apply(&outcome.intents)
    }
}
