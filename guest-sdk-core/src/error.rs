//! The errors of extensions: a code for programs and a message for people, made without the heap.

use alloc::borrow::Cow;
use alloc::string::{String, ToString as _};
use core::fmt;

use guest_abi::ErrorCode;
use guest_abi::cbor::{Reader, WireError};
use guest_abi::document::{FieldError, PathError};
use guest_abi::flat::{BuildError, ReadError};
use guest_abi::value::{Kind, ValueError};

/// The result of an extension, and of reading a value.
pub type Result<T, E = Error> = core::result::Result<T, E>;

/// Why an extension failed.
///
/// Errors of the SDK name the field, what was asked for and what was found, and take nothing from the heap; names of
/// more than [`Error::NAME_LIMIT`] bytes are cut. An extension makes its own with [`Error::new`] or
/// [`Error::application`].
///
/// ```
/// use guest_sdk_core::{Error, ErrorCode};
///
/// let error = Error::application(7, "sold out");
/// assert_eq!(error.code(), ErrorCode::Application(1007));
/// assert_eq!(error.to_string(), "sold out");
/// // `?` turns texts and the errors of `core` into errors of the extension.
/// assert_eq!(Error::from("sold out").code(), ErrorCode::Application(1000));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Error {
    code: ErrorCode,
    subject: Subject,
    detail: Detail,
}

