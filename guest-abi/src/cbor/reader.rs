//! Reading with a check: bytes from the other side.

use super::validate;
use super::{Head, MAX_DEPTH, WireError, major};

/// Reads items one behind the other and checks each.
///
/// After an error the reader stays where it is.
///
/// ```
/// use guest_abi::cbor::{Reader, WireError};
///
/// let mut reader = Reader::new(b"\x63abc\xF6");
/// assert_eq!(reader.text(), Ok("abc"));
/// assert_eq!(reader.value(), Err(WireError::Unsupported { at: 4 }), "a null");
/// ```
#[derive(Debug, Clone)]
pub struct Reader<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl<'b> Reader<'b> {
    /// A reader at the first of `bytes`.
    #[must_use]
    pub const fn new(bytes: &'b [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Position in bytes: what has been read lies before it.
    #[must_use]
    pub const fn position(&self) -> usize {
        self.at
    }

    /// Whether everything has been read.
    #[must_use]
    pub const fn is_at_end(&self) -> bool {
        self.at >= self.bytes.len()
    }

    /// Moves to the end, so that nothing is left to be read.
    pub const fn finish(&mut self) {
        self.at = self.bytes.len();
    }

    /// The bytes that have not been read yet.
    #[must_use]
    #[inline]
    pub fn rest(&self) -> &'b [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// Moves behind the next `bytes` bytes, which are known.
    #[inline]
    pub(crate) const fn pass(&mut self, bytes: usize) {
        self.at += bytes;
    }

    /// Reads the head of an item of definite length.
    ///
    /// # Errors
    /// [`WireError`] if there is none.
    pub fn head(&mut self) -> Result<Head, WireError> {
        let head = validate::head(self.bytes, self.at)?;
        self.at = head.behind;
        Ok(head)
    }

    /// Reads a text.
    ///
    /// # Errors
    /// [`WireError`] if the next item is no text of definite length.
    #[inline]
    pub fn text(&mut self) -> Result<&'b str, WireError> {
        let (text, behind) = validate::text(self.bytes, self.at)?;
        self.at = behind;
        Ok(text)
    }

    /// Reads a value of the model and returns its bytes.
    ///
    /// # Errors
    /// [`WireError`] with the offset of the first item that is not of the model.
    pub fn value(&mut self) -> Result<&'b [u8], WireError> {
        let behind = validate::value(self.bytes, self.at, MAX_DEPTH)?;
        Ok(self.take(behind))
    }

    /// Reads a map from text to values and returns its bytes.
    ///
    /// # Errors
    /// [`WireError`] with the offset of the first item that is not of the model.
    pub fn map(&mut self) -> Result<&'b [u8], WireError> {
        self.check_map()?;
        self.value()
    }

    /// Reads the map of a key, from text to values that are neither objects nor arrays, and returns its bytes.
    ///
    /// # Errors
    /// [`WireError`] with the offset of the first item that a key does not have.
    pub fn key_map(&mut self) -> Result<&'b [u8], WireError> {
        self.check_map()?;
        // The map itself is one level; anything nested in it is not a scalar.
        let behind = validate::value(self.bytes, self.at, 1).map_err(|error| match error {
            WireError::TooDeep { at } => WireError::Unsupported { at },
            error => error,
        })?;
        Ok(self.take(behind))
    }

    #[inline]
    fn check_map(&self) -> Result<(), WireError> {
        match self.bytes.get(self.at) {
            Some(initial) if initial >> 5 == major::MAP => Ok(()),
            Some(initial) => Err(validate::beyond(*initial, self.at)),
            None => Err(WireError::Truncated),
        }
    }

    #[inline]
    fn take(&mut self, behind: usize) -> &'b [u8] {
        let taken = self.bytes.get(self.at..behind).unwrap_or_default();
        self.at = behind;
        taken
    }
}
