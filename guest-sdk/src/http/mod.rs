//! HTTP functions: typed functions that get a [`Request`] and give a [`Response`].
//!
//! A host such as `host-harness serve` calls them for requests to a route with `format = "http"`. The function may also return a
//! [`Result`]: with an error, the client gets the status 422 and the error's message.
//!
//! ```
//! use guest_sdk::function;
//! use guest_sdk::http::{Request, Response, escape, pairs};
//!
//! /// Greets the person whom the query names.
//! #[function]
//! fn greet(request: Request<'_>) -> Response {
//!     match pairs(request.query).find(|(key, _)| key == "name") {
//!         Some((_, name)) => Response::html(format!("<p>Hello, {}!", escape(&name))),
//!         None => Response::text("write ?name=").with_status(400),
//!     }
//! }
//!
//! // In a test it is a function like any other.
//! let response = greet(Request { method: "GET", path: "/", query: "name=%3CAda%3E", ..Request::default() });
//! assert_eq!((response.status, response.body), (200, b"<p>Hello, &lt;Ada&gt;!".to_vec()));
//! ```
#![expect(unsafe_code, reason = "arguments are addresses of memory that the host writes")]

mod stream;

use alloc::string::String;
use alloc::vec::Vec;

use guest_abi::column::Column;
use guest_abi::function::{Scalar, Type};
pub use guest_abi::http::{Header, Request, decode, pairs};

pub use stream::{ResponseStream, Streamed, read_body};

use crate::function::{ByteRows, Datum, DatumType, Output, Param};
use crate::{Error, ErrorCode, Result};

/// A response.
///
/// The host sets `content-length`. It refuses a response whose status is not from 200 to 599, or that has headers of the connection such
/// as `transfer-encoding`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// Names and values of the headers. A name may be there several times, such as `set-cookie`.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Response {
    /// A response with this status, without headers and body.
    #[must_use]
    pub const fn new(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new() }
    }

    /// A plain text, with the status 200.
    #[must_use]
    pub fn text(body: impl Into<String>) -> Self {
        Self::new(200).with_header("content-type", "text/plain; charset=utf-8").with_body(body.into())
    }

    /// A page of HTML, with the status 200. [Escape](escape) what others have written.
    #[must_use]
    pub fn html(body: impl Into<String>) -> Self {
        Self::new(200).with_header("content-type", "text/html; charset=utf-8").with_body(body.into())
    }

    /// JSON, with the status 200.
    #[must_use]
    pub fn json(body: impl Into<Vec<u8>>) -> Self {
        Self::new(200).with_header("content-type", "application/json").with_body(body)
    }

    /// Sends the client to another address, which it gets with the method GET: status 303.
    #[must_use]
    pub fn redirect(location: impl AsRef<[u8]>) -> Self {
        Self::new(303).with_header("location", location)
    }

    /// Sets the status.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// Adds a header.
    #[must_use]
    pub fn with_header(mut self, name: impl Into<String>, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.into(), value.as_ref().to_vec()));
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn with_body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// The value of the first header of this name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        let found = self.headers.iter().find(|(found, _)| found.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_slice())
    }
}

/// Its bytes in the contract.
impl From<Response> for Vec<u8> {
    fn from(response: Response) -> Self {
        let headers = response.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
        guest_abi::http::Response { status: response.status, headers, body: &response.body }.write()
    }
}

/// The text for a place in HTML, in an element or in quotes.
///
/// ```
/// assert_eq!(guest_sdk::http::escape("<a href='x'>"), "&lt;a href=&#39;x&#39;&gt;");
/// ```
#[must_use]
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

impl DatumType for Request<'_> {
    const TYPE: Type = Type::of(Scalar::Bytes);
    type First = u32;
    type Second = u32;
}

fn read(bytes: &[u8]) -> Result<Request<'_>> {
    let error = |error| Error::new(ErrorCode::Malformed, alloc::format!("the argument is not a request: {error}"));
    Request::read(bytes).map_err(error)
}

impl<'call> Param<'call> for Request<'call> {
    unsafe fn from_slots(address: u32, length: u32, _third: ()) -> Result<Self> {
        // SAFETY: the caller's promise.
        read(unsafe { Datum::from_slots(address, length) })
    }

    unsafe fn from_row(column: &Column, row: usize) -> Result<Self> {
        // SAFETY: the caller's promise.
        read(unsafe { Datum::from_row(column, row) })
    }

    fn null() -> Option<Self> {
        None
    }
}

impl Output for Response {
    const TYPE: Type = Type::of(Scalar::Bytes);
    type Slot = i64;
    type Rows = ByteRows;

    fn into_slot(self) -> Result<i64> {
        self.into_packed()
    }

    fn into_packed(self) -> Result<i64> {
        Vec::from(self).into_packed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_has_the_form_of_the_contract() {
        let response = Response::redirect("/x").with_header("Set-Cookie", "a=b").with_header("set-cookie", "c=d");
        let bytes = Vec::from(response.clone());
        let read = guest_abi::http::Response::read(&bytes);
        let headers = alloc::vec![("location", &b"/x"[..]), ("Set-Cookie", b"a=b"), ("set-cookie", b"c=d")];
        assert_eq!(read, Ok(guest_abi::http::Response { status: 303, headers, body: b"" }));
        assert_eq!(response.header("SET-COOKIE"), Some(&b"a=b"[..]));
        assert_eq!(Response::json("{}").header("content-type"), Some(&b"application/json"[..]));
    }

    #[test]
    fn what_is_no_request_is_an_error() {
        let bytes = Request { method: "GET", ..Request::default() }.write();
        assert_eq!(read(&bytes).map(|request| request.method), Ok("GET"));
        let error = read(&bytes[1..]).unwrap_err();
        assert_eq!(error.code(), ErrorCode::Malformed);
    }
}
