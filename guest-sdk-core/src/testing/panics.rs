//! Where a panic of an extension happened: only the process-wide hook learns it, so there is one hook for all threads
//! that keeps what happens in calls and passes on the rest.

use core::any::Any;
use core::cell::{Cell, RefCell};
use std::boxed::Box;
use std::string::{String, ToString};
use std::sync::Once;

use super::outcome::Failure;

std::thread_local! {
    static CAPTURES: Cell<bool> = const { Cell::new(false) };
    static CAPTURED: RefCell<Option<Location>> = const { RefCell::new(None) };
}

/// File, line and column.
pub(super) type Location = (String, u32, u32);

/// Runs `call` and returns where it panicked, if it did.
pub(super) fn capture<R>(call: impl FnOnce() -> R) -> (R, Option<Location>) {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let other = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !CAPTURES.get() {
                return other(panic);
            }
            let location = panic.location();
            let location = location.map(|at| (at.file().to_string(), at.line(), at.column()));
            CAPTURED.replace(location);
        }));
    });
    CAPTURED.take();
    CAPTURES.set(true);
    let result = call();
    CAPTURES.set(false);
    (result, CAPTURED.take())
}

/// The panic as a failure.
pub(super) fn failure(location: Option<Location>, payload: &(dyn Any + Send)) -> Failure {
    let message = match (payload.downcast_ref::<&str>(), payload.downcast_ref::<String>()) {
        (Some(message), _) => (*message).to_string(),
        (_, Some(message)) => message.clone(),
        _ => "a panic whose payload is no text".to_string(),
    };
    let (file, line, column) = location.unwrap_or_default();
    Failure::Panic { message, file, line, column }
}
