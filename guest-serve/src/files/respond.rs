//! Responses to requests for files.

use std::borrow::Cow;

use axum::body::Bytes;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Response, StatusCode};

use super::read::NOTHING;
use super::{File, StaticFiles};

/// The file that stands for its folder.
const INDEX: &str = "index.html";

impl StaticFiles {
    /// The response to a request for the path `rest`, which stands behind the mount of the guest; `None` if no file has
    /// it, or if the method is neither GET nor HEAD.
    ///
    /// `mount` is the guest's, for redirections to the path of a folder.
    #[must_use]
    pub fn respond(&self, method: &Method, mount: &str, rest: &str, headers: &HeaderMap) -> Option<Response<Bytes>> {
        if self.is_empty() || !matches!(*method, Method::GET | Method::HEAD) {
            return None;
        }
        let path = decoded(rest)?;
        if let Some(file) = self.by_path.get(&*path) {
            return Some(respond(file, method, headers));
        }
        if path.ends_with('/') {
            return self.by_path.get(&format!("{path}{INDEX}")).map(|file| respond(file, method, headers));
        }
        self.by_path.contains_key(&format!("{path}/{INDEX}")).then(|| redirect(mount, rest)).flatten()
    }
}

fn respond(file: &File, method: &Method, headers: &HeaderMap) -> Response<Bytes> {
    let is_known = is_known(headers, &file.etag);
    let mut response = Response::new(match is_known || method == Method::HEAD {
        true => NOTHING,
        false => file.contents.clone(),
    });
    let mut set = |name: HeaderName, value: HeaderValue| drop(response.headers_mut().insert(name, value));
    set(header::ETAG, file.etag.clone());
    // The next version may have another file: ask each time.
    set(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if !is_known {
        set(header::CONTENT_TYPE, HeaderValue::from_static(file.content_type));
        set(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        set(header::CONTENT_LENGTH, file.contents.len().into());
    }
    if is_known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    response
}

/// Sends the client to the path of the folder, so that relative links in its file work.
fn redirect(mount: &str, rest: &str) -> Option<Response<Bytes>> {
    let mount = if mount == "/" { "" } else { mount };
    let mut response = Response::new(NOTHING);
    *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
    let place = HeaderValue::from_str(&format!("{mount}{rest}/")).ok()?;
    response.headers_mut().insert(header::LOCATION, place);
    Some(response)
}

/// Whether the client has the file with this tag.
fn is_known(headers: &HeaderMap, etag: &HeaderValue) -> bool {
    let tags = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    tags.flat_map(|value| value.split(',')).map(str::trim).any(|tag| {
        let tag = tag.strip_prefix("W/").unwrap_or(tag);
        tag == "*" || tag.as_bytes() == etag.as_bytes()
    })
}

/// The path without percent signs; `None` if it stands for no name of a file.
fn decoded(path: &str) -> Option<Cow<'_, str>> {
    if !path.contains('%') {
        return Some(Cow::Borrowed(path));
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut bytes = path.bytes();
    let mut found = Vec::with_capacity(path.len());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            found.push(byte);
            continue;
        }
        match digit(bytes.next()?)? << 4 | digit(bytes.next()?)? {
            // An encoded slash does not divide a path, and no name has a null.
            0 | b'/' => return None,
            byte => found.push(byte),
        }
    }
    String::from_utf8(found).ok().map(Cow::Owned)
}
