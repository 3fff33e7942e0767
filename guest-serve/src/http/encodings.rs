//! Which encoding a request has, and which its response.

use guest_functions::wire::Encoding;
use hyper::HeaderMap;
use hyper::header::{ACCEPT, CONTENT_TYPE};

use super::refusal::Refusal;

/// The encoding of a body.
pub(super) fn of_body(headers: &HeaderMap) -> Result<Encoding, Refusal> {
    let Some(found) = headers.get(CONTENT_TYPE) else { return Ok(Encoding::Json) };
    let text = found.to_str().unwrap_or_default();
    let media_type = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match media_type.as_str() {
        "application/cbor" => Ok(Encoding::Cbor),
        // The second is that of `curl --data` where nobody says another.
        "" | "application/x-www-form-urlencoded" | "application/json" | "text/json" => Ok(Encoding::Json),
        other if other.ends_with("+json") => Ok(Encoding::Json),
        _ => Err(Refusal::MediaType(guest_host::text::printable_within(text, 100).into_owned())),
    }
}

/// The encoding that a response should have: that of the request where the client accepts both alike, or neither.
pub(super) fn of_response(headers: &HeaderMap, of_request: Encoding) -> Encoding {
    let mut json = None;
    let mut cbor = None;
    for range in headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).flat_map(|text| text.split(','))
    {
        let mut parts = range.split(';').map(str::trim);
        let media_range = parts.next().unwrap_or_default();
        let weight = parts.find_map(|part| part.strip_prefix("q=")).map_or(1.0, |q| q.parse().unwrap_or(0.0_f32));
        // The more exact range counts: 2 for the type itself, 1 and 0 for those with `*`.
        let set = |found: &mut Option<(u8, f32)>, name: &str| {
            let exactness = match media_range {
                exact if exact.eq_ignore_ascii_case(name) => 2,
                "application/*" => 1,
                "*/*" => 0,
                _ => return,
            };
            if found.is_none_or(|(before, _)| before <= exactness) {
                *found = Some((exactness, weight));
            }
        };
        set(&mut json, Encoding::Json.media_type());
        set(&mut cbor, Encoding::Cbor.media_type());
    }
    let weight = |found: Option<(u8, f32)>| found.map_or(0.0, |(_, weight)| weight);
    match (weight(json), weight(cbor)) {
        (json, cbor) if json > cbor => Encoding::Json,
        (json, cbor) if cbor > json => Encoding::Cbor,
        _ => of_request,
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    #[test]
    fn the_type_of_a_body_is_known() {
        let read = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(text));
            of_body(&headers)
        };
        for json in ["application/json", "Application/JSON; charset=utf-8", "application/problem+json"] {
            assert_eq!(read(json).unwrap(), Encoding::Json, "{json}");
        }
        assert_eq!(read("application/x-www-form-urlencoded").unwrap(), Encoding::Json);
        assert_eq!(read("application/cbor").unwrap(), Encoding::Cbor);
        assert_eq!(of_body(&HeaderMap::new()).unwrap(), Encoding::Json);
        for other in ["text/html", "image/png", "application/cbor-seq"] {
            assert!(matches!(read(other), Err(Refusal::MediaType(_))), "{other}");
        }
    }

    #[test]
    fn the_client_chooses_the_encoding_of_the_response() {
        use Encoding::{Cbor, Json};
        for (accept, of_request, expected) in [
            ("*/*", Json, Json),
            ("*/*", Cbor, Cbor),
            ("application/cbor", Json, Cbor),
            ("application/json", Cbor, Json),
            ("application/json;q=0.5, application/cbor", Json, Cbor),
            ("application/json, application/cbor; q=0.9", Cbor, Json),
            ("application/cbor;q=0, */*", Cbor, Json),
            ("application/json, application/cbor", Cbor, Cbor),
            ("text/html, application/*;q=0.1", Cbor, Cbor),
            ("text/html", Json, Json),
            ("", Cbor, Cbor),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, HeaderValue::from_static(accept));
            assert_eq!(of_response(&headers, of_request), expected, "{accept}");
        }
        assert_eq!(of_response(&HeaderMap::new(), Cbor), Cbor);
    }
}
