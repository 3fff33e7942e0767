//! The exports that every guest has, and the expansion of the attribute macros.
#![expect(unsafe_code, reason = "exports have names that anything may have, and a call is lent the exchange region")]

use alloc::alloc::{Layout, alloc};
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering::Relaxed};

use guest_abi::block::NO_BLOCK;
use guest_abi::names::{ABI_SECTION, ABI_VERSION, EXPORT_EXCHANGE, RESULT_FAILED, pack};

use crate::block::StageOutput;
use crate::entry::{Exchange, report};
use crate::{Context, InitResult, Result, panics};

// `export_name` and `link_section` take literals only; this keeps the literals the contract's.
const _: () = assert!(same(ABI_SECTION, "guest-abi") && same(EXPORT_EXCHANGE, "__guest_exchange"));
const _: () = assert!(same(guest_abi::function::SECTION, "guest-functions"));
const _: () = assert!(same(guest_abi::block::EXPORT_STAGE, "__guest_stage_"));

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

/// Exports an extension function.
#[doc(hidden)]
#[macro_export]
macro_rules! __guest_sdk_extension {
    ($function:ident, $export:literal) => {
        const _: () = {
            #[unsafe(export_name = $export)]
            extern "C" fn exported() -> i64 {
                // SAFETY: nobody can name this function; only the host calls it.
                unsafe { $crate::generated::extension($function) }
            }
        };
    };
}

/// Serves a call of a stage.
pub fn stage<R: StageOutput>(stage: impl FnOnce() -> Result<R>) -> u32 {
    stage().and_then(StageOutput::into_number).unwrap_or_else(|error| {
        report(error);
        NO_BLOCK
    })
}

/// Exports a stage, which takes a block or nothing.
#[doc(hidden)]
#[macro_export]
macro_rules! __guest_sdk_stage {
    ($stage:ident, $export:literal, $($number:ident)?) => {
        const _: () = {
            #[unsafe(export_name = $export)]
            extern "C" fn exported(_number: u32) -> u32 {
                $crate::generated::stage(|| {
                    $(let $number = $crate::block::StageInput::from_number(_number)?;)?
                    ::core::result::Result::Ok($stage($($number)?))
                })
            }
        };
    };
}

/// Exports the initialisation hook.
#[doc(hidden)]
#[macro_export]
macro_rules! __guest_sdk_init {
    ($hook:ident) => {
        const _: () = {
            #[unsafe(export_name = "__guest_init")]
            extern "C" fn exported() -> i32 {
                $crate::generated::init($hook)
            }
        };
    };
}
