use alloc::string::ToString as _;
use alloc::vec;

use super::*;

fn request() -> Request<'static> {
    Request {
        method: "POST",
        mount: "/pages",
        path: "/a%20b",
        query: "x=1",
        tenant: "blue",
        peer: "127.0.0.1:4000",
        headers: vec![("host", b"x"), ("cookie", b"a"), ("cookie", b"\xFF")],
        body: b"body",
    }
}

#[test]
fn what_is_written_is_read_and_every_cut_is_found() {
    let bytes = request().write();
    assert_eq!(Request::read(&bytes), Ok(request()));
    let response = Response { status: 404, headers: vec![("set-cookie", b"a=b"), ("x", b"")], body: b"\0" };
    let written = response.write();
    assert_eq!(Response::read(&written), Ok(response));
    for end in 0..bytes.len() {
        assert_eq!(Request::read(&bytes[..end]), Err(HttpError::Wire(WireError::Truncated)), "{end}");
    }
    for end in 0..written.len() {
        assert_eq!(Response::read(&written[..end]), Err(HttpError::Wire(WireError::Truncated)), "{end}");
    }
}

#[test]
fn a_header_is_found_by_name() {
    let request = request();
    assert_eq!(
        (request.header("cookie"), request.header("Host"), request.header("host")),
        (Some("a"), None, Some("x"))
    );
}

#[test]
fn texts_serve_as_bytes_and_maps_may_be_of_indefinite_length() {
    let bytes = b"\xBF\x64body\x62hi\x67headers\x9F\x82\x61a\x61b\x82\x61c\x41d\xFF\x66status\x18\xC9\xFF";
    let expected = Response { status: 201, headers: vec![("a", b"b"), ("c", b"d")], body: b"hi" };
    assert_eq!(Response::read(bytes), Ok(expected));
    let least = b"\xA1\x66status\x18\xCC";
    assert_eq!(Response::read(least), Ok(Response { status: 204, headers: vec![], body: b"" }));
}

#[test]
fn what_is_no_response_has_its_fault_told() {
    for (bytes, message) in [
        (&b""[..], "the CBOR ends in the middle of an item"),
        (b"\x01", "a CBOR item that the value model does not have at byte 0"),
        (b"\xA0", "the field `status` is missing"),
        (b"\xA1\x66status\xF6", "a CBOR item that the value model does not have at byte 8"),
        (b"\xA1\x66status\x18\xC8\x00", "there are bytes behind the map, at byte 10"),
        (b"\xA1\x66status\x63200", "the field `status` must be an integer from 200 to 599"),
        (b"\xA1\x66status\x20", "the field `status` must be an integer from 200 to 599"),
        (b"\xA1\x66status\x1A\x00\x01\x00\xC8", "the field `status` must be an integer from 200 to 599"),
        (b"\xA2\x66status\x18\xC8\x64body\x01", "the field `body` must be bytes or text"),
        (
            b"\xA2\x66status\x18\xC8\x67headers\x81\x61a",
            "the field `headers` must be an array of arrays of a text, and a text or bytes",
        ),
        (
            b"\xA2\x66status\x18\xC8\x67headers\x81\x83\x61a\x61b\x61c",
            "the field `headers` must be an array of arrays of a text, and a text or bytes",
        ),
        (
            b"\xA2\x66status\x18\xC8\x64kind\x01",
            "there is a field twice, or one that is none of `status`, `headers`, `body`",
        ),
        (
            b"\xA2\x66status\x18\xC8\x66status\x18\xC8",
            "there is a field twice, or one that is none of `status`, `headers`, `body`",
        ),
    ] {
        assert_eq!(Response::read(bytes).unwrap_err().to_string(), message, "{bytes:?}");
    }
    let error = Request::read(b"\xA1\x66method\x63GET").unwrap_err().to_string();
    assert_eq!(error, "the field `mount` is missing");
    let error = Request::read(b"\xA1\x66method\x01").unwrap_err().to_string();
    assert_eq!(error, "the field `method` must be text");
}
