//! Runs an extension over the exchange region, and reports its result.
#![expect(unsafe_code, reason = "the exchange region is raw memory; failing is an import")]

use guest_sdk_core::error::{ErrorReported, with_message};

use crate::arena::Arena;
use crate::context::Context;
use crate::intent_sink::IntentSink;
use crate::raw;
use crate::{Error, Result};

/// The share of the exchange region for intents: a quarter. The rest is for values.
const INTENTS_SHARE: usize = 4;

/// The exchange region: where it begins and how long it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Exchange {
    pub(crate) start: *mut u8,
    pub(crate) length: usize,
}

impl Exchange {
    /// Calls an extension, reports its error, and calls `finish` with the intents that are still pending.
    ///
    /// # Safety
    /// Until it returns, the region is valid for reads and writes and nothing else uses it.
    #[inline]
    pub(crate) unsafe fn call<R>(
        self,
        extension: impl FnOnce(&mut Context<'_>) -> Result<()>,
        finish: impl FnOnce(Result<&[u8], ErrorReported>) -> R,
    ) -> R {
        let intents = self.length / INTENTS_SHARE;
        // SAFETY: the caller leaves the region to this call; its two parts are disjoint.
        let (mut sink, arena) = unsafe {
            let values = self.start.add(intents);
            (IntentSink::new(self.start, intents), Arena::new(values, self.length - intents))
        };
        match extension(&mut Context::new(&arena, &mut sink)) {
            Ok(()) => finish(Ok(sink.pending())),
            Err(error) => {
                report(error);
                finish(Err(ErrorReported))
            }
        }
    }
}

/// Tells the host why the call fails. Takes the error, so that dropping it is not a part of every extension.
#[cold]
#[inline(never)]
#[expect(clippy::needless_pass_by_value, reason = "it is dropped here")]
pub(crate) fn report(error: Error) {
    let code = error.code().number();
    // SAFETY: the message is borrowed during the call.
    with_message(&error, |message| unsafe { raw::fail(code, message.as_ptr(), message.len()) });
}
