//! The argument of an extension: reads state, leaves intents, writes log lines.
#![expect(unsafe_code, reason = "log lines are imports, and a scope gives room back")]

use guest_abi::intent::Operation;
use guest_sdk_core::error;

use crate::arena::Arena;
use crate::intent_sink::IntentSink;
use crate::{IntentWriter, KeyBuilder, Level, Result, Rows, Value};

/// The call that an extension serves.
///
/// Values that are read are views into the exchange region and live as long as the call; nothing on these paths takes
/// anything from the guest's heap.
///
/// ```
/// use guest_sdk::{Context, KeyBuilder, Result, storage};
///
/// fn count_up(cx: &mut Context) -> Result<()> {
///     let key = KeyBuilder::new(storage::RECORD, "shop.Counter");
///     let found = cx.get_value(&key)?;
///     let next = found.get_i64("Value")? + 1;
///     cx.update_value(&key, &found)?.put_i64("Value", next);
///     cx.info("counted");
///     Ok(())
/// }
/// ```
pub struct Context<'call> {
    /// The arena in the exchange region that values are read into.
    arena: &'call Arena,
    sink: &'call mut IntentSink,
}

impl<'call> Context<'call> {
    pub(crate) const fn new(arena: &'call Arena, sink: &'call mut IntentSink) -> Self {
        Self { arena, sink }
    }

    #[inline]
    fn read(&self, key: &[u8]) -> Result<Option<Value<'call>>> {
        Ok(self.arena.get(key)?.map(Value::new))
    }

    /// The value of the record with this key.
    ///
    /// # Errors
    /// [`Absent`](crate::ErrorCode::Absent) when there is none,
    /// [`KeyTooLong`](crate::ErrorCode::KeyTooLong), [`ExchangeFull`](crate::ErrorCode::ExchangeFull).
    #[inline]
    pub fn get_value<const N: usize>(&mut self, key: &KeyBuilder<N>) -> Result<Value<'call>> {
        let key = key.bytes()?;
        match self.read(key)? {
            Some(value) => Ok(value),
            None => Err(error::absent(key)),
        }
    }

    /// The value of the record with this key, if there is one.
    ///
    /// # Errors
    /// [`KeyTooLong`](crate::ErrorCode::KeyTooLong), [`ExchangeFull`](crate::ErrorCode::ExchangeFull).
    #[inline]
    pub fn query_value<const N: usize>(&mut self, key: &KeyBuilder<N>) -> Result<Option<Value<'call>>> {
        self.read(key.bytes()?)
    }

    /// The rows whose keys have the fields of this one, and possibly more.
    ///
    /// They come in chunks, for which half of what is left of the exchange region is kept until the rows are dropped.
    ///
    /// # Errors
    /// [`KeyTooLong`](crate::ErrorCode::KeyTooLong).
    #[inline]
    pub fn read_values<'key, const N: usize>(&mut self, key: &'key KeyBuilder<N>) -> Result<Rows<'call, 'key>> {
        let key = key.bytes()?;
        Ok(Rows::new(self.arena.chunk(), key))
    }

    /// Leaves the intent to write a new record with this key. Its fields are put into what this returns.
    ///
    /// # Errors
    /// [`KeyTooLong`](crate::ErrorCode::KeyTooLong).
    #[inline]
    pub fn new_value<const N: usize>(&mut self, key: &KeyBuilder<N>) -> Result<IntentWriter<'_>> {
        Ok(IntentWriter::begin(self.sink, Operation::New, key.bytes()?))
    }

    /// Leaves the intent to change fields of the record with this key. Its other fields stay.
    ///
    /// `found` is what was read of the record: there must be one.
    ///
    /// # Errors
    /// [`KeyTooLong`](crate::ErrorCode::KeyTooLong).
    #[inline]
    pub fn update_value<const N: usize>(&mut self, key: &KeyBuilder<N>, found: &Value<'_>) -> Result<IntentWriter<'_>> {
        // The contract finds the record by its key.
        let _ = found;
        Ok(IntentWriter::begin(self.sink, Operation::Update, key.bytes()?))
    }

    /// Runs `body` and gives back the room of all values that it read, so that a loop may read more than the exchange
    /// region holds.
    ///
    /// Values that `body` reads cannot leave it; what it computes from them can:
    ///
    /// ```
    /// # use guest_sdk::{Context, KeyBuilder, Result, storage};
    /// # fn total(cx: &mut Context) -> Result<i64> {
    /// let mut total = 0;
    /// for id in 0..10_000 {
    ///     let mut key = KeyBuilder::new(storage::RECORD, "");
    ///     key.put_i64("Id", id);
    ///     total += cx.scope(|cx| cx.get_value(&key)?.get_i64("Amount"))?;
    /// }
    /// # Ok(total)
    /// # }
    /// ```
    ///
    /// ```compile_fail
    /// # use guest_sdk::{Context, KeyBuilder, Result, storage};
    /// # fn first(cx: &mut Context) -> Result<()> {
    /// let value = cx.scope(|cx| cx.get_value(&KeyBuilder::new(storage::EVENT, "")))?;
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub fn scope<R>(&mut self, body: impl FnOnce(&mut Context<'_>) -> R) -> R {
        let cursor = self.arena.cursor();
        let result = body(&mut Context::new(self.arena, self.sink));
        // SAFETY: `body` accepts a call of any lifetime, so nothing that it read is in its result or anywhere
        // outside; and nobody else could read values meanwhile, because `self` is borrowed.
        unsafe { self.arena.rewind(cursor) };
        result
    }

    /// Writes a log line, as [`log`](crate::log()) does anywhere.
    #[inline]
    pub fn log(&mut self, level: Level, text: &str) {
        crate::log(level, text);
    }

    /// Writes a log line of [`Level::Error`].
    pub fn error(&mut self, text: &str) {
        self.log(Level::Error, text);
    }

    /// Writes a log line of [`Level::Warn`].
    pub fn warn(&mut self, text: &str) {
        self.log(Level::Warn, text);
    }

    /// Writes a log line of [`Level::Info`].
    pub fn info(&mut self, text: &str) {
        self.log(Level::Info, text);
    }

    /// Writes a log line of [`Level::Debug`].
    pub fn debug(&mut self, text: &str) {
        self.log(Level::Debug, text);
    }

    /// Writes a log line of [`Level::Trace`].
    pub fn trace(&mut self, text: &str) {
        self.log(Level::Trace, text);
    }
}

impl core::fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Context").finish_non_exhaustive()
    }
}
