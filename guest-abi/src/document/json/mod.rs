//! Documents as JSON ([RFC 8259](https://www.rfc-editor.org/rfc/rfc8259)).
//!
//! The parser is the project's own, for three things that documents need and general ones do not do: an integer is never
//! rounded, a name that is there twice is an error, and an error has the path of the field beside line and column.

mod read;
mod write;

use alloc::string::String;
use core::fmt;

use super::buffer::DocumentBuf;
use super::item::Item;
use crate::value::Kind;

pub(super) use write::write;

/// Which members of a JSON text have the id and the score of a document. They stay fields as well.
///
/// By default the id is the member `id`, or `_id` if there is no `id`, and the score is `score` or `_score`. An id is text or
/// an integer, which becomes text; a score is a number. A member of another type is a field and no more.
///
/// ```
/// use guest_abi::document::JsonOptions;
///
/// let options = JsonOptions::default().with_id("sku").with_score("rank");
/// let tea = options.read(br#"{"sku": 17, "rank": 0.5}"#)?;
/// assert_eq!((tea.as_document().id(), tea.as_document().score()), ("17", 0.5));
/// assert_eq!(tea.as_document().get_i64("sku").unwrap(), Some(17));
/// # Ok::<(), guest_abi::document::JsonError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct JsonOptions {
    /// The member with the id, in place of `id` and `_id`.
    pub id: Option<String>,
    /// The member with the score, in place of `score` and `_score`.
    pub score: Option<String>,
}

impl JsonOptions {
    /// Sets [`Self::id`].
    #[must_use]
    pub fn with_id(self, member: impl Into<String>) -> Self {
        Self { id: Some(member.into()), ..self }
    }

    /// Sets [`Self::score`].
    #[must_use]
    pub fn with_score(self, member: impl Into<String>) -> Self {
        Self { score: Some(member.into()), ..self }
    }

    /// The document of a JSON text that is an object.
    ///
    /// An integer from -2^63 to 2^64 - 1 stays exact. A number with a fraction or an exponent becomes the nearest float of 64
    /// bits.
    ///
    /// # Errors
    /// [`JsonError`], also for an integer beyond that range, a float beyond that of 64 bits, a name that is there twice in an
    /// object, and nesting deeper than [`MAX_DEPTH`](crate::cbor::MAX_DEPTH) levels.
    pub fn read(&self, json: &[u8]) -> Result<DocumentBuf, JsonError> {
        let document = read::document(json)?;
        let fields = document.as_document();
        let member = |given: &Option<String>, names: [&'static str; 2]| {
            let of = |name: &str| {
                fields.fields().as_object().ok()?.filter_map(Result::ok).find(|member| member.0 == name)?.1
            };
            match given {
                Some(name) => of(name),
                None => of(names[0]).or_else(|| of(names[1])),
            }
        };
        let id = member(&self.id, ["id", "_id"]).and_then(|id| match id.kind() {
            Ok(Kind::Text) => id.as_str().ok().map(String::from),
            Ok(Kind::Integer) => {
                let mut digits = String::new();
                write(&mut digits, id).ok().map(|()| digits)
            }
            _ => None,
        });
        let score = member(&self.score, ["score", "_score"]).and_then(nearest_float);
        let document = match score {
            Some(score) => document.with_score(score),
            None => document,
        };
        Ok(match id {
            Some(id) => document.with_id(&id),
            None => document,
        })
    }
}

/// The number, or the float that is nearest to an integer: a score ranks.
fn nearest_float(number: Item<'_>) -> Option<f64> {
    let integer = || number.as_i64().map(|integer| integer as f64).ok();
    let natural = || number.as_u64().map(|natural| natural as f64).ok();
    number.as_f64().ok().or_else(integer).or_else(natural)
}

/// A JSON text that is no document.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct JsonError {
    /// The line of the fault in the text, counted from 1.
    pub line: usize,
    /// The character of the line, counted from 1.
    pub column: usize,
    /// The path of the field in which the fault is; empty outside of fields.
    pub path: String,
    /// The fault, and how to mend it.
    pub reason: &'static str,
}

impl JsonError {
    /// The fault and the field, without line and column.
    #[must_use]
    pub fn description(&self) -> impl fmt::Display + '_ {
        struct Description<'e>(&'e JsonError);

        impl fmt::Display for Description<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.0.reason)?;
                if self.0.path.is_empty() { Ok(()) } else { write!(f, ", at `{}`", self.0.path) }
            }
        }

        Description(self)
    }
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.description())
    }
}

impl core::error::Error for JsonError {}
