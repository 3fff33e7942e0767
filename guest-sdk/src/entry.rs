//! What surrounds an extension: the exchange region, the call, and what the call leaves.
#![expect(unsafe_code, reason = "the exchange region is raw memory; failing is an import")]

use crate::context::Context;
use crate::error::{Error, Result};
use crate::intent_sink::IntentSink;
use crate::raw;
use crate::region::Region;

/// Which part of the exchange region intents are written to: a quarter. The rest is for values.
const INTENTS_SHARE: usize = 4;

/// The exchange region: where it begins and how long it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Exchange {
    pub(crate) start: *mut u8,
    pub(crate) length: usize,
}

impl Exchange {
    /// Calls an extension, reports its error, and hands the intents that are still pending to `finish`.
    ///
    /// # Safety
    /// Until it returns, the region is valid for reads and writes and nothing else uses it.
    #[inline]
    pub(crate) unsafe fn call<R>(
        self,
        extension: impl FnOnce(&mut Context<'_>) -> Result<()>,
        finish: impl FnOnce(Result<&[u8], Failed>) -> R,
    ) -> R {
        let intents = self.length / INTENTS_SHARE;
        // SAFETY: the caller leaves the region to this call; its two parts are disjoint.
        let (mut sink, region) = unsafe {
            let values = self.start.add(intents);
            (IntentSink::new(self.start, intents), Region::new(values, self.length - intents))
        };
        match extension(&mut Context::new(&region, &mut sink)) {
            Ok(()) => finish(Ok(sink.pending())),
            Err(error) => {
                report(error);
                finish(Err(Failed))
            }
        }
    }
}

/// The extension has failed, and the host knows why.
#[derive(Debug)]
pub(crate) struct Failed;

/// Tells the host why the call fails. Takes the error, so that dropping it is not a part of every extension.
#[cold]
#[inline(never)]
#[expect(clippy::needless_pass_by_value, reason = "it is dropped here")]
pub(crate) fn report(error: Error) {
    let code = error.code().number();
    if let Some(message) = error.own_message() {
        // SAFETY: the message is borrowed during the call.
        return unsafe { raw::fail(code, message.as_ptr(), message.len()) };
    }
    let mut buffer = [0; Error::MESSAGE_LIMIT];
    let mut length = 0;
    error.describe(&mut |piece| {
        if let Some(room) = buffer.get_mut(length..length + piece.len()) {
            room.copy_from_slice(piece.as_bytes());
            length += piece.len();
        }
    });
    // SAFETY: the buffer is borrowed during the call.
    unsafe { raw::fail(code, buffer.as_ptr(), length) };
}

/// What an initialisation hook may return.
pub trait InitResult {
    /// Whether it failed, and why.
    fn into_result(self) -> Result<()>;
}

impl InitResult for () {
    fn into_result(self) -> Result<()> {
        Ok(())
    }
}

impl InitResult for Result<()> {
    fn into_result(self) -> Result<()> {
        self
    }
}

#[cfg(target_arch = "wasm32")]
pub(crate) mod exports {
    //! The exports that every guest has, and what the attribute macros call.

    use alloc::alloc::{Layout, alloc};
    use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering::Relaxed};

    use guest_abi::names::{ABI_SECTION, ABI_VERSION, EXPORT_EXCHANGE, RESULT_FAILED, pack};

    use super::{Exchange, InitResult, report};
    use crate::context::Context;
    use crate::error::Result;
    use crate::panics;

    // `export_name` and `link_section` take literals only; this keeps the literals the contract's.
    const _: () = assert!(same(ABI_SECTION, "guest-abi") && same(EXPORT_EXCHANGE, "__guest_exchange"));

    const fn same(left: &str, right: &str) -> bool {
        let (left, right) = (left.as_bytes(), right.as_bytes());
        let mut at = 0;
        while at < left.len() && at < right.len() && left[at] == right[at] {
            at += 1;
        }
        at == left.len() && at == right.len()
    }

    #[used]
    #[unsafe(link_section = "guest-abi")]
    static ABI: [u8; 4] = ABI_VERSION.to_le_bytes();

    // Until there is a region it has no bytes: reading fails, intents are handed to the host one by one.
    static START: AtomicPtr<u8> = AtomicPtr::new(core::ptr::dangling_mut());
    static LENGTH: AtomicUsize = AtomicUsize::new(0);

    /// Allocates the exchange region, once, before the snapshot.
    #[unsafe(no_mangle)]
    extern "C" fn __guest_exchange(size: usize) -> *mut u8 {
        panics::install();
        let Ok(layout) = Layout::from_size_align(size, 16) else {
            return core::ptr::null_mut();
        };
        if size == 0 {
            return core::ptr::null_mut();
        }
        // SAFETY: the size is not 0.
        let start = unsafe { alloc(layout) };
        if !start.is_null() {
            START.store(start, Relaxed);
            LENGTH.store(size, Relaxed);
        }
        start
    }

    /// Serves a call of an extension function.
    ///
    /// # Safety
    /// Only the host calls, and never while a call is in progress.
    #[inline]
    pub unsafe fn extension(extension: fn(&mut Context<'_>) -> Result<()>) -> i64 {
        let exchange = Exchange { start: START.load(Relaxed), length: LENGTH.load(Relaxed) };
        let finish = |pending: Result<&[u8], _>| match pending {
            Ok([]) => 0,
            Ok(pending) => pack(pending.as_ptr().addr() as u32, pending.len() as u32),
            Err(_) => RESULT_FAILED,
        };
        // SAFETY: the region was allocated and never given back, and there is no other call that uses it.
        unsafe { exchange.call(extension, finish) }
    }

    /// Runs an initialisation hook.
    pub fn init<R: InitResult>(hook: fn() -> R) -> i32 {
        panics::install();
        match hook().into_result() {
            Ok(()) => 0,
            Err(error) => {
                report(error);
                1
            }
        }
    }
}
