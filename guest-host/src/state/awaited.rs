//! A state whose reads may await, behind the trait of one whose reads do not.
//!
//! A host function asks [`Awaited`] as it would ask any state. Where there is no answer yet, that records the request and
//! fails. The host function has done nothing by then; its asynchronous frame awaits the answer and runs it again.

use std::any::Any;
use std::pin::Pin;

use guest_abi::key::Key;
use guest_abi::value::ValueRef;
use guest_state::{OrderedMap, StoredState};

use super::{MemoryState, State, StateError};

/// A state whose reads may await, for instance one behind a network. See
/// [`AsyncInstance`](crate::AsyncInstance).
///
/// An extension is a pure function of the state: while a call runs, equal reads must give equal results.
///
/// ```
/// use guest_host::{AsyncState, StateError};
/// use guest_abi::key::Key;
/// use guest_abi::value::ValueRef;
///
/// /// Every record is there and is `null`, after a moment.
/// struct Nothing;
///
/// impl AsyncState for Nothing {
///     async fn get(&mut self, _key: &Key<'_>) -> Result<Option<Vec<u8>>, StateError> {
///         std::future::ready(()).await;
///         Ok(Some(vec![0xF6]))
///     }
///
///     async fn read(&mut self, _key: &Key<'_>, _after: Option<ValueRef<'_>>, _room: usize) -> Result<Vec<u8>, StateError> {
///         Ok(Vec::new())
///     }
/// }
/// ```
pub trait AsyncState: Send {
    /// The value of the record with this key, as CBOR with definite lengths; `None` when there is no such record.
    ///
    /// # Errors
    /// [`StateError`] when the state cannot say. It ends the call with [`Cause::State`](crate::Cause::State).
    fn get(&mut self, key: &Key<'_>) -> impl Future<Output = Result<Option<Vec<u8>>, StateError>> + Send;

    /// Rows that match the partial `key`, starting behind the row whose key map is `after`: as many whole ones as fit
    /// `room` bytes, or the next one alone where that is larger; empty when there are no more. A row is the CBOR of its key
    /// map followed by that of its value.
    ///
    /// # Errors
    /// As for [`AsyncState::get`].
    fn read(
        &mut self,
        key: &Key<'_>,
        after: Option<ValueRef<'_>>,
        room: usize,
    ) -> impl Future<Output = Result<Vec<u8>, StateError>> + Send;
}

impl AsyncState for MemoryState {
    async fn get(&mut self, key: &Key<'_>) -> Result<Option<Vec<u8>>, StateError> {
        Ok(MemoryState::get(self, key)?.map(<[u8]>::to_vec))
    }

    async fn read(&mut self, key: &Key<'_>, after: Option<ValueRef<'_>>, room: usize) -> Result<Vec<u8>, StateError> {
        let mut rows = vec![0; room];
        let mut written = MemoryState::read(self, key, after, &mut rows)?;
        if written > room {
            rows.resize(written, 0);
            written = MemoryState::read(self, key, after, &mut rows)?;
        }
        rows.truncate(written);
        Ok(rows)
    }
}

/// Reads from the map do not await: the future is ready at once. For a map whose reads block for long, implement
/// [`AsyncState`] itself.
impl<M: OrderedMap + Send + Sync> AsyncState for StoredState<M> {
    async fn get(&mut self, key: &Key<'_>) -> Result<Option<Vec<u8>>, StateError> {
        Ok(self.find(key)?)
    }

    async fn read(&mut self, key: &Key<'_>, after: Option<ValueRef<'_>>, room: usize) -> Result<Vec<u8>, StateError> {
        Ok(self.page(key, after, room)?.into_rows())
    }
}

type Boxed<'a, T> = Pin<Box<dyn Future<Output = Result<T, StateError>> + Send + 'a>>;

/// [`AsyncState`] as a trait object.
trait Reads: Any + Send {
    fn get<'a>(&'a mut self, key: &'a Key<'a>) -> Boxed<'a, Option<Vec<u8>>>;
    fn read<'a>(&'a mut self, key: &'a Key<'a>, after: Option<ValueRef<'a>>, room: usize) -> Boxed<'a, Vec<u8>>;
}

impl<S: AsyncState + 'static> Reads for S {
    fn get<'a>(&'a mut self, key: &'a Key<'a>) -> Boxed<'a, Option<Vec<u8>>> {
        Box::pin(AsyncState::get(self, key))
    }

    fn read<'a>(&'a mut self, key: &'a Key<'a>, after: Option<ValueRef<'a>>, room: usize) -> Boxed<'a, Vec<u8>> {
        Box::pin(AsyncState::read(self, key, after, room))
    }
}

