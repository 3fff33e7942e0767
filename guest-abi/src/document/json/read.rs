//! From JSON to the bytes of a document, in one pass.

use alloc::borrow::Cow;
use alloc::collections::BTreeSet;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use super::JsonError;
use crate::cbor::MAX_DEPTH;
use crate::document::buffer::DocumentBuf;
use crate::document::writer::{ItemWriter, ListWriter, ObjectWriter};

/// The document of a text, without id and score.
pub(super) fn document(json: &[u8]) -> Result<DocumentBuf, JsonError> {
    let text = match core::str::from_utf8(json) {
        Ok(text) => text,
        Err(error) => {
            let (valid, _) = json.split_at(error.valid_up_to());
            let fault = Fault { at: valid.len(), reason: "the text is not UTF-8" };
            return Err(fault.in_text(core::str::from_utf8(valid).unwrap_or_default(), String::new()));
        }
    };
    let mut parser = Parser { text, at: 0, path: Vec::new() };
    let written = DocumentBuf::try_new(|fields| {
        parser.space();
        match parser.peek() {
            Some(b'{') => parser.members(fields, 1)?,
            _ => return Err(parser.fault("a document is a JSON object: write {\"name\": value}")),
        }
        parser.space();
        if parser.at < text.len() {
            Err(parser.fault("the document has ended; one line or text has one"))
        } else {
            Ok(())
        }
    });
    written.map_err(|fault| fault.in_text(text, parser.path()))
}

/// A fault, before its line and column are known.
struct Fault {
    at: usize,
    reason: &'static str,
}

impl Fault {
    /// The error with line and column.
    #[cold]
    fn in_text(self, text: &str, path: String) -> JsonError {
        let before = text.get(..self.at).unwrap_or(text);
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        let column = before.get(start..).unwrap_or_default().chars().count() + 1;
        JsonError { line, column, path, reason: self.reason }
    }
}

/// A step to the field that is read.
enum Step<'t> {
    Name(Cow<'t, str>),
    Index(usize),
}

struct Parser<'t> {
    text: &'t str,
    at: usize,
    path: Vec<Step<'t>>,
}

const END: &str = "the text ends within the document";
const NUMBER: &str = "a number is digits, such as -12, 0.5 or 1e9; no leading zero, no plus";
const TOO_LARGE: &str =
    "an integer is from -9223372036854775808 to 18446744073709551615; write it as text to keep its digits";
const ESCAPE: &str = "a backslash precedes one of \" \\ / b f n r t, or u and four hexadecimal digits";

