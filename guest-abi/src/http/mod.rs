//! HTTP: functions that get a request and give a response.
//!
//! Such a function is a [typed function](crate::function) `(request: bytes) -> bytes`. Both are one CBOR map from text, of the
//! [value model](crate::value), so that any language can read and write them.
//!
//! A request has all of these:
//!
//! | field | CBOR | |
//! |---|---|---|
//! | `method` | text | `GET`, `HEAD`, `POST`, `PUT`, `PATCH` or `DELETE` |
//! | `mount` | text | the path below which the guest is served, for links; empty for `/` |
//! | `path` | text | the path below the mount as the client wrote it, with percent encoding; it begins with `/` |
//! | `query` | text | what stands behind `?`, as the client wrote it; empty if there is none |
//! | `tenant` | text | the key of the tenant, decoded |
//! | `peer` | text | address and port of the other end of the connection, which may be a proxy; empty if it is not known |
//! | `headers` | array of arrays of two: a text and bytes | names in lower case, and values |
//! | `body` | bytes | |
//!
//! Headers of the connection, such as `transfer-encoding`, are not among them. A response has these:
//!
//! | field | CBOR | |
//! |---|---|---|
//! | `status` | integer | from 200 to 599 |
//! | `headers` | array of arrays of two: a text, and a text or bytes | names and values; none if it is missing |
//! | `body` | bytes or text | empty if it is missing, as it must be with the status 204, 205 or 304 |
//!
//! The host sets `content-length`. It refuses a response with headers of the connection, with names or values that are none of HTTP,
//! and with more than its limits.
//!
//! ```
//! use guest_abi::http::Response;
//!
//! let bytes = Response { status: 200, headers: vec![("content-type", b"text/plain")], body: b"hi" }.write();
//! assert_eq!(bytes, b"\xA3\x66status\x18\xC8\x67headers\x81\x82\x6Ccontent-type\x4Atext/plain\x64body\x42hi");
//! assert_eq!(Response::read(&bytes).unwrap().body, b"hi");
//! ```

mod decode;

use alloc::vec::Vec;

use crate::cbor::{Reader, WireError, encode};
use crate::value::{Kind, ValueError, ValueRef};
pub use decode::{decode, pairs};

/// Name and value of a header.
pub type Header<'a> = (&'a str, &'a [u8]);

/// A request of a client. See the [module](self) for the meaning of its fields.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request<'a> {
    /// The method.
    pub method: &'a str,
    /// The path below which the guest is served; empty for `/`.
    pub mount: &'a str,
    /// The path below the mount, with percent encoding.
    pub path: &'a str,
    /// The query, with percent encoding.
    pub query: &'a str,
    /// The key of the tenant.
    pub tenant: &'a str,
    /// Address and port of the other end of the connection; empty if it is not known.
    pub peer: &'a str,
    /// The headers, with names in lower case.
    pub headers: Vec<Header<'a>>,
    /// The body.
    pub body: &'a [u8],
}

/// A response of a guest. See the [module](self) for the meaning of its fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response<'a> {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: Vec<Header<'a>>,
    /// The body.
    pub body: &'a [u8],
}

/// The fault of bytes that are not a request, or not a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum HttpError {
    /// Bytes that are not of the value model.
    Wire(WireError),
    /// Bytes behind the map.
    Behind {
        /// Their offset.
        at: usize,
    },
    /// A field that is missing.
    Missing {
        /// Its name.
        field: &'static str,
    },
    /// A field of another type.
    Type {
        /// Its name.
        field: &'static str,
        /// The type that it must have.
        wanted: &'static str,
    },
    /// A field that there is not, or is there twice.
    Unknown {
        /// The fields that there are.
        fields: &'static [&'static str],
    },
}

impl core::fmt::Display for HttpError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Wire(error) => error.fmt(f),
            Self::Behind { at } => write!(f, "there are bytes behind the map, at byte {at}"),
            Self::Missing { field } => write!(f, "the field `{field}` is missing"),
            Self::Type { field, wanted } => write!(f, "the field `{field}` must be {wanted}"),
            Self::Unknown { fields } => {
                f.write_str("there is a field twice, or one that is none of ")?;
                for (at, field) in fields.iter().enumerate() {
                    write!(f, "{}`{field}`", if at == 0 { "" } else { ", " })?;
                }
                Ok(())
            }
        }
    }
}

impl core::error::Error for HttpError {}

impl From<WireError> for HttpError {
    fn from(error: WireError) -> Self {
        Self::Wire(error)
    }
}

impl From<ValueError> for HttpError {
    fn from(error: ValueError) -> Self {
        match error {
            ValueError::Malformed(error) => Self::Wire(error),
            // The map was checked: its members can be read.
            ValueError::WrongType { .. } | ValueError::OutOfRange { .. } => Self::Wire(WireError::Malformed { at: 0 }),
        }
    }
}

const REQUEST: [&str; 8] = ["method", "mount", "path", "query", "tenant", "peer", "headers", "body"];
const RESPONSE: [&str; 3] = ["status", "headers", "body"];

