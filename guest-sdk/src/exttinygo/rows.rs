//! Reading many records: the host calls back for each.
#![expect(unsafe_code, reason = "the host calls back what a static points to")]

use alloc::vec::Vec;
use core::marker::PhantomData;
use core::sync::atomic::{AtomicPtr, Ordering::Relaxed};

use super::call::key_handle;
use super::imports;
use super::value::{RowKey, Value};
use crate::error::Result;

/// The rows that match a partial key, in the host's order. See [`Context::read_values`](crate::Context::read_values).
///
/// The host hands over all rows in one read, so [`Rows::next`] keeps their handles, which takes 16 bytes of the heap for
/// each row. [`Rows::for_each`] on rows of which none was asked for takes nothing from it.
#[must_use = "nothing is read until `next` is called"]
pub struct Rows<'call, 'key> {
    key: &'key [u8],
    /// The handles of key and value of each row; `None` until they are read.
    handles: Option<Vec<(i64, i64)>>,
    at: usize,
    call: PhantomData<&'call ()>,
}

impl<'call, 'key> Rows<'call, 'key> {
    pub(super) const fn new(key: &'key [u8]) -> Self {
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

    /// Hands every row that is left to `each`, until one fails.
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

/// What is called for each row of the read that is running; reads may run inside each other.
type OnRow<'a> = &'a mut dyn FnMut(i64, i64);

static RUNNING: AtomicPtr<OnRow<'static>> = AtomicPtr::new(core::ptr::null_mut());

/// Reads all rows, and hands the handles of each to `on_row`.
#[inline(never)]
fn read(key: &[u8], mut on_row: OnRow<'_>) {
    let key = key_handle(key);
    let outer = RUNNING.swap((&raw mut on_row).cast(), Relaxed);
    // SAFETY: it takes a handle alone. What it calls back uses `on_row` until it returns, and nothing else does.
    unsafe { imports::read_values(key) };
    RUNNING.store(outer, Relaxed);
}

/// Is called for each row of a read.
#[unsafe(export_name = "WasmOnReadValue")]
extern "C" fn on_read_value(key: i64, value: i64) {
    // While it runs, no read is: a host that calls back from another import finds nothing to call.
    let running = RUNNING.swap(core::ptr::null_mut(), Relaxed);
    // SAFETY: it is what `read` has put there, on the stack of a function that waits for the host; it was taken away for
    // as long as it is used.
    if let Some(on_row) = unsafe { running.as_mut() } {
        on_row(key, value);
    }
    RUNNING.store(running, Relaxed);
}
