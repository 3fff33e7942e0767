//! How a panic reaches the host: with its message, file, line and column.
//!
//! With std the message of a panic that formats is a `String` that std makes, from the heap, before its hook runs.
//! Without it the message is formatted into [`MESSAGE_LIMIT`] bytes of the stack and cut there. A message that is a
//! literal is handed over as it is, in both.
#![expect(unsafe_code, reason = "reporting a panic is an import")]

use core::panic::Location;

use crate::raw;

/// Bytes of a formatted message that a guest without std keeps.
#[cfg(not(feature = "std"))]
pub const MESSAGE_LIMIT: usize = 1024;

fn report(message: &str, location: Option<&Location<'_>>) -> ! {
    let (file, line, column) = match location {
        Some(location) => (location.file(), location.line(), location.column()),
        None => ("", 0, 0),
    };
    // SAFETY: both texts are borrowed, and the call does not come back.
    unsafe { raw::panic(message.as_ptr(), message.len(), file.as_ptr(), file.len(), line, column) }
}

/// Makes panics reach the host.
#[cfg(feature = "std")]
pub(crate) fn install() {
    std::panic::set_hook(std::boxed::Box::new(|panic| {
        let message = panic.payload_as_str().unwrap_or("a panic whose payload is no text");
        report(message, panic.location());
    }));
}

/// Nothing to do: the handler is linked or it is not.
#[cfg(not(feature = "std"))]
pub(crate) fn install() {}

#[cfg(all(feature = "panic-handler", not(feature = "std")))]
mod handler {
    use core::fmt::Write;

    use super::{MESSAGE_LIMIT, report};
    use crate::error::FloorCharBoundary;

    #[panic_handler]
    fn handle(panic: &core::panic::PanicInfo<'_>) -> ! {
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
}
