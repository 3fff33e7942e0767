//! Log lines, panics and errors: lines on the standard error output, the only means that the contract has for them.
//!
//! Natively they go to the host of `testing`, which keeps them apart.
#![expect(unsafe_code, reason = "writing is an import")]

use guest_sdk_core::error::{decimal, with_message};

use crate::imports::{self, Piece};
use crate::{Error, Level};

const STANDARD_ERROR: i32 = 2;

/// Writes the pieces in order, in one call to the host.
fn write<const N: usize>(pieces: [&[u8]; N]) {
    let pieces = pieces.map(|piece| Piece { start: piece.as_ptr(), length: piece.len() });
    let mut written = 0;
    // SAFETY: pieces and what they point to are borrowed during the call. Whether the host took them changes nothing.
    unsafe { imports::fd_write(STANDARD_ERROR, pieces.as_ptr(), N, &raw mut written) };
}

/// Writes `<level>: <text>`.
#[inline(never)]
pub(crate) fn log(level: Level, text: &str) {
    write([level.name().as_bytes(), b": ", text.as_bytes(), b"\n"]);
}

/// Writes `panic: <message> at <file>:<line>:<column>` and ends the call, as TinyGo's guests do.
#[cfg(any(feature = "std", feature = "panic-handler"))]
#[cold]
pub(crate) fn panic(message: &str, location: Option<&core::panic::Location<'_>>) -> ! {
    let message = message.as_bytes();
    match location {
        Some(at) => {
            let (mut line, mut column) = ([0; 20], [0; 20]);
            let line = decimal(at.line() as usize, &mut line).as_bytes();
            let column = decimal(at.column() as usize, &mut column).as_bytes();
            write([b"panic: ", message, b" at ", at.file().as_bytes(), b":", line, b":", column, b"\n"]);
        }
        None => write([b"panic: ", message, b"\n"]),
    }
    core::arch::wasm32::unreachable()
}

/// Writes the line that TinyGo's allocator prints when it has no memory left.
#[cfg(any(feature = "alloc-leaking", feature = "alloc-bump-reset", feature = "alloc-freelist", feature = "alloc-wee"))]
#[cold]
#[inline(never)]
pub(crate) fn out_of_memory() {
    write([b"panic: runtime error: out of memory\n"]);
}

/// Writes `panic: error <code>: <message>` and ends the call: the contract has no other way for a function to fail.
#[cold]
#[inline(never)]
#[expect(clippy::needless_pass_by_value, reason = "the call ends here, and the error with it")]
pub(crate) fn fail(error: Error) -> ! {
    let mut digits = [0; 20];
    let code = decimal(error.code().number() as usize, &mut digits).as_bytes();
    with_message(&error, |message| write([b"panic: error ", code, b": ", message, b"\n"]));
    core::arch::wasm32::unreachable()
}
