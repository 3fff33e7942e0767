//! Finding fields and elements without decoding what lies between them.
//!
//! Nothing here needs bytes that were checked before: lengths are compared with what there is, and bytes that are not what
//! they should be are [`Unreadable`]. That error says no more, because in a guest each word of a result costs
//! instructions on every read; the reason is found afterwards, by a [`Reader`](super::Reader).

use super::major::{ARRAY, BYTES, MAP, NEGATIVE, SIMPLE, TAG, TEXT, UNSIGNED};
use super::{BREAK, Head, INDEFINITE, MAX_DEPTH, WireError};

/// Bytes that are not what was asked for, or not well-formed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unreadable;

/// The elements of an array, or the names and values of an object, one after the other.
///
/// A member is stepped over when the next one is asked for, so the last one that is needed costs nothing.
///
/// ```
/// use guest_abi::cbor::scan::{Members, integer};
///
/// let mut members = Members::of_array(b"\x82\x01\x18\xFF").unwrap();
/// assert_eq!(members.left(), Some(2));
/// let mut sum = 0;
/// while let Some(element) = members.next_element() {
///     sum += integer(element.unwrap()).unwrap();
/// }
/// assert_eq!(sum, 256);
/// ```
#[derive(Debug, Clone)]
pub struct Members<'b> {
    bytes: &'b [u8],
    /// Position of the next member, or of the last one if that was not stepped over yet.
    at: usize,
    /// Whether the last one was not stepped over yet.
    pending: bool,
    left: Left,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    Known(usize),
    UntilBreak,
}

impl<'b> Members<'b> {
    /// The elements of the array that `array` begins with.
    ///
    /// # Errors
    /// [`Unreadable`] if it begins with something else.
    #[inline]
    pub fn of_array(array: &'b [u8]) -> Result<Self, Unreadable> {
        Self::begin(array, ARRAY)
    }

    /// The fields of the object that `object` begins with. [`Members::next_field`] gives them.
    ///
    /// # Errors
    /// [`Unreadable`] if it begins with something else.
    #[inline]
    pub fn of_object(object: &'b [u8]) -> Result<Self, Unreadable> {
        Self::begin(object, MAP)
    }

    #[inline]
    fn begin(bytes: &'b [u8], expected: u8) -> Result<Self, Unreadable> {
        let (at, left) = match (bytes.first(), Head::read(bytes, 0)) {
            (_, Some(Head { major, argument, behind })) if major == expected => (behind, Left::Known(argument)),
            (Some(initial), _) if *initial == expected << 5 | INDEFINITE => (1, Left::UntilBreak),
            _ => return Err(Unreadable),
        };
        Ok(Self { bytes, at, pending: false, left })
    }

    /// Number of members left, if the array or object states its length.
    #[must_use]
    #[inline]
    pub fn left(&self) -> Option<u64> {
        match self.left {
            Left::Known(left) => Some(left as u64),
            Left::UntilBreak => None,
        }
    }

    /// Position of the next member, or of the last one if it has not been stepped over yet.
    #[must_use]
    #[inline]
    pub const fn position(&self) -> usize {
        self.at
    }

