//! What an extension is handed: reading state, leaving intents, writing log lines.

use crate::Level;
use crate::contract::{self, Call, IntentWriter, Rows, Value};
use crate::error::{Error, Result};
use crate::key::KeyBuilder;

/// The call that an extension serves.
///
/// Values that are read are views into the exchange region and live as long as the call; nothing on these paths takes
/// anything from the guest's heap.
pub struct Context<'call> {
    call: Call<'call>,
}

impl<'call> Context<'call> {
    pub(crate) const fn new(call: Call<'call>) -> Self {
        Self { call }
    }

    /// The value of the record with this key.
    ///
    /// # Errors
    /// [`Absent`](crate::ErrorCode::Absent) when there is none,
    /// [`KeyTooLong`](crate::ErrorCode::KeyTooLong), [`ExchangeFull`](crate::ErrorCode::ExchangeFull).
    #[inline]
    pub fn get_value<const N: usize>(&mut self, key: &KeyBuilder<N>) -> Result<Value<'call>> {
        let key = key.bytes()?;
        match self.call.get(key)? {
            Some(value) => Ok(value),
            None => Err(Error::absent(key)),
        }
    }

    /// The value of the record with this key, if there is one.
    ///
    /// # Errors
    /// [`KeyTooLong`](crate::ErrorCode::KeyTooLong), [`ExchangeFull`](crate::ErrorCode::ExchangeFull).
    #[inline]
    pub fn query_value<const N: usize>(&mut self, key: &KeyBuilder<N>) -> Result<Option<Value<'call>>> {
        self.call.get(key.bytes()?)
    }

    /// The rows whose keys have the fields of this one, and possibly more.
    ///
    /// They come in chunks, for which half of what is left of the exchange region is kept until the rows are dropped.
    ///
    /// # Errors
    /// [`KeyTooLong`](crate::ErrorCode::KeyTooLong).
    #[inline]
    pub fn read_values<'key, const N: usize>(&mut self, key: &'key KeyBuilder<N>) -> Result<Rows<'call, 'key>> {
        Ok(self.call.rows(key.bytes()?))
    }

    /// Leaves the intent to write a new record with this key. Its fields are put into what this returns.
    ///
    /// # Errors
    /// [`KeyTooLong`](crate::ErrorCode::KeyTooLong).
    #[inline]
    pub fn new_value<const N: usize>(&mut self, key: &KeyBuilder<N>) -> Result<IntentWriter<'_>> {
        Ok(self.call.new_value(key.bytes()?))
    }

    /// Leaves the intent to change fields of the record with this key. Its other fields stay.
    ///
    /// `found` is what was read of the record: there must be one.
    ///
    /// # Errors
    /// [`KeyTooLong`](crate::ErrorCode::KeyTooLong).
    #[inline]
    pub fn update_value<const N: usize>(&mut self, key: &KeyBuilder<N>, found: &Value<'_>) -> Result<IntentWriter<'_>> {
        Ok(self.call.update_value(key.bytes()?, found))
    }

    /// Runs `body` and gives back the room of all values that it read, so that a loop may read more than the exchange
    /// region holds.
    ///
    /// What `body` reads cannot leave it; what it makes of it can:
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
        self.call.scope(|call| body(&mut Context::new(call)))
    }

    /// Writes a log line.
    #[inline]
    pub fn log(&mut self, level: Level, text: &str) {
        contract::log(level, text);
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
