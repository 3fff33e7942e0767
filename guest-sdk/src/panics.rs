//! Makes panics reach the host.

/// Has std's panic hook report panics.
#[cfg(feature = "std")]
pub(crate) fn install() {
    std::panic::set_hook(std::boxed::Box::new(|panic| guest_sdk_core::panics::hook(panic, report)));
}

/// Does nothing: the panic handler is linked or it is not.
#[cfg(not(feature = "std"))]
pub(crate) fn install() {}

#[cfg(all(feature = "panic-handler", not(feature = "std")))]
#[panic_handler]
fn handle(panic: &core::panic::PanicInfo<'_>) -> ! {
    guest_sdk_core::panics::handle(panic, report)
}

/// Reports a panic, which ends the call.
#[cfg(any(feature = "std", feature = "panic-handler"))]
#[expect(unsafe_code, reason = "reporting a panic is an import")]
fn report(message: &str, location: Option<&core::panic::Location<'_>>) -> ! {
    let (file, line, column) = match location {
        Some(location) => (location.file(), location.line(), location.column()),
        None => ("", 0, 0),
    };
    // SAFETY: both texts are borrowed, and the call does not come back.
    unsafe { crate::raw::panic(message.as_ptr(), message.len(), file.as_ptr(), file.len(), line, column) }
}
