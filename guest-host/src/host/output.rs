//! The output of one call, and the message of a TinyGo panic in it.

use std::borrow::Cow;

/// The last bytes of a call's output, one behind the other in memory. Its buffer is kept from call to call.
#[derive(Debug, Default)]
pub(crate) struct Output {
    /// Up to twice the limit, so that bytes are moved seldom.
    bytes: Vec<u8>,
    /// Where those begin that are kept.
    start: usize,
    /// All bytes that were written.
    written: u64,
}

impl Output {
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        (self.start, self.written) = (0, 0);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.written == 0
    }

    /// Appends what was written; the last `limit` bytes of all of it are kept, as a panic's message stands at the end.
    pub(crate) fn push(&mut self, written: &[u8], limit: usize) {
        self.written += written.len() as u64;
        let last = &written[written.len().saturating_sub(limit)..];
        if self.bytes.len() + last.len() > limit.saturating_mul(2) {
            let kept = self.bytes.len().min(limit - last.len());
            let from = self.bytes.len() - kept;
            self.bytes.copy_within(from.., 0);
            self.bytes.truncate(kept);
        }
        self.bytes.extend_from_slice(last);
        self.start = self.bytes.len().saturating_sub(limit);
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    /// Bytes that were written before those that are kept.
    pub(crate) fn dropped(&self) -> u64 {
        self.written - self.bytes().len() as u64
    }
}

/// The message of a panic, as TinyGo prints it before it aborts: what stands in a call's output behind the last line that
/// begins with `panic: `, to the end. `None` where there is no such line.
///
/// ```
/// let output = b"counting\npanic: runtime error: out of memory\n";
/// let message = guest_host::wasi::panic_message(output).unwrap();
/// assert_eq!(message, "runtime error: out of memory");
/// assert!(guest_host::wasi::is_out_of_memory(&message));
/// ```
#[must_use]
pub fn panic_message(output: &[u8]) -> Option<Cow<'_, str>> {
    const BEGINS: &[u8] = b"panic: ";
    let at = memchr::memmem::rfind_iter(output, BEGINS).find(|at| *at == 0 || output[at - 1] == b'\n')?;
    Some(String::from_utf8_lossy(output[at + BEGINS.len()..].trim_ascii()))
}

/// Whether a panic's [message](panic_message) is that of TinyGo's allocator which had no memory left.
#[must_use]
pub fn is_out_of_memory(message: &str) -> bool {
    message == "runtime error: out of memory"
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_message_is_what_stands_behind_the_last_line_of_a_panic() {
        for (output, message) in [
            ("", None),
            ("no panic: here\n", None),
            ("panic:\n", None),
            ("panic: a\n", Some("a")),
            ("panic: a", Some("a")),
            ("panic: \n", Some("")),
            ("x\npanic: first\npanic: two\nlines\r\n\n", Some("two\nlines")),
            ("panic: says panic: twice", Some("says panic: twice")),
        ] {
            assert_eq!(panic_message(output.as_bytes()).as_deref(), message, "{output:?}");
        }
        assert_eq!(panic_message(b"panic: \xFFx").as_deref(), Some("\u{FFFD}x"));
    }

    #[test]
    fn only_the_allocators_own_message_is_one_of_memory() {
        assert!(is_out_of_memory("runtime error: out of memory"));
        for other in ["out of memory", "runtime error: out of memory!", "x runtime error: out of memory", ""] {
            assert!(!is_out_of_memory(other), "{other}");
        }
    }

    proptest! {
        #[test]
        fn the_last_bytes_are_kept_and_the_others_counted(
            limit in 0_usize..40,
            writes in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..60), 0..20),
        ) {
            let (mut output, mut all) = (Output::default(), Vec::new());
            for write in &writes {
                output.push(write, limit);
                all.extend_from_slice(write);
                let kept = all.len().min(limit);
                prop_assert_eq!(output.bytes(), &all[all.len() - kept..]);
                prop_assert_eq!(output.dropped(), (all.len() - kept) as u64);
                prop_assert!(output.bytes.len() <= 2 * limit, "it is bounded");
            }
            output.clear();
            prop_assert_eq!((output.bytes().len(), output.dropped()), (0, 0));
        }
    }
}
