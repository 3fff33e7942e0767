//! Text of others made fit to be printed: names, messages and log lines come from guests and files, and a terminal
//! obeys some characters instead of showing them. And text that people write, read: sizes, times and places in files.

mod position;
mod quantity;

use std::borrow::Cow;
use std::fmt::Write;

pub use position::line_and_column;
pub use quantity::{duration, exchange_size, memory_size, size};

/// Characters of a line of text that are printed. Reports as JSON and HTML have all of it.
const LINE: usize = 4_000;

/// One line for a terminal: what a terminal would obey is written as JSON writes it, such as `\u001b` and `\n`, and
/// what is longer than 4,000 characters is cut in its middle.
///
/// ```
/// assert_eq!(guest_host::text::printable("red \u{1b}[31m\n"), "red \\u001b[31m\\n");
/// ```
#[must_use]
pub fn printable(text: &str) -> Cow<'_, str> {
    printable_within(text, LINE)
}

/// As [`printable`] for text of several lines, each of which stays one.
#[must_use]
pub fn printable_lines(text: &str) -> String {
    text.split('\n').map(printable).collect::<Vec<_>>().join("\n")
}

/// As [`printable`], with another length.
pub fn printable_within(text: &str, longest: usize) -> Cow<'_, str> {
    match cut(text, longest) {
        Cow::Borrowed(text) if text.chars().any(is_obeyed) => Cow::Owned(escaped(text)),
        Cow::Owned(text) => Cow::Owned(escaped(&text)),
        harmless @ Cow::Borrowed(_) => harmless,
    }
}

/// The text without its middle where it has more characters than `longest`, and how many it has. Both ends stay, since
/// messages begin with where something is wrong and end with what to do.
///
/// ```
/// assert_eq!(guest_host::text::cut("short", 20), "short");
/// assert!(guest_host::text::cut(&"long ".repeat(100), 40).len() < 100);
/// ```
pub fn cut(text: &str, longest: usize) -> Cow<'_, str> {
    // No text has more characters than bytes.
    if text.len() <= longest {
        return Cow::Borrowed(text);
    }
    let length = text.chars().count();
    if length <= longest {
        return Cow::Borrowed(text);
    }
    let tail = longest / 4;
    let starts_at = |place: usize| text.char_indices().nth(place).map_or(text.len(), |(at, _)| at);
    let (head, tail) = (&text[..starts_at(longest - tail)], &text[starts_at(length - tail)..]);
    Cow::Owned(format!("{head}… (cut: {length} characters) …{tail}"))
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            '\t' => escaped.push_str("\\t"),
            // As JSON has it, so that lines of JSON stay such. Writing to a string does not fail.
            char if is_obeyed(char) => drop(write!(escaped, "\\u{:04x}", u32::from(char))),
            char => escaped.push(char),
        }
    }
    escaped
}

/// Whether terminals or those who read them are led astray by the character: controls, separators of lines, and what
/// changes the direction of writing. All of them have four hexadecimal digits.
fn is_obeyed(char: char) -> bool {
    let turns = matches!(char, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    char.is_control() || turns || matches!(char, '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_shown_and_nothing_else_changes() {
        assert_eq!(printable("é `a` \\ 漢字 🎉"), "é `a` \\ 漢字 🎉");
        let obeyed = "\u{1b}[2J\u{7}\u{0}\u{9b}31m\u{7f}\u{202e}\u{2066}\u{61c}\u{2028}\r\n\t";
        let shown = r"\u001b[2J\u0007\u0000\u009b31m\u007f\u202e\u2066\u061c\u2028\r\n\t";
        assert_eq!(printable(obeyed), shown);
        let json = serde_json::to_string(&"\u{9b}\u{202e}").unwrap();
        let read: String = serde_json::from_str(&printable(&json)).unwrap();
        assert_eq!(read, "\u{9b}\u{202e}", "JSON stays JSON");
        assert_eq!(printable_lines("a\u{1b}\nb\r"), "a\\u001b\nb\\r");
    }

    #[test]
    fn what_is_too_long_keeps_both_ends() {
        let text = format!("begin{}end", "é".repeat(1_000_000));
        let shown = printable(&text);
        assert!(shown.starts_with("beginé") && shown.ends_with("éend"), "{shown}");
        assert!(shown.contains("… (cut: 1000008 characters) …"), "{shown}");
        assert!(shown.chars().count() < LINE + 50);
        let fits = "é".repeat(LINE);
        assert_eq!(printable(&fits), fits);
    }
}