    /// The bytes of the array or object, and possibly bytes behind it.
    pub(crate) const fn bytes(&self) -> &'b [u8] {
        self.bytes
    }

    /// No more after an error.
    pub(crate) fn end(&mut self) {
        self.left = Left::Known(0);
        self.pending = false;
    }

    /// Stands before the next one, if there is one.
    #[inline]
    fn advance(&mut self) -> Result<bool, Unreadable> {
        if self.pending {
            self.pending = false;
            self.at = end_of(self.bytes, self.at)?;
        }
        match &mut self.left {
            Left::Known(0) => Ok(false),
            Left::Known(left) => {
                *left -= 1;
                Ok(true)
            }
            Left::UntilBreak if self.bytes.get(self.at) == Some(&BREAK) => {
                self.left = Left::Known(0);
                Ok(false)
            }
            Left::UntilBreak => Ok(true),
        }
    }

    #[inline]
    fn member(&mut self) -> Result<&'b [u8], Unreadable> {
        self.pending = true;
        match self.bytes.get(self.at..) {
            Some(rest) if !rest.is_empty() => Ok(rest),
            _ => Err(Unreadable),
        }
    }

    /// The bytes from the next element on. After an error there are no more.
    #[inline]
    pub fn next_element(&mut self) -> Option<Result<&'b [u8], Unreadable>> {
        let element = match self.advance() {
            Ok(true) => self.member(),
            Ok(false) => return None,
            Err(error) => Err(error),
        };
        if element.is_err() {
            self.end();
        }
        Some(element)
    }

    /// The name of the next field and the bytes from its value on. After an error there are no more.
    #[inline]
    #[expect(clippy::type_complexity, reason = "a name of its own would say no more")]
    pub fn next_field(&mut self) -> Option<Result<(&'b [u8], &'b [u8]), Unreadable>> {
        let field = match self.advance() {
            Ok(true) => self.name().and_then(|name| Ok((name, self.member()?))),
            Ok(false) => return None,
            Err(error) => Err(error),
        };
        if field.is_err() {
            self.end();
        }
        Some(field)
    }

    #[inline]
    fn name(&mut self) -> Result<&'b [u8], Unreadable> {
        let Some(Head { major: TEXT, argument: length, behind: start }) = Head::read(self.bytes, self.at) else {
            return Err(Unreadable);
        };
        let end = end(self.bytes, start, length)?;
        self.at = end;
        Ok(&self.bytes[start..end])
    }
}

/// The bytes from the value of the field `name` on, or `None` if the object has no such field. A name that is there twice
/// means its first value.
///
/// ```
/// use guest_abi::cbor::scan::{field, integer};
///
/// // {"Year": 2023}
/// let year = field(b"\xA1\x64Year\x19\x07\xE7", "Year")?;
/// assert_eq!(year.and_then(integer), Some(2023));
/// # Ok::<(), guest_abi::cbor::scan::Unreadable>(())
/// ```
///
/// # Errors
/// [`Unreadable`] if `object` does not begin with an object, or the field is not found before bytes that are not
/// well-formed.
#[inline]
pub fn field<'b>(object: &'b [u8], name: &str) -> Result<Option<&'b [u8]>, Unreadable> {
    let mut members = Members::of_object(object)?;
    while let Some(field) = members.next_field() {
        let (found, value) = field?;
        if equal(found, name.as_bytes()) {
            return Ok(Some(value));
        }
    }
    Ok(None)
}

/// The integer that `bytes` begin with. `None` if they begin with something else or it does not fit.
#[must_use]
#[inline]
pub fn integer(bytes: &[u8]) -> Option<i64> {
    let Head { major, argument, behind } = Head::read(bytes, 0)?;
    if behind > 5 {
        return long_integer(bytes);
    }
    match major {
        UNSIGNED => Some(narrow(argument)),
        NEGATIVE => Some(-1 - narrow(argument)),
        _ => None,
    }
}

/// The argument of a head of up to five bytes.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "four bytes hold no more")]
fn narrow(argument: usize) -> i64 {
    i64::from(argument as u32)
}

/// The same of an integer of nine bytes.
#[inline(never)]
fn long_integer(bytes: &[u8]) -> Option<i64> {
    let (initial, rest) = bytes.split_first()?;
    let magnitude = i64::try_from(u64::from_be_bytes(*rest.first_chunk()?)).ok()?;
    match initial >> 5 {
        UNSIGNED => Some(magnitude),
        NEGATIVE => Some(-1 - magnitude),
        _ => None,
    }
}

/// The text that `bytes` begin with. `None` if they begin with something else or it is not UTF-8.
#[must_use]
#[inline]
pub fn text(bytes: &[u8]) -> Option<&str> {
    core::str::from_utf8(content(bytes, TEXT)?).ok()
}

/// The content of the bytes that `bytes` begin with. `None` if they begin with something else.
#[must_use]
#[inline]
pub fn bytes(bytes: &[u8]) -> Option<&[u8]> {
    content(bytes, BYTES)
}

#[inline]
fn content(bytes: &[u8], major: u8) -> Option<&[u8]> {
    let head = Head::read(bytes, 0)?;
    if head.major != major {
        return None;
    }
    bytes.get(head.behind..)?.get(..head.argument)
}

