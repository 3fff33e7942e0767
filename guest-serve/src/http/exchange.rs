//! Requests for functions that give responses of their own, and these responses.

use axum::body::Bytes;
use guest_abi::http::{self, Header};
use guest_host::text::printable_within;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};

use super::Peer;
use super::refusal::Refusal;

/// Headers of a response, at most.
const MOST_HEADERS: usize = 64;

/// Bytes of the names and values of a response's headers, at most.
const MOST_HEADER_BYTES: usize = 16 << 10;

/// Headers of a connection, which belongs to the server.
const OF_CONNECTION: [HeaderName; 7] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Characters of a name in an error.
const LONGEST_NAME: usize = 100;

/// Where a request goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target<'a> {
    /// The mount of the guest.
    pub(super) mount: &'a str,
    /// The part of the path behind it.
    pub(super) rest: &'a str,
    /// The key of the tenant.
    pub(super) tenant: &'a str,
}

/// The bytes of a request, as its function gets it.
pub(super) fn write(request: &Request<Incoming>, target: Target<'_>, body: &[u8]) -> Vec<u8> {
    let headers = request.headers().iter().filter(|(name, _)| !OF_CONNECTION.contains(name));
    let peer = request.extensions().get::<Peer>().map(|peer| peer.address.to_string());
    let request = http::Request {
        method: request.method().as_str(),
        mount: if target.mount == "/" { "" } else { target.mount },
        path: if target.rest.is_empty() { "/" } else { target.rest },
        query: request.uri().query().unwrap_or_default(),
        tenant: target.tenant,
        peer: peer.as_deref().unwrap_or_default(),
        headers: headers.map(|(name, value)| (name.as_str(), value.as_bytes())).collect(),
        body,
    };
    request.write()
}

/// The response of a function, whose body has at most `most` bytes.
pub(crate) fn read(bytes: Vec<u8>, method: &Method, most: usize) -> Result<Response<Full<Bytes>>, Refusal> {
    let bytes = Bytes::from(bytes);
    let found = http::Response::read(&bytes).map_err(|error| Refusal::Response(error.to_string()))?;
    if found.body.len() > most {
        return Err(Refusal::ResponseTooLarge { bytes: found.body.len(), most });
    }
    let length = match *method == Method::HEAD && found.body.is_empty() {
        true => Length::Unsaid,
        false => Length::Is(found.body.len()),
    };
    let head = head(&found, length).map_err(Refusal::Response)?;
    Ok(head.map(|()| Full::new(bytes.slice_ref(found.body))))
}

/// The length of a body.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Length {
    Is(usize),
    /// It is that of a body that is not sent.
    Unsaid,
    /// Nobody knows it yet.
    Unknown,
}

/// The response with its status and headers, if HTTP has them.
pub(crate) fn head(found: &http::Response<'_>, length: Length) -> Result<Response<()>, String> {
    let mut response = Response::new(());
    *response.status_mut() = status(found)?;
    check_size(&found.headers)?;
    for header in &found.headers {
        let (name, value) = self::header(header)?;
        if name == header::CONTENT_LENGTH {
            check_length(&value, length)?;
            response.headers_mut().insert(name, value);
        } else {
            response.headers_mut().append(name, value);
        }
    }
    Ok(response)
}

fn check_length(value: &HeaderValue, length: Length) -> Result<(), String> {
    let said = value.to_str().ok().and_then(|text| text.parse::<usize>().ok());
    match (said, length) {
        (Some(said), Length::Is(length)) if said == length => Ok(()),
        (Some(_), Length::Unsaid) => Ok(()),
        (_, Length::Unknown) => {
            Err("it has the header `content-length`, and its body is still to come; leave it out".to_owned())
        }
        (_, Length::Is(length)) => {
            Err(format!("its header `content-length` is not {length}, as many bytes as its body has; leave it out"))
        }
        (None, Length::Unsaid) => Err("its header `content-length` is no number; leave it out".to_owned()),
    }
}

/// Whether responses of this status have no body.
pub(crate) fn is_without_body(status: StatusCode) -> bool {
    [StatusCode::NO_CONTENT, StatusCode::RESET_CONTENT, StatusCode::NOT_MODIFIED].contains(&status)
}

fn status(response: &http::Response<'_>) -> Result<StatusCode, String> {
    let number = response.status;
    let status = StatusCode::from_u16(number).ok().filter(|_| (200..=599).contains(&number));
    let status = status.ok_or_else(|| format!("its status {number} is not from 200 to 599"))?;
    match response.body.len() {
        bytes @ 1.. if is_without_body(status) => {
            Err(format!("with the status {number} it has no body, and this has {bytes} bytes"))
        }
        _ => Ok(status),
    }
}

