//! Reading rows: the host calls back for each.
#![expect(unsafe_code, reason = "the host calls back what a static points to")]

use core::sync::atomic::{AtomicPtr, Ordering::Relaxed};

use crate::imports;

/// The function for each row of the running read. Reads may nest.
type OnRow<'a> = &'a mut dyn FnMut(i64, i64);

static RUNNING: AtomicPtr<OnRow<'static>> = AtomicPtr::new(core::ptr::null_mut());

/// Reads the rows of a key, and calls `on_row` with the handles of key and value of each.
#[inline]
pub(crate) fn read_values(key: i64, mut on_row: OnRow<'_>) {
    let outer = RUNNING.swap((&raw mut on_row).cast(), Relaxed);
    // SAFETY: it takes a handle alone. What it calls back uses `on_row` until it returns, and nothing else does.
    unsafe { imports::read_values(key) };
    RUNNING.store(outer, Relaxed);
}

/// The host calls this for each row of a read.
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