/// A state whose reads may await, with the read that is under way.
#[doc(hidden)]
pub struct Awaited {
    state: Box<dyn Reads>,
    wanted: Option<Wanted>,
    /// The read that was awaited last in this call. Its answer serves the host function that runs again, and a guest that
    /// asks again with more room.
    fetched: Option<(Wanted, Result<Answer, StateError>)>,
}

/// A read of the state.
struct Wanted {
    storage: String,
    entity: String,
    fields: Vec<u8>,
    what: What,
}

enum What {
    Value,
    Rows { after: Option<Vec<u8>>, room: usize },
}

enum Answer {
    Value(Option<Vec<u8>>),
    Rows(Vec<u8>),
}

/// A read has no answer yet. No embedder sees it: the answer is awaited, and the host function runs again.
#[derive(Debug, thiserror::Error)]
#[error("a read of the state is still to be awaited")]
struct Pending;

impl Wanted {
    fn new(key: &Key<'_>, what: What) -> Self {
        Self {
            storage: key.storage.to_owned(),
            entity: key.entity.to_owned(),
            fields: key.object().bytes().to_vec(),
            what,
        }
    }

    fn is_of(&self, key: &Key<'_>) -> bool {
        self.storage == key.storage && self.entity == key.entity && self.fields == key.object().bytes()
    }

    fn is_value(&self, key: &Key<'_>) -> bool {
        matches!(self.what, What::Value) && self.is_of(key)
    }

    /// Whether `read` bytes of rows that were read for this are also the answer to a read with `room` bytes of room.
    fn is_rows(&self, key: &Key<'_>, after: Option<ValueRef<'_>>, room: usize, read: usize) -> bool {
        match &self.what {
            What::Rows { after: behind, room: asked } => {
                // More than was asked for is one row.
                (*asked == room || (read > *asked && room >= read))
                    && behind.as_deref() == after.map(|after| after.bytes())
                    && self.is_of(key)
            }
            What::Value => false,
        }
    }
}

impl Awaited {
    pub(crate) fn new(state: impl AsyncState + 'static) -> Self {
        Self { state: Box::new(state), wanted: None, fetched: None }
    }

    /// The embedder's state, if it is of this type.
    pub(crate) fn state_mut<S: AsyncState + 'static>(&mut self) -> Option<&mut S> {
        let any: &mut dyn Any = self.state.as_mut();
        any.downcast_mut()
    }

    /// Whether a read is to be awaited.
    pub(crate) fn wants(&self) -> bool {
        self.wanted.is_some()
    }

    /// Forgets the reads of the last call, also of one that was given up.
    pub(crate) fn begin_call(&mut self) {
        (self.wanted, self.fetched) = (None, None);
    }

    /// Awaits the read that is wanted. The host function that wanted it finds the answer when it runs again.
    pub(crate) async fn fetch(&mut self) {
        let Some(wanted) = self.wanted.take() else {
            return;
        };
        let answer = match Key::of_parts(&wanted.storage, &wanted.entity, &wanted.fields) {
            Ok(key) => match &wanted.what {
                What::Value => self.state.get(&key).await.map(Answer::Value),
                What::Rows { after, room } => {
                    let after = after.as_deref().map(ValueRef::new);
                    self.state.read(&key, after, *room).await.map(Answer::Rows)
                }
            },
            // They are the parts of a key.
            Err(error) => Err(StateError::new(error.to_string())),
        };
        self.fetched = Some((wanted, answer));
    }

    /// The error of the last read, if that was this one.
    fn failed(&mut self, is_it: impl FnOnce(&Wanted) -> bool) -> Option<StateError> {
        let failed = matches!(&self.fetched, Some((wanted, Err(_))) if is_it(wanted));
        if failed { self.fetched.take()?.1.err() } else { None }
    }

    fn want(&mut self, key: &Key<'_>, what: What) -> StateError {
        self.wanted = Some(Wanted::new(key, what));
        StateError::new(Pending)
    }
}

impl State for Awaited {
    fn get(&mut self, key: &Key<'_>) -> Result<Option<&[u8]>, StateError> {
        if let Some(error) = self.failed(|wanted| wanted.is_value(key)) {
            return Err(error);
        }
        if !matches!(&self.fetched, Some((wanted, Ok(_))) if wanted.is_value(key)) {
            return Err(self.want(key, What::Value));
        }
        match &self.fetched {
            Some((_, Ok(Answer::Value(value)))) => Ok(value.as_deref()),
            _ => Ok(None),
        }
    }

