//! The argument of an extension: reads state, leaves intents, writes log lines.
//!
//! A [`KeyBuilder`] encodes the key in the guest, and each use passes it to the host field by field. It cannot be a handle:
//! an extension may clone it, clear it, build it in the initialisation hook and use it in many calls, while a handle lives
//! for one call.
#![expect(unsafe_code, reason = "everything here is an import")]

use core::marker::PhantomData;

use guest_abi::exttinygo::ABSENT;
use guest_sdk_core::error;

use crate::key::key_handle;
use crate::{IntentWriter, KeyBuilder, Level, Result, Rows, Value, imports};

/// The call that an extension serves.
///
/// Values that are read are handles of the host's and live as long as the call. Apart from [`Rows::next`] nothing on
/// these paths takes anything from the guest's heap.
///
/// ```
/// use guest_sdk_exttinygo::{Context, KeyBuilder, Result, storage};
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
    /// Handles are those of the thread's running call, natively as well: a context does not leave its thread.
    call: PhantomData<&'call mut *mut ()>,
}

impl<'call> Context<'call> {
    pub(crate) const fn new() -> Self {
        Self { call: PhantomData }
    }

    /// Always uses `hostQueryValue`: an extension may handle the absence of a record, and `hostGetValue` would end the call.
    fn read(&mut self, key: &[u8]) -> Option<Value<'call>> {
        let key = key_handle(key);
        // SAFETY: it takes a handle alone.
        match unsafe { imports::query_value(key) } {
            ABSENT => None,
            value => Some(Value::new(value)),
        }
    }

    /// The value of the record with this key.
    ///
    /// # Errors
    /// [`Absent`](crate::ErrorCode::Absent) when there is none, [`KeyTooLong`](crate::ErrorCode::KeyTooLong).
    #[inline]
    pub fn get_value<const N: usize>(&mut self, key: &KeyBuilder<N>) -> Result<Value<'call>> {
        let key = key.bytes()?;
        match self.read(key) {
            Some(value) => Ok(value),
            None => Err(error::absent(key)),
        }
    }

    /// The value of the record with this key, if there is one.
    ///
    /// # Errors
    /// [`KeyTooLong`](crate::ErrorCode::KeyTooLong).
    #[inline]
    pub fn query_value<const N: usize>(&mut self, key: &KeyBuilder<N>) -> Result<Option<Value<'call>>> {
        Ok(self.read(key.bytes()?))
    }

    /// The rows whose keys have the fields of this one, and possibly more.
    ///
    /// # Errors
    /// [`KeyTooLong`](crate::ErrorCode::KeyTooLong).
    #[inline]
    pub fn read_values<'key, const N: usize>(&mut self, key: &'key KeyBuilder<N>) -> Result<Rows<'call, 'key>> {
        Ok(Rows::new(key.bytes()?))
    }

    /// Leaves the intent to write a new record with this key. Its fields are put into what this returns.
    ///
    /// # Errors
    /// [`KeyTooLong`](crate::ErrorCode::KeyTooLong).
    #[inline]
    pub fn new_value<const N: usize>(&mut self, key: &KeyBuilder<N>) -> Result<IntentWriter<'_>> {
        let key = key_handle(key.bytes()?);
        // SAFETY: it takes a handle alone.
        Ok(IntentWriter::new(unsafe { imports::new_value(key) }))
    }

    /// Leaves the intent to change fields of the record with this key. Its other fields stay.
    ///
    /// `found` is what was read of the record: there must be one.
    ///
    /// # Errors
    /// [`KeyTooLong`](crate::ErrorCode::KeyTooLong).
    #[inline]
    pub fn update_value<const N: usize>(&mut self, key: &KeyBuilder<N>, found: &Value<'_>) -> Result<IntentWriter<'_>> {
        let key = key_handle(key.bytes()?);
        // SAFETY: it takes handles alone.
        Ok(IntentWriter::new(unsafe { imports::update_value(key, found.handle()) }))
    }

    /// Runs `body`, whose values cannot leave it, as in the native SDK. Frees nothing: the host keeps all values until the
    /// call ends.
    ///
    /// ```
    /// # use guest_sdk_exttinygo::{Context, KeyBuilder, Result, storage};
    /// # fn total(cx: &mut Context) -> Result<i64> {
    /// let mut total = 0;
    /// for id in 0..100 {
    ///     let mut key = KeyBuilder::new(storage::RECORD, "");
    ///     key.put_i64("Id", id);
    ///     total += cx.scope(|cx| cx.get_value(&key)?.get_i64("Amount"))?;
    /// }
    /// # Ok(total)
    /// # }
    /// ```
    #[inline]
    pub fn scope<R>(&mut self, body: impl FnOnce(&mut Context<'_>) -> R) -> R {
        body(&mut Context::new())
    }

    /// Writes a log line.
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
