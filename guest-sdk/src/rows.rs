//! Reading many records, chunk by chunk.
#![expect(unsafe_code, reason = "the host has written the rows")]

use core::ops::Range;

use guest_abi::cbor::scan;
use guest_sdk_core::value::malformed;

use crate::arena::Chunk;
use crate::{Result, Value};

/// The rows that match a partial key, in the host's order. See [`Context::read_values`](crate::Context::read_values).
///
/// A row is borrowed for its step only, so this is not an [`Iterator`]:
///
/// ```
/// # use guest_sdk::{Context, KeyBuilder, Result, storage};
/// fn total(cx: &mut Context) -> Result<i64> {
///     let mut total = 0;
///     let year = KeyBuilder::new(storage::VIEW, "example.com/shop.OrderedItems");
///     let mut rows = cx.read_values(&year)?;
///     while let Some(row) = rows.next()? {
///         total += row.value().get_i64("Amount")?;
///     }
///     Ok(total)
/// }
/// ```
#[must_use = "nothing is read until `next` is called"]
pub struct Rows<'call, 'key> {
    chunk: Chunk<'call>,
    key: &'key [u8],
    /// Position of the next row.
    at: usize,
    /// Position behind the last row of the chunk.
    end: usize,
    /// The key of the row before, with which the next chunk is asked for.
    last: Range<usize>,
    done: bool,
}

impl<'call, 'key> Rows<'call, 'key> {
    pub(crate) const fn new(chunk: Chunk<'call>, key: &'key [u8]) -> Self {
        Self { chunk, key, at: 0, end: 0, last: 0..0, done: false }
    }

    /// The next row, or nothing behind the last.
    ///
    /// # Errors
    /// [`ExchangeFull`](crate::ErrorCode::ExchangeFull) when not even one row fits the exchange region,
    /// [`Malformed`](crate::ErrorCode::Malformed) when the host's bytes are not rows.
    #[expect(clippy::should_implement_trait, reason = "an iterator cannot lend its items")]
    pub fn next(&mut self) -> Result<Option<Row<'_>>> {
        if self.at == self.end {
            self.fetch()?;
            if self.done {
                return Ok(None);
            }
        }
        // SAFETY: the host has written the rows up to the end, and the kept key before them.
        let bytes = unsafe { self.chunk.bytes(self.end) };
        let start = self.at;
        let middle = scan::end_of(bytes, start).map_err(malformed)?;
        let behind = scan::end_of(bytes, middle).map_err(malformed)?;
        self.last = start..middle;
        self.at = behind;
        Ok(Some(Row { key: Value::new(&bytes[start..middle]), value: Value::new(&bytes[middle..behind]) }))
    }

    /// Calls `each` with every row that is left, until one fails.
    ///
    /// # Errors
    /// Those of [`Rows::next`] and of `each`.
    pub fn for_each(mut self, mut each: impl FnMut(Row<'_>) -> Result<()>) -> Result<()> {
        while let Some(row) = self.next()? {
            each(row)?;
        }
        Ok(())
    }

    #[cold]
    fn fetch(&mut self) -> Result<()> {
        if self.done {
            return Ok(());
        }
        // Only if all goes well there is more to read.
        self.done = true;
        let kept = self.last.len();
        let last = core::mem::replace(&mut self.last, 0..kept);
        self.at = kept;
        self.end = kept;
        self.end = self.chunk.read(self.key, last)?;
        self.done = self.end == kept;
        Ok(())
    }
}

impl core::fmt::Debug for Rows<'_, '_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Rows").field("at", &self.at).field("end", &self.end).finish_non_exhaustive()
    }
}

/// A row: the fields of its key, and its value.
///
/// ```
/// use guest_sdk::testing::{Host, MemoryState};
/// use guest_sdk::{KeyBuilder, storage};
///
/// let mut state = MemoryState::new();
/// state.put(storage::VIEW, "shop.Orders", |key| { key.put_i32("Year", 2023); }, |value| { value.put_i32("Amount", 400); })?;
/// let outcome = Host::new(state).call(|cx| {
///     let orders = KeyBuilder::new(storage::VIEW, "shop.Orders");
///     cx.read_values(&orders)?.for_each(|row| {
///         assert_eq!((row.key().get_i32("Year")?, row.value().get_i32("Amount")?), (2023, 400));
///         Ok(())
///     })
/// });
/// outcome.unwrap();
/// # Ok::<(), guest_sdk::testing::MemoryStateError>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Row<'step> {
    key: Value<'step>,
    value: Value<'step>,
}

impl<'step> Row<'step> {
    /// The fields of the row's key, as an object.
    #[must_use]
    pub const fn key(&self) -> Value<'step> {
        self.key
    }

    /// The row's value, an object.
    #[must_use]
    pub const fn value(&self) -> Value<'step> {
        self.value
    }
}