/// Without a call for names, which are short.
#[inline]
pub(crate) fn equal(one: &[u8], other: &[u8]) -> bool {
    fn ends<const N: usize>(one: &[u8], other: &[u8]) -> bool {
        one.first_chunk::<N>() == other.first_chunk() && one.last_chunk::<N>() == other.last_chunk()
    }
    one.len() == other.len()
        && match one.len() {
            0 => true,
            1 => one.first() == other.first(),
            2..4 => ends::<2>(one, other),
            4..8 => ends::<4>(one, other),
            8..=16 => ends::<8>(one, other),
            _ => one == other,
        }
}

/// Position behind the item at `at`, without looking into texts and bytes.
///
/// # Errors
/// [`WireError`] if the item is not well-formed, or if it has items of indefinite length and is nested deeper than any
/// value may be.
#[inline]
pub fn skip(bytes: &[u8], at: usize) -> Result<usize, WireError> {
    end_of(bytes, at).or_else(|Unreadable| end_of_any(bytes, at))
}

/// The same without a reason for failing.
///
/// # Errors
/// [`Unreadable`] where [`skip`] has an error.
pub fn end_of(bytes: &[u8], at: usize) -> Result<usize, Unreadable> {
    let mut next = at;
    // Items that must be stepped over before this one has ended.
    let mut items: u64 = 1;
    while items > 0 {
        items -= 1;
        let initial = *bytes.get(next).ok_or(Unreadable)?;
        let (major, info) = (initial >> 5, initial & 0x1F);
        match major {
            // The end of something of indefinite length has no place here, nor has anything else above 27.
            UNSIGNED | NEGATIVE | SIMPLE if info < 24 => next += 1,
            UNSIGNED | NEGATIVE | SIMPLE if info < 28 => next += 1 + (1 << (info & 3)),
            BYTES | TEXT if info < 24 => next += 1 + usize::from(info),
            _ => match Head::read(bytes, next) {
                Some(Head { major: BYTES | TEXT, argument, behind }) => next = end(bytes, behind, argument)?,
                Some(Head { major: ARRAY, argument, behind }) => {
                    items = items.saturating_add(argument as u64);
                    next = behind;
                }
                Some(Head { major: MAP, argument, behind }) => {
                    items = items.saturating_add((argument as u64).saturating_mul(2));
                    next = behind;
                }
                Some(Head { major: TAG, behind, .. }) => {
                    items += 1;
                    next = behind;
                }
                // Of indefinite length, which hosts do not write, or not well-formed.
                _ => return end_of_any(bytes, at).map_err(|_| Unreadable),
            },
        }
    }
    if next <= bytes.len() { Ok(next) } else { Err(Unreadable) }
}

/// Where `length` bytes from `start` on end, if there are so many.
#[inline]
fn end(bytes: &[u8], start: usize, length: usize) -> Result<usize, Unreadable> {
    if length <= bytes.len() - start { Ok(start + length) } else { Err(Unreadable) }
}

/// Position behind any item, or why there is none. It recurses, so depth has a limit: two levels more than a value has,
/// for a tag and what is in it.
#[cold]
#[inline(never)]
fn end_of_any(bytes: &[u8], at: usize) -> Result<usize, WireError> {
    end_of_nested(bytes, at, MAX_DEPTH + 2)
}

fn end_of_nested(bytes: &[u8], at: usize, depth: u32) -> Result<usize, WireError> {
    let initial = *bytes.get(at).ok_or(WireError::Truncated)?;
    let (major, info) = (initial >> 5, initial & 0x1F);
    let nested = || depth.checked_sub(1).ok_or(WireError::TooDeep { at });
    if info == INDEFINITE && (major == ARRAY || major == MAP) {
        let depth = nested()?;
        let mut behind = at + 1;
        while *bytes.get(behind).ok_or(WireError::Truncated)? != BREAK {
            behind = end_of_nested(bytes, behind, depth)?;
        }
        return Ok(behind + 1);
    }
    if info > 27 {
        return Err(WireError::Malformed { at });
    }
    let Head { argument, behind, .. } = Head::read(bytes, at).ok_or(WireError::Truncated)?;
    let items = match major {
        UNSIGNED | NEGATIVE | SIMPLE => return Ok(behind),
        BYTES | TEXT => return end(bytes, behind, argument).map_err(|Unreadable| WireError::Truncated),
        TAG => 1,
        MAP => argument.saturating_mul(2),
        _ => argument,
    };
    let depth = nested()?;
    (0..items).try_fold(behind, |behind, _| end_of_nested(bytes, behind, depth))
}
