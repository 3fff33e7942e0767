//! Makes panics reach the host.

#[cfg(any(feature = "std", feature = "panic-handler"))]
use crate::output;

/// Has std's panic hook report panics.
#[cfg(feature = "std")]
pub(crate) fn install() {
    std::panic::set_hook(std::boxed::Box::new(|panic| guest_sdk_core::panics::hook(panic, output::panic)));
}

/// Does nothing: the panic handler is linked or it is not.
#[cfg(not(feature = "std"))]
pub(crate) fn install() {}

#[cfg(all(feature = "panic-handler", not(feature = "std")))]
#[panic_handler]
fn handle(panic: &core::panic::PanicInfo<'_>) -> ! {
    guest_sdk_core::panics::handle(panic, output::panic)
}
