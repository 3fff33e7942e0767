//! Reading many records: the host calls back for each.

use alloc::vec::Vec;
use core::marker::PhantomData;

use crate::key::key_handle;
use crate::{Result, RowKey, Value, read_values};

/// The rows that match a partial key, in the host's order. See [`Context::read_values`](crate::Context::read_values).
///
/// The host passes all rows in one read, so [`Rows::next`] keeps their handles: 16 bytes of the heap for each row.
/// [`Rows::for_each`] takes nothing from the heap if `next` was not called before.
///
/// ```
/// # use guest_sdk_exttinygo::{Context, KeyBuilder, Result, storage};
/// fn total(cx: &mut Context) -> Result<i64> {
///     let mut total = 0;
///     let orders = KeyBuilder::new(storage::VIEW, "shop.Orders");
///     cx.read_values(&orders)?.for_each(|row| {
///         total += row.value().get_i64("Amount")?;
///         Ok(())
///     })?;
///     Ok(total)
/// }
/// ```
#[must_use = "nothing is read until `next` is called"]
pub struct Rows<'call, 'key> {
    key: &'key [u8],
    /// The handles of key and value of each row; `None` until they are read.
    handles: Option<Vec<(i64, i64)>>,
    at: usize,
    /// Handles are those of the thread's running call, natively as well: they do not leave their thread.
    call: PhantomData<&'call *mut ()>,
}

impl<'call, 'key> Rows<'call, 'key> {
    pub(crate) const fn new(key: &'key [u8]) -> Self {
        Self { key, handles: None, at: 0, call: PhantomData }
    }

    /// The next row, or nothing behind the last.
    ///
    /// # Errors
    /// None: a read that fails ends the call.
    #[expect(clippy::should_implement_trait, reason = "natively an iterator cannot lend its items")]
    pub fn next(&mut self) -> Result<Option<Row<'_>>> {
        let key = self.key;
        let handles = self.handles.get_or_insert_with(|| {
            let mut handles = Vec::new();
            read(key, &mut |key, value| handles.push((key, value)));
            handles
        });
        let row = handles.get(self.at).map(|(key, value)| Row::new(*key, *value));
        self.at += 1;
        Ok(row)
    }

    /// Calls `each` with every row that is left, until one fails.
    ///
    /// The contract cannot end a read before its last row; rows behind the one that failed are read and dropped.
    ///
    /// # Errors
    /// Those of `each`.
    pub fn for_each(mut self, mut each: impl FnMut(Row<'_>) -> Result<()>) -> Result<()> {
        if self.handles.is_some() {
            while let Some(row) = self.next()? {
                each(row)?;
            }
            return Ok(());
        }
        let mut result = Ok(());
        read(self.key, &mut |key, value| {
            if result.is_ok() {
                result = each(Row::new(key, value));
            }
        });
        result
    }
}

impl core::fmt::Debug for Rows<'_, '_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Rows").field("at", &self.at).finish_non_exhaustive()
    }
}

/// A row: the fields of its key, and its value.
#[derive(Debug, Clone, Copy)]
pub struct Row<'step> {
    key: RowKey<'step>,
    value: Value<'step>,
}

impl<'step> Row<'step> {
    const fn new(key: i64, value: i64) -> Self {
        Self { key: RowKey::new(key), value: Value::new(value) }
    }

    /// The fields of the row's key.
    #[must_use]
    pub const fn key(&self) -> RowKey<'step> {
        self.key
    }

    /// The row's value, an object.
    #[must_use]
    pub const fn value(&self) -> Value<'step> {
        self.value
    }
}

/// Reads all rows, and calls `on_row` with the handles of each.
#[inline(never)]
fn read(key: &[u8], on_row: &mut dyn FnMut(i64, i64)) {
    read_values(key_handle(key), on_row);
}
