//! A stream that a guest reads and writes while a call runs.

#[cfg(feature = "async")]
use std::pin::Pin;

/// A stream that a guest reads and writes piece by piece while a call runs, such as the body of a request and that of its response.
///
/// It is for calls of an [`AsyncInstance`](crate::AsyncInstance) alone, by [`AsyncInstance::call_bytes`](crate::AsyncInstance::call_bytes):
/// a guest that waits holds the instance and no thread. An error ends the call.
///
/// ```
/// use guest_host::{GuestStream, StreamFuture};
///
/// /// Gives back what was written to it.
/// #[derive(Default)]
/// struct Echo(std::collections::VecDeque<Vec<u8>>);
///
/// impl GuestStream for Echo {
///     fn read(&mut self, most: usize) -> StreamFuture<'_, Vec<u8>> {
///         let mut piece = self.0.pop_front().unwrap_or_default();
///         if piece.len() > most {
///             self.0.push_front(piece.split_off(most));
///         }
///         Box::pin(std::future::ready(Ok(piece)))
///     }
///
///     fn write(&mut self, bytes: Vec<u8>) -> StreamFuture<'_, ()> {
///         self.0.push_back(bytes);
///         Box::pin(std::future::ready(Ok(())))
///     }
/// }
/// ```
#[cfg(feature = "async")]
pub trait GuestStream: Send {
    /// The next bytes, from 1 to `most` of them; none at the end. `most` is at least 1.
    fn read(&mut self, most: usize) -> StreamFuture<'_, Vec<u8>>;

    /// Takes bytes that the guest has written: up to [`MOST_AT_ONCE`] of them. What the guest writes at once comes in several pieces if it
    /// is longer. The guest goes on when the future is ready.
    fn write(&mut self, bytes: Vec<u8>) -> StreamFuture<'_, ()>;
}

/// The future of an operation of a [`GuestStream`].
#[cfg(feature = "async")]
pub type StreamFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StreamError>> + Send + 'a>>;

/// Bytes of a piece of a stream, at most.
#[cfg(feature = "async")]
pub const MOST_AT_ONCE: usize = 64 << 10;

/// Why a stream went no further. It ends the call with [`Cause::Stream`](crate::Cause::Stream).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct StreamError {
    message: String,
}

impl StreamError {
    /// The error with this message.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }
}