    fn read(&mut self, key: &Key<'_>, after: Option<ValueRef<'_>>, out: &mut [u8]) -> Result<usize, StateError> {
        let room = out.len();
        if let Some(error) = self.failed(|wanted| wanted.is_rows(key, after, room, 0)) {
            return Err(error);
        }
        match &self.fetched {
            Some((wanted, Ok(Answer::Rows(rows)))) if wanted.is_rows(key, after, room, rows.len()) => {
                if let Some(out) = out.get_mut(..rows.len()) {
                    out.copy_from_slice(rows);
                }
                Ok(rows.len())
            }
            _ => {
                let after = after.map(|after| after.bytes().to_vec());
                Err(self.want(key, What::Rows { after, room }))
            }
        }
    }

    fn apply(&mut self, _intents: &[u8]) -> Result<usize, StateError> {
        Err(StateError::new("a state whose reads await takes no intents: apply them to what is behind it"))
    }

    fn awaited(&mut self) -> Option<&mut Awaited> {
        Some(self)
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    /// Answers with what it was asked for; a row has 10 bytes.
    struct Echo;

    impl AsyncState for Echo {
        async fn get(&mut self, key: &Key<'_>) -> Result<Option<Vec<u8>>, StateError> {
            match key.entity {
                "absent" => Ok(None),
                "broken" => Err(StateError::new("broken")),
                entity => Ok(Some(entity.as_bytes().to_vec())),
            }
        }

        async fn read(
            &mut self,
            _key: &Key<'_>,
            after: Option<ValueRef<'_>>,
            room: usize,
        ) -> Result<Vec<u8>, StateError> {
            Ok(vec![u8::from(after.is_some()); (room / 10 * 10).max(10)])
        }
    }

    fn fetch(state: &mut Awaited) {
        assert!(state.wants());
        assert_eq!(pin!(state.fetch()).poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(()));
    }

    fn key(entity: &str) -> Key<'_> {
        Key::of_parts("s.S", entity, &[0xA0]).unwrap()
    }

    #[test]
    fn a_read_fails_until_it_was_awaited() {
        let mut state = Awaited::new(Echo);
        for (entity, value) in [("one", Some(&b"one"[..])), ("absent", None), ("two", Some(b"two"))] {
            assert!(State::get(&mut state, &key(entity)).is_err());
            fetch(&mut state);
            for _ in 0..2 {
                assert_eq!(State::get(&mut state, &key(entity)).unwrap(), value);
            }
        }
        assert!(State::get(&mut state, &key("one")).is_err(), "the last read alone is kept");
    }

    #[test]
    fn an_error_is_the_answer_of_one_read() {
        let mut state = Awaited::new(Echo);
        assert!(State::get(&mut state, &key("broken")).is_err());
        fetch(&mut state);
        assert_eq!(State::get(&mut state, &key("broken")).unwrap_err().to_string(), "broken");
        assert!(!state.wants());
        assert!(State::get(&mut state, &key("broken")).is_err() && state.wants());
    }

    #[test]
    fn rows_are_kept_for_more_room_only_where_one_did_not_fit() {
        let mut state = Awaited::new(Echo);
        let mut read = |after: Option<&[u8]>, room: usize| {
            let mut out = vec![7; room];
            let mut asked = 0;
            loop {
                match State::read(&mut state, &key("e"), after.map(ValueRef::new), &mut out) {
                    Ok(read) => return (asked, read, out.first().copied()),
                    Err(_) => fetch(&mut state),
                }
                asked += 1;
            }
        };
        assert_eq!(read(None, 35), (1, 30, Some(0)));
        assert_eq!(read(None, 35), (0, 30, Some(0)));
        assert_eq!(read(None, 40), (1, 40, Some(0)), "there may be more");
        assert_eq!(read(Some(&[0xA0]), 40), (1, 40, Some(1)));
        assert_eq!(read(None, 5), (1, 10, Some(7)), "not even one fits");
        assert_eq!(read(None, 5), (0, 10, Some(7)));
        assert_eq!(read(None, 10), (0, 10, Some(0)));
    }

    #[test]
    fn a_call_begins_with_nothing() {
        let mut state = Awaited::new(Echo);
        assert!(State::get(&mut state, &key("one")).is_err());
        fetch(&mut state);
        state.begin_call();
        assert!(State::get(&mut state, &key("one")).is_err());
        state.begin_call();
        assert!(!state.wants());
    }
}
