//! Paths to the fields of a document, and how they are written.

use core::fmt;

/// A path to a field of a document, parsed when the program is compiled. [`path!`](crate::path!) makes one.
///
/// A path is names with a dot between them, such as `shipping.address.city`. An element of a list is an index in brackets or a
/// name of digits: `items[0].sku` and `items.0.sku` are the same where `items` is a list. A name with a dot, a bracket or a
/// quote in it stands in double quotes, in which a backslash precedes a quote or a backslash: `a."b.c"`.
///
/// Wherever a path is taken, a `&str` may be given too. It is parsed with each call, without heap allocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Path<'p> {
    text: &'p str,
    steps: &'p [Step<'p>],
}

/// A step of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step<'p> {
    /// A name as it stands: the member of an object, and if it is digits also an element of a list.
    Name(&'p str),
    /// A name that stood in quotes, still with its backslashes: the member of an object.
    Quoted(&'p str),
    /// An element of a list, counted from 0.
    Index(usize),
}

/// A path that is not well-formed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PathError {
    /// Offset of the fault in the path, in bytes.
    pub at: usize,
    /// The fault, and how to mend it.
    pub reason: &'static str,
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, at byte {}", self.reason, self.at)
    }
}

impl core::error::Error for PathError {}

const EMPTY: &str = "the path is empty: write names with dots between them, such as a.b";
const NO_NAME: &str = "a name is missing: write one on both sides of a dot, or \"\" for the empty name";
const NO_SEPARATOR: &str = "a step must begin with a dot or a bracket";
const QUOTE: &str = "a name with a quote or a bracket stands in double quotes, such as a.\"b]c\"";
const OPEN_QUOTE: &str = "the quote is not closed";
const ESCAPE: &str = "in quotes, a backslash precedes a quote or a backslash";
const INDEX: &str = "an index is digits in brackets, such as [0]";

/// The part of a text between two of its character boundaries.
const fn part(text: &str, start: usize, end: usize) -> &str {
    match text.split_at_checked(end) {
        Some((text, _)) => match text.split_at_checked(start) {
            Some((_, text)) => text,
            None => "",
        },
        None => "",
    }
}

/// The step that begins at `at`, and where it ends.
const fn step(text: &str, at: usize) -> Result<(Step<'_>, usize), PathError> {
    let bytes = text.as_bytes();
    if bytes.is_empty() {
        return Err(PathError { at, reason: EMPTY });
    }
    let start = match bytes[at] {
        b'[' => return index(text, at + 1),
        b'.' if at > 0 => at + 1,
        _ if at == 0 => at,
        _ => return Err(PathError { at, reason: NO_SEPARATOR }),
    };
    if start < bytes.len() && bytes[start] == b'"' {
        return quoted(text, start + 1);
    }
    let mut end = start;
    while end < bytes.len() {
        match bytes[end] {
            b'.' | b'[' => break,
            b'"' | b']' => return Err(PathError { at: end, reason: QUOTE }),
            _ => end += 1,
        }
    }
    if end == start {
        Err(PathError { at: start, reason: NO_NAME })
    } else {
        Ok((Step::Name(part(text, start, end)), end))
    }
}

/// The name in quotes that begins at `start`.
const fn quoted(text: &str, start: usize) -> Result<(Step<'_>, usize), PathError> {
    let bytes = text.as_bytes();
    let mut end = start;
    while end < bytes.len() {
        match bytes[end] {
            b'"' => return Ok((Step::Quoted(part(text, start, end)), end + 1)),
            b'\\' if end + 1 < bytes.len() && matches!(bytes[end + 1], b'"' | b'\\') => end += 2,
            b'\\' => return Err(PathError { at: end, reason: ESCAPE }),
            _ => end += 1,
        }
    }
    Err(PathError { at: start - 1, reason: OPEN_QUOTE })
}

/// The index whose digits begin at `start`.
const fn index(text: &str, start: usize) -> Result<(Step<'_>, usize), PathError> {
    let bytes = text.as_bytes();
    let mut end = start;
    while end < bytes.len() && bytes[end] != b']' {
        end += 1;
    }
    match number(part(text, start, end)) {
        Some(index) if end < bytes.len() => Ok((Step::Index(index), end + 1)),
        _ => Err(PathError { at: start, reason: INDEX }),
    }
}

/// The number of these decimal digits.
pub(super) const fn number(digits: &str) -> Option<usize> {
    let digits = digits.as_bytes();
    let mut number: usize = 0;
    let mut at = 0;
    while at < digits.len() {
        if !digits[at].is_ascii_digit() {
            return None;
        }
        number = match number.checked_mul(10) {
            Some(tens) => match tens.checked_add((digits[at] - b'0') as usize) {
                Some(number) => number,
                None => return None,
            },
            None => return None,
        };
        at += 1;
    }
    if digits.is_empty() { None } else { Some(number) }
}

