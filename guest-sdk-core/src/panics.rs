//! Takes message, file, line and column of a panic, for the contract to report.
//!
//! With std the message of a panic that formats is a `String` that std makes, from the heap, before its hook runs.
//! Without it the message is formatted into 1024 bytes of the stack and cut there. A message that is a
//! literal is passed on as it is, with std and without it.

use core::fmt::Write;
use core::panic::{Location, PanicInfo};

use crate::error::FloorCharBoundary;

/// A contract's report of a panic: takes the message and the location, and ends the call.
pub type Report = fn(&str, Option<&Location<'_>>) -> !;

/// Reports a panic from the hook of a guest with std.
#[cfg(feature = "std")]
#[inline(always)]
pub fn hook(panic: &std::panic::PanicHookInfo<'_>, report: Report) {
    let payload = panic.payload();
    let message = match (payload.downcast_ref::<&str>(), payload.downcast_ref::<alloc::string::String>()) {
        (Some(message), _) => message,
        (_, Some(message)) => message.as_str(),
        _ => "a panic whose payload is no text",
    };
    report(message, panic.location());
}

/// Bytes that are kept of a message that has to be formatted.
const MESSAGE_LIMIT: usize = 1024;

/// Reports a panic from the panic handler of a guest without std.
#[inline(always)]
pub fn handle(panic: &PanicInfo<'_>, report: Report) -> ! {
    let message = panic.message();
    if let Some(text) = message.as_str() {
        report(text, panic.location());
    }
    let mut buffer = Buffer { bytes: [0; MESSAGE_LIMIT], length: 0 };
    // An error means that the message was cut.
    let _ = write!(buffer, "{message}");
    let text = buffer.bytes.get(..buffer.length).unwrap_or_default();
    report(core::str::from_utf8(text).unwrap_or_default(), panic.location());
}

struct Buffer {
    bytes: [u8; MESSAGE_LIMIT],
    length: usize,
}

impl Write for Buffer {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        let fits = text.floor_char_boundary_at(MESSAGE_LIMIT - self.length);
        let room = self.bytes.get_mut(self.length..self.length + fits).ok_or(core::fmt::Error)?;
        room.copy_from_slice(&text.as_bytes()[..fits]);
        self.length += fits;
        if fits == text.len() { Ok(()) } else { Err(core::fmt::Error) }
    }
}
