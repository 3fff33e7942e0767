//! The state that guests read: a trait, and the in-memory state as its first implementation.

#[cfg(feature = "async")]
pub(crate) mod awaited;

use std::any::Any;

#[cfg(feature = "async")]
pub use awaited::AsyncState;
use guest_abi::key::Key;
use guest_abi::value::ValueRef;
pub use guest_state::MemoryState;
use guest_state::{OrderedMapMut, StoredState, StoredStateError};

/// The records that a guest may read. Each instance has its own state; several states may share one store.
///
/// A [`StoredState`] is a state over any ordered map of bytes, such as a table of a key-value store. Implement this trait for
/// what such a map cannot give.
///
/// An extension is a pure function of the state: while a call runs, equal reads must give equal results.
///
/// ```
/// use guest_host::guest_abi::key::Key;
/// use guest_host::guest_abi::value::ValueRef;
/// use guest_host::{MemoryState, State, StateError};
///
/// /// Records that guests may read and not change.
/// #[derive(Default)]
/// struct ReadOnly(MemoryState);
///
/// impl State for ReadOnly {
///     fn get(&mut self, key: &Key<'_>) -> Result<Option<&[u8]>, StateError> {
///         State::get(&mut self.0, key)
///     }
///
///     fn read(&mut self, key: &Key<'_>, after: Option<ValueRef<'_>>, out: &mut [u8]) -> Result<usize, StateError> {
///         State::read(&mut self.0, key, after, out)
///     }
///
///     fn apply(&mut self, _intents: &[u8]) -> Result<usize, StateError> {
///         Err(StateError::new("these records are read-only"))
///     }
/// }
///
/// assert_eq!(ReadOnly::default().apply(&[]).unwrap_err().to_string(), "these records are read-only");
/// ```
pub trait State: Any + Send {
    /// The value of the record with this key, as CBOR with definite lengths; `None` when there is no such record.
    ///
    /// # Errors
    /// [`StateError`] when the state cannot say, for instance because it does not know the storage. It ends the call
    /// with [`Cause::State`](crate::Cause::State).
    fn get(&mut self, key: &Key<'_>) -> Result<Option<&[u8]>, StateError>;

    /// Writes rows that match the partial `key` into `out`, as many whole ones as fit, starting behind the row whose
    /// key map is `after`. A row is the CBOR of its key map followed by that of its value.
    ///
    /// Returns the bytes written, 0 when there are no more rows, and when not even one row fits, the bytes that it
    /// needs.
    ///
    /// # Errors
    /// As for [`State::get`].
    fn read(&mut self, key: &Key<'_>, after: Option<ValueRef<'_>>, out: &mut [u8]) -> Result<usize, StateError>;

    /// Applies a call's stream of intents, all or none, and returns how many there were.
    ///
    /// # Errors
    /// [`StateError`] when one of them cannot be applied; nothing has changed then.
    fn apply(&mut self, intents: &[u8]) -> Result<usize, StateError>;

    /// The reads of a state that may await. Only the host's own type has them.
    #[cfg(feature = "async")]
    #[doc(hidden)]
    fn awaited(&mut self) -> Option<&mut awaited::Awaited> {
        None
    }
}

impl dyn State {
    /// The state as its own type, if it is of that type.
    ///
    /// ```
    /// use guest_host::{MemoryState, State};
    ///
    /// let mut boxed: Box<dyn State> = Box::new(MemoryState::new());
    /// boxed.downcast_mut::<MemoryState>().unwrap().declare_storage("my.Store");
    /// ```
    pub fn downcast_mut<S: State>(&mut self) -> Option<&mut S> {
        let any: &mut dyn Any = self;
        any.downcast_mut()
    }
}

/// Why a state could not serve.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct StateError(Box<dyn std::error::Error + Send + Sync>);

impl StateError {
    /// Wraps the state's own error.
    pub fn new(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self(error.into())
    }
}

impl From<guest_state::MemoryStateError> for StateError {
    fn from(error: guest_state::MemoryStateError) -> Self {
        Self::new(error)
    }
}

impl<E: std::error::Error + Send + Sync + 'static> From<StoredStateError<E>> for StateError {
    fn from(error: StoredStateError<E>) -> Self {
        Self::new(error)
    }
}

impl<M: OrderedMapMut + Send + 'static> State for StoredState<M> {
    fn get(&mut self, key: &Key<'_>) -> Result<Option<&[u8]>, StateError> {
        Ok(StoredState::get(self, key)?)
    }

    fn read(&mut self, key: &Key<'_>, after: Option<ValueRef<'_>>, out: &mut [u8]) -> Result<usize, StateError> {
        Ok(StoredState::read(self, key, after, out)?)
    }

    fn apply(&mut self, intents: &[u8]) -> Result<usize, StateError> {
        Ok(StoredState::apply(self, intents)?)
    }
}

impl State for MemoryState {
    fn get(&mut self, key: &Key<'_>) -> Result<Option<&[u8]>, StateError> {
        Ok(MemoryState::get(self, key)?)
    }

    fn read(&mut self, key: &Key<'_>, after: Option<ValueRef<'_>>, out: &mut [u8]) -> Result<usize, StateError> {
        Ok(MemoryState::read(self, key, after, out)?)
    }

    fn apply(&mut self, intents: &[u8]) -> Result<usize, StateError> {
        Ok(MemoryState::apply(self, intents)?)
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_store_of_ones_own_takes_at_most_thirty_lines() {
        let example = include_str!("../../examples/stored_state.rs");
        let (_, behind) = example.split_once("// ANCHOR: state\n").unwrap();
        let (state, _) = behind.split_once("// ANCHOR_END: state").unwrap();
        let lines = state.lines().filter(|line| !line.trim().is_empty()).count();
        assert!((20..=30).contains(&lines), "{lines}");
    }
}
