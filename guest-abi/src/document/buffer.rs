//! A document that has bytes of its own.

use alloc::string::String;
use alloc::vec::Vec;

use super::check::check;
use super::item::F64;
use super::json::{self, JsonError, JsonOptions};
use super::path::AsPath;
use super::project::project;
use super::reader::{BEGIN, Document, FieldError, ID};
use super::writer::ObjectWriter;
use crate::cbor::{Head, WireError, encode};

/// A document with bytes of its own, which are valid.
///
/// ```
/// use guest_abi::document::DocumentBuf;
///
/// let tea = DocumentBuf::new(|fields| {
///     fields.put("name").str("tea");
///     fields.put("sizes").list(|sizes| {
///         sizes.push().i64(50);
///         sizes.push().i64(100);
///     });
/// })
/// .with_id("T-1")
/// .with_score(0.5);
/// assert_eq!(tea.as_document().get_i64("sizes[1]").unwrap(), Some(100));
/// assert_eq!(tea.to_json(), r#"{"name":"tea","sizes":[50,100]}"#);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DocumentBuf {
    bytes: Vec<u8>,
}

impl DocumentBuf {
    /// A document with the fields that `fill` writes, without an id and with the score 0.
    ///
    /// # Panics
    /// If a name is put twice into one object, or objects and lists are nested deeper than
    /// [`MAX_DEPTH`](crate::cbor::MAX_DEPTH) levels.
    pub fn new(fill: impl FnOnce(&mut ObjectWriter<'_>)) -> Self {
        let written = Self::try_new(|fields| {
            fill(fields);
            Ok::<(), core::convert::Infallible>(())
        });
        match written {
            Ok(document) => document,
            Err(never) => match never {},
        }
    }

    /// The same, where writing the fields may fail.
    ///
    /// # Errors
    /// That of `fill`.
    ///
    /// # Panics
    /// As [`Self::new`].
    pub fn try_new<E>(fill: impl FnOnce(&mut ObjectWriter<'_>) -> Result<(), E>) -> Result<Self, E> {
        let mut bytes = Vec::with_capacity(128);
        bytes.push(BEGIN);
        encode::element(&mut bytes, 0.0_f64);
        encode::element(&mut bytes, "");
        ObjectWriter::fields(&mut bytes, fill)?;
        Ok(Self { bytes })
    }

    /// The document of these bytes.
    ///
    /// # Errors
    /// [`WireError`] if they are not as the [module](super) says, with the offset of the first fault.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, WireError> {
        check(&bytes)?;
        Ok(Self { bytes })
    }

    /// The document of a JSON text that is an object, with the [members that have id and score](JsonOptions) by default.
    ///
    /// ```
    /// use guest_abi::document::DocumentBuf;
    ///
    /// let error = DocumentBuf::from_json("{\"price\": NaN}").unwrap_err();
    /// assert_eq!(
    ///     error.to_string(),
    ///     "line 1, column 11: JSON has neither NaN nor infinities; write null, at `price`"
    /// );
    /// ```
    ///
    /// # Errors
    /// [`JsonError`] with the line and the column.
    pub fn from_json(text: &str) -> Result<Self, JsonError> {
        JsonOptions::default().read(text.as_bytes())
    }

    /// Its fields as JSON, in one line. NaN and infinities, which JSON has not, are null.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut text = String::with_capacity(self.bytes.len() * 2);
        // The bytes are valid.
        let _ = json::write(&mut text, self.as_document().fields());
        text
    }

    /// The document with another id.
    #[must_use]
    pub fn with_id(mut self, id: &str) -> Self {
        let end = Head::read(&self.bytes, ID).map_or(ID, |head| head.behind + head.argument);
        let mut item = Vec::with_capacity(id.len() + 9);
        encode::element(&mut item, id);
        self.bytes.splice(ID..end, item);
        self
    }

    /// The document with another score.
    #[must_use]
    pub fn with_score(mut self, score: f64) -> Self {
        self.bytes[2..ID].copy_from_slice(&score.to_be_bytes());
        self
    }

    /// The document, to be read.
    #[must_use]
    #[inline]
    pub fn as_document(&self) -> Document<'_> {
        // Every way of making one gives bytes that begin as a document does.
        Document::new(&self.bytes).unwrap_or(NOTHING)
    }

    /// Its bytes.
    #[must_use]
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Its bytes.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// Without an id, a score and fields.
const NOTHING: Document<'static> = Document::empty(&[BEGIN, F64, 0, 0, 0, 0, 0, 0, 0, 0, 0x60, 0xA0]);

impl AsRef<[u8]> for DocumentBuf {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Document<'_> {
    /// The document with only the fields to which the paths lead, where they lead to one, in the document's own order. What
    /// a path passes through is kept as far as it is passed; of a list only the elements that are named are left. Id and
    /// score stay.
    ///
    /// ```
    /// use guest_abi::document::DocumentBuf;
    /// use guest_abi::path;
    ///
    /// let order = DocumentBuf::from_json(r#"{"id": 7, "to": {"city": "Ulm", "zip": "89073"}, "items": ["tea", "jam"]}"#)?;
    /// let seen = order.as_document().project([path!("to.city"), path!("items[1]"), path!("absent")])?;
    /// assert_eq!(seen.to_json(), r#"{"to":{"city":"Ulm"},"items":["jam"]}"#);
    /// assert_eq!(seen.as_document().id(), "7");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`FieldError`] if a path or the document is not well-formed.
    pub fn project<'p, P: AsPath<'p>>(
        &self,
        paths: impl IntoIterator<Item = P>,
    ) -> Result<DocumentBuf, FieldError<'p>> {
        let fields = project(self.fields(), paths)?;
        Ok(fields.with_id(self.id()).with_score(self.score()))
    }

    /// A copy with bytes of its own.
    ///
    /// # Errors
    /// [`WireError`] if the bytes are not as the [module](super) says.
    pub fn to_buf(&self) -> Result<DocumentBuf, WireError> {
        DocumentBuf::from_bytes(self.bytes().to_vec())
    }

    /// Its fields as JSON, in one line. NaN and infinities, which JSON has not, are null.
    ///
    /// # Errors
    /// [`WireError`] if the fields are not as the [module](super) says.
    pub fn to_json(&self) -> Result<String, WireError> {
        let mut text = String::with_capacity(self.bytes().len() * 2);
        json::write(&mut text, self.fields())?;
        Ok(text)
    }
}