impl<'t> Parser<'t> {
    fn fault(&self, reason: &'static str) -> Fault {
        let reason = if self.at >= self.text.len() { END } else { reason };
        Fault { at: self.at, reason }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    /// Takes a byte, with space before it, if it is the next one.
    fn takes(&mut self, byte: u8) -> bool {
        self.space();
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// The members of an object, whose brace is next.
    fn members(&mut self, object: &mut ObjectWriter<'_>, depth: u32) -> Result<(), Fault> {
        self.deep(depth)?;
        self.at += 1;
        if self.takes(b'}') {
            return Ok(());
        }
        let mut names = Names::default();
        loop {
            self.space();
            let start = self.at;
            if self.peek() != Some(b'"') {
                return Err(self.fault("a member begins with its name in double quotes"));
            }
            let name = self.string()?;
            if !names.insert(&name) {
                return Err(Fault { at: start, reason: "the object has a member of this name already" });
            }
            if !self.takes(b':') {
                return Err(self.fault("a colon follows the name of a member"));
            }
            self.path.push(Step::Name(name.clone()));
            self.value(object.put_new(&name), depth)?;
            self.path.pop();
            if self.takes(b'}') {
                return Ok(());
            }
            if !self.takes(b',') {
                return Err(self.fault("a comma or } follows a member"));
            }
        }
    }

    /// The elements of a list, whose bracket is next.
    fn elements(&mut self, list: &mut ListWriter<'_>, depth: u32) -> Result<(), Fault> {
        self.deep(depth)?;
        self.at += 1;
        if self.takes(b']') {
            return Ok(());
        }
        loop {
            self.path.push(Step::Index(list.elements()));
            self.value(list.push(), depth)?;
            self.path.pop();
            if self.takes(b']') {
                return Ok(());
            }
            if !self.takes(b',') {
                return Err(self.fault("a comma or ] follows an element"));
            }
        }
    }

    fn deep(&self, depth: u32) -> Result<(), Fault> {
        if depth > MAX_DEPTH { Err(self.fault("objects and lists are nested deeper than 64 levels")) } else { Ok(()) }
    }

    /// A value within `depth` levels.
    fn value(&mut self, to: ItemWriter<'_>, depth: u32) -> Result<(), Fault> {
        self.space();
        match self.peek() {
            // The fault is known before a writer is asked for a level too many.
            Some(b'{' | b'[') if depth >= MAX_DEPTH => self.deep(depth + 1),
            Some(b'{') => to.object(|object| self.members(object, depth + 1)),
            Some(b'[') => to.list(|list| self.elements(list, depth + 1)),
            Some(b'"') => {
                to.str(&self.string()?);
                Ok(())
            }
            Some(b'-' | b'0'..=b'9') => self.number(to),
            Some(b't') => self.word("true").map(|()| to.bool(true)),
            Some(b'f') => self.word("false").map(|()| to.bool(false)),
            Some(b'n') => self.word("null").map(|()| to.null()),
            Some(b'N' | b'I') => Err(self.fault("JSON has neither NaN nor infinities; write null")),
            _ => {
                Err(self
                    .fault("here must be a value: text in double quotes, a number, true, false, null, {...} or [...]"))
            }
        }
    }

    fn word(&mut self, word: &str) -> Result<(), Fault> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        if !rest.starts_with(word) {
            return Err(self.fault("a word is true, false or null"));
        }
        self.at += word.len();
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Fault> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        if self.at == start { Err(self.fault(NUMBER)) } else { Ok(()) }
    }

    fn number(&mut self, to: ItemWriter<'_>) -> Result<(), Fault> {
        let start = self.at;
        let is_negative = self.takes(b'-');
        let is_infinite = self.peek() == Some(b'I');
        match self.peek() {
            Some(b'0') => self.at += 1,
            _ if is_infinite => {
                return Err(Fault { at: start, reason: "JSON has neither NaN nor infinities; write null" });
            }
            _ => self.digits()?,
        }
        let mut is_integer = true;
        if self.peek() == Some(b'.') {
            is_integer = false;
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            is_integer = false;
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        if let Some(b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'.') = self.peek() {
            return Err(self.fault(NUMBER));
        }
        let text = self.text.get(start..self.at).unwrap_or_default();
        // Only floats have a negative zero.
        if is_integer && text != "-0" {
            match (is_negative, text.parse::<i64>(), text.parse::<u64>()) {
                (_, Ok(value), _) => to.i64(value),
                (false, _, Ok(value)) => to.u64(value),
                _ => return Err(Fault { at: start, reason: TOO_LARGE }),
            }
            return Ok(());
        }
        match text.parse::<f64>() {
            Ok(value) if value.is_finite() => to.f64(value),
            _ => return Err(Fault { at: start, reason: "the number is beyond the range of 64-bit floats" }),
        }
        Ok(())
    }

    /// The text whose quote is next.
    fn string(&mut self) -> Result<Cow<'t, str>, Fault> {
        self.at += 1;
        let mut start = self.at;
        let mut found = Cow::Borrowed("");
        loop {
            match self.peek() {
                Some(b'"') => {
                    let part = self.text.get(start..self.at).unwrap_or_default();
                    self.at += 1;
                    // Text without escapes is not copied.
                    found += part;
                    return Ok(found);
                }
                Some(b'\\') => {
                    found.to_mut().push_str(self.text.get(start..self.at).unwrap_or_default());
                    let char = self.escape()?;
                    found.to_mut().push(char);
                    start = self.at;
                }
                Some(0..0x20) => {
                    return Err(self.fault("a control character in text is escaped, such as \\n or \\u0000"));
                }
                Some(_) => self.at += 1,
                None => return Err(self.fault(END)),
            }
        }
    }

    /// The character of an escape, whose backslash is next.
    fn escape(&mut self) -> Result<char, Fault> {
        let start = self.at;
        self.at += 2;
        let found = match self.text.as_bytes().get(start + 1) {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode(start),
            _ => return Err(Fault { at: start, reason: ESCAPE }),
        };
        Ok(found)
    }

    /// The character of `\u` and its digits, which are next; two of them where the first is a high surrogate.
    fn unicode(&mut self, start: usize) -> Result<char, Fault> {
        let lone = Fault { at: start, reason: "\\ud800 to \\udbff stand before \\udc00 to \\udfff, and not alone" };
        let high = self.four(start)?;
        if !(0xD800..0xDC00).contains(&high) {
            return char::from_u32(high).ok_or(lone);
        }
        if self.text.as_bytes().get(self.at..self.at + 2) != Some(b"\\u") {
            return Err(lone);
        }
        self.at += 2;
        match self.four(start)? {
            low @ 0xDC00..0xE000 => char::from_u32(0x1_0000 + ((high - 0xD800) << 10 | (low - 0xDC00))).ok_or(lone),
            _ => Err(lone),
        }
    }

    fn four(&mut self, start: usize) -> Result<u32, Fault> {
        let digits =
            self.text.get(self.at..self.at + 4).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let found = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        self.at += 4;
        found.ok_or(Fault { at: start, reason: ESCAPE })
    }

    /// The path of the field that is read, as [`Path`](crate::document::Path) has it.
    fn path(&self) -> String {
        let mut path = String::new();
        for step in &self.path {
            match step {
                Step::Index(index) => path.extend(["[", &index.to_string(), "]"]),
                Step::Name(name) => {
                    if !path.is_empty() {
                        path.push('.');
                    }
                    match name.is_empty() || name.contains(['.', '[', ']', '"']) {
                        true => path.extend(["\"", &name.replace('\\', "\\\\").replace('"', "\\\""), "\""]),
                        false => path.push_str(name),
                    }
                }
            }
        }
        path
    }
}

/// The names of an object: a few are compared one by one, many are looked up.
#[derive(Default)]
struct Names {
    few: Vec<String>,
    many: BTreeSet<String>,
}

impl Names {
    /// `false` if the name is there.
    fn insert(&mut self, name: &str) -> bool {
        const FEW: usize = 16;
        if self.few.iter().any(|known| known == name) {
            return false;
        }
        if self.few.len() < FEW {
            self.few.push(name.to_string());
            return true;
        }
        self.many.insert(name.to_string())
    }
}