impl<'a> Request<'a> {
    /// The value of the first header of this name, which is in lower case. `None` also if the value is not UTF-8.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'a str> {
        let (_, value) = self.headers.iter().find(|(found, _)| *found == name)?;
        core::str::from_utf8(value).ok()
    }

    /// The request of these bytes.
    ///
    /// # Errors
    /// [`HttpError`] if they are none.
    pub fn read(bytes: &'a [u8]) -> Result<Self, HttpError> {
        let [method, mount, path, query, tenant, peer, headers, body] = fields(bytes, &REQUEST)?;
        let text = |at: usize, value: Option<ValueRef<'a>>| {
            let field = REQUEST[at];
            let value = value.ok_or(HttpError::Missing { field })?;
            value.as_str().map_err(|_| HttpError::Type { field, wanted: "text" })
        };
        Ok(Self {
            method: text(0, method)?,
            mount: text(1, mount)?,
            path: text(2, path)?,
            query: text(3, query)?,
            tenant: text(4, tenant)?,
            peer: text(5, peer)?,
            headers: read_headers(headers.ok_or(HttpError::Missing { field: "headers" })?)?,
            body: read_body(body.ok_or(HttpError::Missing { field: "body" })?)?,
        })
    }

    /// The bytes of the request.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        let texts = [self.method, self.mount, self.path, self.query, self.tenant, self.peer];
        let room = texts.iter().map(|text| text.len() + 32).sum::<usize>();
        let mut to = with_room(room, &self.headers, self.body);
        encode::object_of(&mut to, REQUEST.len());
        for (name, text) in REQUEST.iter().zip(texts) {
            encode::field(&mut to, name, text);
        }
        write_rest(&mut to, &self.headers, self.body);
        to
    }
}

impl<'a> Response<'a> {
    /// The response of these bytes. Whether HTTP has such a status and such headers is not checked.
    ///
    /// # Errors
    /// [`HttpError`] if they are none.
    pub fn read(bytes: &'a [u8]) -> Result<Self, HttpError> {
        let [status, headers, body] = fields(bytes, &RESPONSE)?;
        let status = status.ok_or(HttpError::Missing { field: "status" })?;
        let number = status.as_i64().ok().and_then(|status| u16::try_from(status).ok());
        Ok(Self {
            status: number.ok_or(HttpError::Type { field: "status", wanted: "an integer from 200 to 599" })?,
            headers: headers.map_or_else(|| Ok(Vec::new()), read_headers)?,
            body: body.map_or(Ok(&[][..]), read_body)?,
        })
    }

    /// The bytes of the response.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        let mut to = with_room(32, &self.headers, self.body);
        encode::object_of(&mut to, RESPONSE.len());
        encode::field(&mut to, "status", i64::from(self.status));
        write_rest(&mut to, &self.headers, self.body);
        to
    }
}

fn with_room(room: usize, headers: &[Header<'_>], body: &[u8]) -> Vec<u8> {
    let of_headers = headers.iter().map(|(name, value)| name.len() + value.len() + 20).sum::<usize>();
    Vec::with_capacity(room + of_headers + body.len() + 40)
}

fn write_rest(to: &mut Vec<u8>, headers: &[Header<'_>], body: &[u8]) {
    encode::name(to, "headers");
    encode::array_of(to, headers.len());
    for (name, value) in headers {
        encode::array_of(to, 2);
        encode::element(to, *name);
        encode::element(to, *value);
    }
    encode::field(to, "body", body);
}

/// The fields of a map by these names, of which it has no others.
fn fields<'a, const N: usize>(
    bytes: &'a [u8],
    names: &'static [&'static str; N],
) -> Result<[Option<ValueRef<'a>>; N], HttpError> {
    let mut reader = Reader::new(bytes);
    let map = ValueRef::new(reader.map()?);
    if !reader.is_at_end() {
        return Err(HttpError::Behind { at: reader.position() });
    }
    let mut found = [None; N];
    for field in map.fields()? {
        let (name, value) = field?;
        match names.iter().position(|known| *known == name) {
            Some(at) if found[at].is_none() => found[at] = Some(value),
            _ => return Err(HttpError::Unknown { fields: names }),
        }
    }
    Ok(found)
}

fn read_headers(headers: ValueRef<'_>) -> Result<Vec<Header<'_>>, HttpError> {
    let wrong = HttpError::Type { field: "headers", wanted: "an array of arrays of a text, and a text or bytes" };
    headers.items().map_err(|_| wrong)?.map(|found| read_header(found.ok()?)).collect::<Option<_>>().ok_or(wrong)
}

fn read_header(header: ValueRef<'_>) -> Option<Header<'_>> {
    let mut parts = header.items().ok()?;
    let (name, value) = (parts.next()?.ok()?, parts.next()?.ok()?);
    match parts.next() {
        None => Some((name.as_str().ok()?, text_or_bytes(value)?)),
        Some(_) => None,
    }
}

fn read_body(body: ValueRef<'_>) -> Result<&[u8], HttpError> {
    text_or_bytes(body).ok_or(HttpError::Type { field: "body", wanted: "bytes or text" })
}

fn text_or_bytes(value: ValueRef<'_>) -> Option<&[u8]> {
    match value.kind().ok()? {
        Kind::Text => value.as_str().ok().map(str::as_bytes),
        _ => value.as_bytes().ok(),
    }
}

#[cfg(test)]
mod tests;
