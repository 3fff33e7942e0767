//! A host for tests: a state, and calls.

#[cfg(feature = "state-file")]
use std::path::Path;

use guest_sdk_core::error::{ErrorReported, with_message};
use guest_sdk_core::testing::{self, MemoryState, MemoryStateError, Outcome};

use super::handles;
use crate::{Context, Result};

/// A state, and the calls of extensions against it.
///
/// ```
/// use guest_sdk_exttinygo::testing::{Host, MemoryState};
/// use guest_sdk_exttinygo::{KeyBuilder, storage};
///
/// let mut host = Host::new(MemoryState::new());
/// let outcome = host.call(|cx| {
///     cx.new_value(&KeyBuilder::new(storage::RECORD, "shop.Counter"))?.put_i32("Value", 1);
///     Ok(())
/// });
/// outcome.unwrap();
/// host.apply(&outcome)?;
/// assert_eq!(host.state().len(), 1);
/// # Ok::<(), guest_sdk_exttinygo::testing::MemoryStateError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Host {
    state: MemoryState,
}

impl Host {
    /// A host with this state.
    #[must_use]
    pub fn new(state: MemoryState) -> Self {
        Self { state }
    }

    /// A host with the records of a state file, as `host-harness run --state` loads them. Needs the feature `state-file`.
    ///
    /// Cargo runs tests in the folder of their package: `"state.json"` is the file beside its manifest.
    ///
    /// ```no_run
    /// use guest_sdk_exttinygo::testing::Host;
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

    /// The state.
    #[must_use]
    pub const fn state(&self) -> &MemoryState {
        &self.state
    }

    /// The state, for tests that change it between calls.
    pub const fn state_mut(&mut self) -> &mut MemoryState {
        &mut self.state
    }

    /// Calls an extension. The intents that it leaves are in the outcome and not applied.
    ///
    /// # Panics
    /// When the thread is in a call already.
    pub fn call(&mut self, extension: impl FnOnce(&mut Context<'_>) -> Result<()>) -> Outcome {
        testing::run(&mut self.state, || {
            handles::begin();
            match extension(&mut Context::new()) {
                Ok(()) => Ok(handles::end()),
                Err(error) => {
                    with_message(&error, |message| testing::fail(error.code().number(), message));
                    Err(ErrorReported)
                }
            }
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
