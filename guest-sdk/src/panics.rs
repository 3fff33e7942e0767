//! How a panic reaches the host: with its message, file, line and column.
//!
//! With std the message of a panic that formats is a `String` that std makes, from the heap, before its hook runs.
//! Without it the message is formatted into 1024 bytes of the stack and cut there. A message that is a
//! literal is handed over as it is, in both.

/// Makes panics reach the host.
#[cfg(feature = "std")]
pub(crate) fn install() {
    use crate::contract;

    std::panic::set_hook(std::boxed::Box::new(|panic| {
        let payload = panic.payload();
        let message = match (payload.downcast_ref::<&str>(), payload.downcast_ref::<alloc::string::String>()) {
            (Some(message), _) => message,
            (_, Some(message)) => message.as_str(),
            _ => "a panic whose payload is no text",
        };
        contract::panic(message, panic.location());
    }));
}

/// Nothing to do: the handler is linked or it is not.
#[cfg(not(feature = "std"))]
pub(crate) fn install() {}

#[cfg(all(feature = "panic-handler", not(feature = "std")))]
mod handler {
    use core::fmt::Write;

    use crate::contract;
    use crate::error::FloorCharBoundary;

    /// Bytes that are kept of a message that has to be formatted.
    const MESSAGE_LIMIT: usize = 1024;

    #[panic_handler]
    fn handle(panic: &core::panic::PanicInfo<'_>) -> ! {
        let message = panic.message();
        if let Some(text) = message.as_str() {
            contract::panic(text, panic.location());
        }
        let mut buffer = Buffer { bytes: [0; MESSAGE_LIMIT], length: 0 };
        // An error means that the message was cut.
        let _ = write!(buffer, "{message}");
        let text = buffer.bytes.get(..buffer.length).unwrap_or_default();
        contract::panic(core::str::from_utf8(text).unwrap_or_default(), panic.location());
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