fn check_size(headers: &[Header<'_>]) -> Result<(), String> {
    let count = headers.len();
    if count > MOST_HEADERS {
        return Err(format!("it has {count} headers, and may have {MOST_HEADERS}"));
    }
    match headers.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() {
        bytes if bytes > MOST_HEADER_BYTES => {
            Err(format!("its headers have {bytes} bytes, and may have {MOST_HEADER_BYTES}"))
        }
        _ => Ok(()),
    }
}

fn header(&(name, value): &Header<'_>) -> Result<(HeaderName, HeaderValue), String> {
    let shown = || printable_within(name, LONGEST_NAME);
    let known =
        HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("`{}` is not the name of a header", shown()))?;
    if OF_CONNECTION.contains(&known) {
        return Err(format!("the header `{known}` is of the connection, which is the server's; leave it out"));
    }
    let value = HeaderValue::from_bytes(value);
    let value = value.map_err(|_| {
        format!("the value of its header `{known}` has a line break or another character that HTTP has not")
    });
    Ok((known, value?))
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    fn read_written(status: u16, headers: &[Header<'_>], body: &[u8]) -> Result<Response<Full<Bytes>>, String> {
        let bytes = http::Response { status, headers: headers.to_vec(), body }.write();
        read(bytes, &Method::GET, 10).map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn a_response_is_taken_as_it_is() {
        let headers: [Header<'_>; 4] =
            [("Set-Cookie", b"a=b"), ("set-cookie", b"c=d"), ("x-note", b"caf\xE9"), ("Content-Length", b"4")];
        let response = read_written(404, &headers, b"body").unwrap();
        assert_eq!(response.status(), StatusCode::NOT_FOUND);
        let cookies: Vec<_> = response.headers().get_all("set-cookie").iter().collect();
        assert_eq!(cookies, ["a=b", "c=d"]);
        assert_eq!((response.headers()["content-length"].as_bytes(), response.headers().len()), (&b"4"[..], 4));
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "body");
        for status in [200, 204, 205, 304, 599] {
            assert_eq!(read_written(status, &[], b"").unwrap().status().as_u16(), status);
        }
    }

    #[test]
    fn what_http_does_not_have_is_refused() {
        let refused = |status, headers: &[Header<'_>], body: &[u8], reason: &str| {
            let error = read_written(status, headers, body).map(|response| response.status()).unwrap_err();
            assert!(error.contains(reason), "{error}");
        };
        for status in [0, 100, 101, 199, 600, 1000, u16::MAX] {
            refused(status, &[], b"", "is not from 200 to 599");
        }
        for status in [204, 205, 304] {
            refused(status, &[], b"x", "it has no body, and this has 1 bytes");
        }
        for name in ["", "a b", "a\r\nb", "a:", "\u{e9}", "\0"] {
            refused(200, &[(name, b"")], b"", "is not the name of a header");
        }
        for value in [&b"a\r\nset-cookie: b"[..], b"\n", b"\r", b"\0", b"\x7F"] {
            refused(200, &[("x", value)], b"", "the value of its header `x` has a line break");
        }
        for name in ["Connection", "keep-alive", "Proxy-Connection", "TE", "trailer", "Transfer-Encoding", "upgrade"] {
            refused(200, &[(name, b"x")], b"", "is of the connection");
        }
        for length in [&b"3"[..], b"", b"-4", b"4, 4", b"+4x"] {
            refused(200, &[("content-length", length)], b"body", "`content-length` is not 4");
        }
        refused(200, &[("a", &b"b"[..]); 65], b"", "it has 65 headers, and may have 64");
        refused(200, &[("a", &[b'b'; 16 << 10])], b"", "its headers have 16385 bytes, and may have 16384");
        assert!(read_written(200, &[("a", &[b'b'; (16 << 10) - 1])], b"").is_ok());
        assert!(read_written(200, &[("a", &b"b"[..]); 64], b"0123456789").is_ok());
        refused(200, &[], b"01234567890", "11 bytes, and a response may have 10");
        assert!(matches!(read(b"\xA0".to_vec(), &Method::GET, 10), Err(Refusal::Response(_))));
    }

    #[test]
    fn a_response_to_head_may_have_the_length_without_the_body() {
        let bytes = http::Response { status: 200, headers: vec![("content-length", b"7")], body: b"" }.write();
        let response = read(bytes.clone(), &Method::HEAD, 10).unwrap();
        assert_eq!(response.headers()["content-length"], "7");
        assert!(read(bytes, &Method::GET, 10).is_err());
    }
}
