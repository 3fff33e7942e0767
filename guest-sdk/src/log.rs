//! Log lines.
#![expect(unsafe_code, reason = "the line goes to an import")]

use crate::{Level, raw};

/// Writes a log line. It works in extensions, typed functions, programs and HTTP functions, and at any depth of their calls.
///
/// Each line is one call of the host. The host bounds how much a call may log, and cuts off the rest.
///
/// ```
/// use guest_sdk::{Level, function, log};
///
/// #[function]
/// fn half(number: i64) -> i64 {
///     if number % 2 != 0 {
///         log(Level::Warn, "the number is odd");
///     }
///     number / 2
/// }
///
/// assert_eq!(half(7), 3);
/// assert_eq!(guest_sdk::testing::take_log()[0].text, "the number is odd");
/// ```
#[inline]
pub fn log(level: Level, text: &str) {
    // SAFETY: the text is borrowed during the call.
    unsafe { raw::log(level as u32, text.as_ptr(), text.len()) };
}