#[derive(Clone, PartialEq, Eq)]
enum Detail {
    Message(Cow<'static, str>),
    Absent,
    MissingField,
    NullArgument,
    MissingElement { length: usize },
    WrongType { asked: &'static str, found: Kind },
    OutOfRange { asked: &'static str, found: Kind },
    ExchangeFull { wanted: usize, left: usize },
    KeyTooLong { capacity: usize },
    Malformed { at: Option<usize> },
    Path { at: usize, reason: &'static str },
}

impl Error {
    /// Bytes of a name that an error of the SDK keeps; what is longer ends in `...`.
    pub const NAME_LIMIT: usize = 62;

    /// Longest message of an error of the SDK itself, in bytes.
    const MESSAGE_LIMIT: usize = 256;

    /// An error with a code and a message. Codes of an extension's own are [`ErrorCode::Application`], from 1000.
    #[must_use]
    pub fn new(code: ErrorCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, subject: Subject::NONE, detail: Detail::Message(message.into()) }
    }

    /// An error with a code of the extension's own: the `number`th of them, so 0 crosses as 1000.
    #[must_use]
    pub fn application(number: u32, message: impl Into<Cow<'static, str>>) -> Self {
        let number = ErrorCode::FIRST_APPLICATION.saturating_add(number);
        Self::new(ErrorCode::Application(number), message)
    }

    /// Its code.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        self.code
    }

    /// Calls `hand_over` with the whole message.
    fn hand_over(&self, hand_over: impl FnOnce(&[u8])) {
        if let Detail::Message(message) = &self.detail {
            return hand_over(message.as_bytes());
        }
        let mut buffer = [0; Self::MESSAGE_LIMIT];
        let mut length = 0;
        self.describe(&mut |piece| {
            if let Some(room) = buffer.get_mut(length..length + piece.len()) {
                room.copy_from_slice(piece.as_bytes());
                length += piece.len();
            }
        });
        hand_over(buffer.get(..length).unwrap_or_default());
    }

    /// Writes the message piece by piece. Not through `core::fmt`, whose machinery a guest need not carry for this.
    fn describe(&self, write: &mut impl FnMut(&str)) {
        let name = self.subject.text();
        match (self.subject.what, &self.detail) {
            (_, Detail::Absent | Detail::KeyTooLong { .. } | Detail::Message(_)) => {}
            (_, Detail::MissingField | Detail::NullArgument) => {}
            (_, Detail::Path { .. }) => ["the path `", name, "`: "].into_iter().for_each(&mut *write),
            (What::Nothing, _) => {}
            (What::Element, Detail::MissingElement { .. }) => {}
            (What::Element, _) => [name, ": "].into_iter().for_each(&mut *write),
            (_, _) => ["field `", name, "`: "].into_iter().for_each(&mut *write),
        }
        match &self.detail {
            Detail::Message(message) => write(message),
            Detail::Absent => {
                ["no record of `", name, "` has the key"].into_iter().for_each(write);
            }
            Detail::MissingField => {
                ["the object has no field `", name, "`"].into_iter().for_each(write);
            }
            Detail::NullArgument => {
                ["the argument `", name, "` is null, which its parameter does not take"].into_iter().for_each(write);
            }
            Detail::MissingElement { length } => {
                ["the array has no ", name, ", its length is "].into_iter().for_each(&mut *write);
                write_number(*length, write);
            }
            Detail::WrongType { asked, found } => {
                ["asked for ", asked, ", found ", found.name()].into_iter().for_each(write);
            }
            Detail::OutOfRange { asked, found } => {
                ["the ", found.name(), " does not fit ", asked, " exactly"].into_iter().for_each(write);
            }
            Detail::ExchangeFull { wanted, left } => {
                write("the exchange region has ");
                write_number(*left, write);
                write(" bytes left, the value needs ");
                write_number(*wanted, write);
                write(": use a larger region, or read in a `Context::scope`");
            }
            Detail::KeyTooLong { capacity } => {
                ["the key of `", name, "` is longer than "].into_iter().for_each(&mut *write);
                write_number(*capacity, write);
                write(" bytes: give `KeyBuilder` a larger capacity");
            }
            Detail::Path { at, reason } => {
                [*reason, ", at byte "].into_iter().for_each(&mut *write);
                write_number(*at, write);
            }
            Detail::Malformed { at } => {
                write("bytes from the host are not a value");
                if let Some(at) = at {
                    write(", at byte ");
                    write_number(*at, write);
                }
            }
        }
    }
}

/// Stands in the place of an error that the host has already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErrorReported;

/// The error of a record that is absent. `key` is its key in wire form.
#[cold]
#[inline(never)]
pub fn absent(key: &[u8]) -> Error {
    Error { code: ErrorCode::Absent, subject: Subject::key(key), detail: Detail::Absent }
}

/// The error of an object that has no field with this name.
#[cold]
#[inline(never)]
pub fn missing_field(name: &str) -> Error {
    Error { code: ErrorCode::MissingField, subject: Subject::field(name), detail: Detail::MissingField }
}

/// The error of a typed function whose parameter with this name takes no null and was passed one.
#[cold]
#[inline(never)]
pub fn null_argument(name: &str) -> Error {
    Error { code: ErrorCode::WrongType, subject: Subject::field(name), detail: Detail::NullArgument }
}

/// The error of an array of `length` elements that has no element `index`.
#[cold]
#[inline(never)]
pub fn missing_element(index: usize, length: usize) -> Error {
    Error {
        code: ErrorCode::MissingElement,
        subject: Subject::element(index),
        detail: Detail::MissingElement { length },
    }
}

/// The error of an exchange region with `left` bytes for a value that needs `wanted`.
#[cold]
#[inline(never)]
pub fn exchange_full(wanted: usize, left: usize) -> Error {
    Error { code: ErrorCode::ExchangeFull, subject: Subject::NONE, detail: Detail::ExchangeFull { wanted, left } }
}

/// The error of a key that is longer than the `capacity` of its builder, in bytes. `begun` is the part of its wire form
/// that fits.
#[cold]
#[inline(never)]
pub fn key_too_long(begun: &[u8], capacity: usize) -> Error {
    Error { code: ErrorCode::KeyTooLong, subject: Subject::key(begun), detail: Detail::KeyTooLong { capacity } }
}

/// The error of reading the field with this name.
#[cold]
#[inline(never)]
pub fn of_field(name: &str, error: ValueError) -> Error {
    Error { subject: Subject::field(name), ..error.into() }
}

/// The error of reading the element with this index.
#[cold]
#[inline(never)]
pub fn of_element(index: usize, error: ValueError) -> Error {
    Error { subject: Subject::element(index), ..error.into() }
}

/// The error of a path to a field of a document that is not well-formed.
#[cold]
#[inline(never)]
fn of_path(path: &str, PathError { at, reason }: PathError) -> Error {
    Error { code: ErrorCode::Malformed, subject: Subject::field(path), detail: Detail::Path { at, reason } }
}

/// Names the path.
impl From<FieldError<'_>> for Error {
    fn from(error: FieldError<'_>) -> Self {
        match error {
            FieldError::Path { path, error } => of_path(path, error),
            FieldError::Value { path, error } => of_field(path, error),
            _ => Self::new(ErrorCode::Malformed, "a field of a document cannot be read"),
        }
    }
}

/// Calls `hand_over` with the whole message of an error, without the heap.
pub fn with_message(error: &Error, hand_over: impl FnOnce(&[u8])) {
    error.hand_over(hand_over);
}

fn write_number(number: usize, write: &mut impl FnMut(&str)) {
    let mut digits = [0; 20];
    write(decimal(number, &mut digits));
}

/// Formats `number` in decimal, at the end of `digits`, and returns it.
#[inline(never)]
pub fn decimal(mut number: usize, digits: &mut [u8; 20]) -> &str {
    let mut at = digits.len();
    for digit in digits.iter_mut().rev() {
        #[expect(clippy::cast_possible_truncation, reason = "it is a digit")]
        let value = b'0' + (number % 10) as u8;
        *digit = value;
        at -= 1;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    core::str::from_utf8(digits.get(at..).unwrap_or_default()).unwrap_or_default()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Nothing,
    Field,
    Element,
    Key,
}

/// Name of the field, element or key of an error, as much of it as fits.
#[derive(Clone, PartialEq, Eq)]
struct Subject {
    bytes: [u8; Error::NAME_LIMIT],
    length: u8,
    what: What,
}

impl Subject {
    const NONE: Self = Self { bytes: [0; Error::NAME_LIMIT], length: 0, what: What::Nothing };

    fn named(what: What, parts: &[&str]) -> Self {
        const CUT: &str = "...";
        let mut subject = Self { what, ..Self::NONE };
        let limit = Error::NAME_LIMIT - CUT.len();
        let long = parts.iter().map(|part| part.len()).sum::<usize>() > Error::NAME_LIMIT;
        for part in parts {
            let room = if long { limit } else { Error::NAME_LIMIT } - usize::from(subject.length);
            let fits = part.len() <= room;
            subject.push(&part[..part.floor_char_boundary_at(room)]);
            if !fits {
                break;
            }
        }
        if long {
            subject.push(CUT);
        }
        subject
    }

    fn push(&mut self, part: &str) {
        let start = usize::from(self.length);
        if let Some(room) = self.bytes.get_mut(start..start + part.len()) {
            room.copy_from_slice(part.as_bytes());
            self.length += u8::try_from(part.len()).unwrap_or_default();
        }
    }

    fn field(name: &str) -> Self {
        Self::named(What::Field, &[name])
    }

    fn element(index: usize) -> Self {
        let mut digits = [0; 20];
        Self::named(What::Element, &["element ", decimal(index, &mut digits)])
    }

    /// Storage and entity of a key, as far as they have been written.
    fn key(key: &[u8]) -> Self {
        let mut reader = Reader::new(key);
        let storage = reader.text().unwrap_or_default();
        match reader.text().unwrap_or_default() {
            "" => Self::named(What::Key, &[storage]),
            entity => Self::named(What::Key, &[storage, " ", entity]),
        }
    }

    fn text(&self) -> &str {
        let bytes = self.bytes.get(..usize::from(self.length));
        core::str::from_utf8(bytes.unwrap_or_default()).unwrap_or_default()
    }
}

/// `str::floor_char_boundary`, which the oldest supported Rust does not have.
pub(crate) trait FloorCharBoundary {
    /// The last character boundary at or before `at`.
    fn floor_char_boundary_at(&self, at: usize) -> usize;
}

impl FloorCharBoundary for str {
    fn floor_char_boundary_at(&self, at: usize) -> usize {
        if at >= self.len() {
            return self.len();
        }
        (0..=at).rev().find(|at| self.is_char_boundary(*at)).unwrap_or_default()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut result = Ok(());
        self.describe(&mut |piece| {
            if result.is_ok() {
                result = f.write_str(piece);
            }
        });
        result
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Error({:?}, \"{self}\")", self.code)
    }
}

impl core::error::Error for Error {}

impl From<ValueError> for Error {
    #[cold]
    #[inline(never)]
    fn from(error: ValueError) -> Self {
        let (code, detail) = match error {
            ValueError::WrongType { asked, found } => (ErrorCode::WrongType, Detail::WrongType { asked, found }),
            ValueError::OutOfRange { asked, found } => (ErrorCode::OutOfRange, Detail::OutOfRange { asked, found }),
            ValueError::Malformed(error) => return error.into(),
            _ => (ErrorCode::Malformed, Detail::Malformed { at: None }),
        };
        Self { code, subject: Subject::NONE, detail }
    }
}

impl From<WireError> for Error {
    #[cold]
    #[inline(never)]
    fn from(error: WireError) -> Self {
        let at = match error {
            WireError::Malformed { at } | WireError::Unsupported { at } | WireError::TooDeep { at } => Some(at),
            _ => None,
        };
        Self { code: ErrorCode::Malformed, subject: Subject::NONE, detail: Detail::Malformed { at } }
    }
}

/// The message says which bytes are wrong.
impl From<ReadError> for Error {
    #[cold]
    #[inline(never)]
    fn from(error: ReadError) -> Self {
        Self::new(ErrorCode::Malformed, error.to_string())
    }
}

/// The first of the extension's own codes.
impl From<BuildError> for Error {
    #[cold]
    #[inline(never)]
    fn from(error: BuildError) -> Self {
        Self::application(0, error.to_string())
    }
}

/// The first of the extension's own codes, and the text as message.
impl From<&'static str> for Error {
    fn from(message: &'static str) -> Self {
        Self::application(0, message)
    }
}

/// The first of the extension's own codes, and the text as message.
impl From<String> for Error {
    fn from(message: String) -> Self {
        Self::application(0, message)
    }
}

macro_rules! from_message {
    ($($(#[$doc:meta])* $error:ty => $message:literal;)+) => {$(
        $(#[$doc])*
        impl From<$error> for Error {
            #[cold]
            fn from(_: $error) -> Self {
                Self::application(0, $message)
            }
        }
    )+};
}

from_message! {
    /// The first of the extension's own codes.
    core::num::TryFromIntError => "a number does not fit the type it is converted to";
    /// The first of the extension's own codes.
    core::num::ParseIntError => "the text is not an integer of the type asked for";
    /// The first of the extension's own codes.
    core::num::ParseFloatError => "the text is not a number";
    /// The first of the extension's own codes.
    core::str::ParseBoolError => "the text is neither `true` nor `false`";
    /// The first of the extension's own codes.
    core::str::Utf8Error => "the bytes are not UTF-8";
    /// The first of the extension's own codes.
    fmt::Error => "a formatting implementation failed";
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn messages_name_field_asked_and_found() {
        let wrong = ValueError::WrongType { asked: "i32", found: Kind::Text };
        for (error, code, message) in [
            (Error::from(wrong), ErrorCode::WrongType, "asked for i32, found string"),
            (of_field("Year", wrong), ErrorCode::WrongType, "field `Year`: asked for i32, found string"),
            (of_element(3, wrong), ErrorCode::WrongType, "element 3: asked for i32, found string"),
            (
                of_field("a", ValueError::OutOfRange { asked: "f32", found: Kind::Float64 }),
                ErrorCode::OutOfRange,
                "field `a`: the f64 does not fit f32 exactly",
            ),
            (null_argument("b"), ErrorCode::WrongType, "the argument `b` is null, which its parameter does not take"),
            (missing_field("b"), ErrorCode::MissingField, "the object has no field `b`"),
            (missing_element(7, 2), ErrorCode::MissingElement, "the array has no element 7, its length is 2"),
            (absent(b"\x68sys.View\x61e\xA0"), ErrorCode::Absent, "no record of `sys.View e` has the key"),
            (Error::application(5, "no"), ErrorCode::Application(1005), "no"),
            ("sold out".into(), ErrorCode::Application(1000), "sold out"),
        ] {
            assert_eq!(error.code(), code);
            assert_eq!(error.to_string(), message);
        }
    }

    #[test]
    fn long_names_are_cut_between_characters_and_messages_stay_within_their_limit() {
        for length in 0..128 {
            let name = "ö".repeat(length);
            let errors = [
                of_field(&name, ValueError::WrongType { asked: "qualified name", found: Kind::QName }),
                missing_field(&name),
                null_argument(&name),
                Error { subject: Subject::field(&name), ..exchange_full(usize::MAX, usize::MAX) },
                key_too_long(&[&[0x78, u8::try_from(name.len()).unwrap()], name.as_bytes()].concat(), usize::MAX),
            ];
            for error in errors {
                let message = error.to_string();
                assert!(message.len() <= Error::MESSAGE_LIMIT, "{message}");
                assert_eq!(
                    message.contains("..."),
                    name.len() > Error::NAME_LIMIT && message.contains('ö'),
                    "{message}"
                );
            }
        }
    }

    #[test]
    fn an_error_is_small_enough_to_be_returned() {
        assert!(size_of::<Error>() <= 128, "{}", size_of::<Error>());
    }
}