impl<'p> Path<'p> {
    /// The path as it was written.
    #[must_use]
    pub const fn text(self) -> &'p str {
        self.text
    }

    /// The number of steps of a path.
    ///
    /// # Errors
    /// [`PathError`] if it is not well-formed.
    pub const fn check(text: &str) -> Result<usize, PathError> {
        let (mut at, mut steps) = (0, 0);
        while at < text.len() || at == 0 {
            at = match step(text, at) {
                Ok((_, end)) => end,
                Err(error) => return Err(error),
            };
            steps += 1;
        }
        Ok(steps)
    }

    /// As [`Self::check`]; for the macro, whose error is one of the compiler.
    #[doc(hidden)]
    #[must_use]
    pub const fn count(text: &str) -> usize {
        match Self::check(text) {
            Ok(steps) => steps,
            Err(error) => panic!("{}", error.reason),
        }
    }

    /// The first `N` steps of a path that was checked.
    #[doc(hidden)]
    #[must_use]
    pub const fn steps<const N: usize>(text: &str) -> [Step<'_>; N] {
        let mut steps = [Step::Index(0); N];
        let (mut at, mut index) = (0, 0);
        while index < N {
            (steps[index], at) = match step(text, at) {
                Ok(found) => found,
                Err(error) => panic!("{}", error.reason),
            };
            index += 1;
        }
        steps
    }

    /// The path of these steps, for the macro.
    #[doc(hidden)]
    #[must_use]
    pub const fn of_steps(text: &'p str, steps: &'p [Step<'p>]) -> Self {
        Self { text, steps }
    }
}

/// Shows the path as it was written.
impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text)
    }
}

/// Makes a [`Path`] from a literal or another constant text. A path that is not well-formed does not
/// compile, and the compiler says why.
///
/// ```
/// use guest_abi::document::Path;
/// use guest_abi::path;
///
/// const CITY: Path<'static> = path!("shipping.address.city");
/// assert_eq!(CITY.text(), "shipping.address.city");
/// ```
/// ```compile_fail
/// guest_abi::path!("shipping..city");
/// ```
#[macro_export]
macro_rules! path {
    ($text:expr) => {{
        const TEXT: &str = $text;
        const STEPS: [$crate::document::Step<'static>; $crate::document::Path::count(TEXT)] =
            $crate::document::Path::steps(TEXT);
        const PATH: $crate::document::Path<'static> = $crate::document::Path::of_steps(TEXT, &STEPS);
        PATH
    }};
}

/// What can be given for a path: a [`Path`], which costs no parsing, or a text.
///
/// It is not for implementing: the steps of a path are those of its text.
pub trait AsPath<'p>: Copy + sealed::Sealed {
    /// The path as it was written.
    fn text(self) -> &'p str;

    /// Its steps, in order. After an error there are no more.
    fn steps(self) -> impl Iterator<Item = Result<Step<'p>, PathError>>;
}

mod sealed {
    pub trait Sealed {}

    impl Sealed for super::Path<'_> {}
    impl Sealed for &str {}
    #[cfg(feature = "alloc")]
    impl Sealed for &alloc::string::String {}
}

impl<'p> AsPath<'p> for Path<'p> {
    #[inline]
    fn text(self) -> &'p str {
        self.text
    }

    #[inline]
    fn steps(self) -> impl Iterator<Item = Result<Step<'p>, PathError>> {
        self.steps.iter().map(|step| Ok(*step))
    }
}

impl<'p> AsPath<'p> for &'p str {
    #[inline]
    fn text(self) -> &'p str {
        self
    }

    #[inline]
    fn steps(self) -> impl Iterator<Item = Result<Step<'p>, PathError>> {
        let mut next = Some(0);
        core::iter::from_fn(move || {
            let found = step(self, next?);
            next = match found {
                Ok((_, end)) if end < self.len() => Some(end),
                _ => None,
            };
            Some(found.map(|(step, _)| step))
        })
    }
}

#[cfg(feature = "alloc")]
impl<'p> AsPath<'p> for &'p alloc::string::String {
    #[inline]
    fn text(self) -> &'p str {
        self
    }

    #[inline]
    fn steps(self) -> impl Iterator<Item = Result<Step<'p>, PathError>> {
        self.as_str().steps()
    }
}

impl Step<'_> {
    /// Whether a member with this name is meant.
    #[inline]
    pub(super) fn is_name(self, name: &[u8]) -> bool {
        match self {
            Self::Name(wanted) => crate::cbor::scan::equal(wanted.as_bytes(), name),
            Self::Quoted(wanted) => unquoted(wanted.as_bytes()).eq(name.iter().copied()),
            Self::Index(_) => false,
        }
    }

    /// The element of a list that is meant.
    pub(super) fn index(self) -> Option<usize> {
        match self {
            Self::Index(index) => Some(index),
            Self::Name(digits) => number(digits),
            Self::Quoted(_) => None,
        }
    }
}

/// The bytes of a name that stood in quotes, without the backslashes.
pub(super) fn unquoted(quoted: &[u8]) -> impl Iterator<Item = u8> + Clone + '_ {
    let mut rest = quoted.iter();
    core::iter::from_fn(move || match rest.next() {
        Some(b'\\') => rest.next().copied(),
        other => other.copied(),
    })
}
