//! Access to the administration: for programs that send the token, and browsers that gave it once.

use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::answer::Refusal;
use super::{Admin, page};

/// The cookie of a browser that gave the token.
const COOKIE: &str = "guest-serve";

/// Lets requests through that have the token, or the cookie of a browser that gave it.
pub(super) async fn check(State(admin): State<Admin>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    if let Some(given) = bearer(headers) {
        return match admin.token.is(given) {
            true => next.run(request).await,
            false => Refusal::WrongToken.into_response(),
        };
    }
    let is_known = cookies(headers).any(|given| admin.token.is_session(given));
    if !is_known {
        let path = request.uri().path();
        let is_page = request.method() == Method::GET && (path == "/" || path.starts_with("/guests/"));
        return if is_page { page::login(None) } else { Refusal::NoToken.into_response() };
    }
    // Browsers send the cookie with requests of pages on other ports of this host, too, such as those of guests.
    if !request.method().is_safe() && !is_same_origin(headers) {
        return Refusal::OtherSite.into_response();
    }
    next.run(request).await
}

/// The token of a program.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("Bearer").then(|| token.trim())
}

/// The values of our cookie. There may be several, of which other programs on this host set some.
fn cookies(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = all.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.filter(|(name, _)| *name == COOKIE).map(|(_, value)| value)
}

/// Whether a page of this very listener sent the request.
fn is_same_origin(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let origin = text(header::ORIGIN).and_then(|origin| origin.split_once("://"));
    match (origin, text(header::HOST)) {
        (Some((_, origin)), Some(host)) => origin.eq_ignore_ascii_case(host),
        _ => false,
    }
}

/// Takes the token from the form of the page.
pub(super) async fn login(State(admin): State<Admin>, body: Bytes) -> Response {
    let body = String::from_utf8_lossy(&body);
    let given = body.split('&').find_map(|field| field.strip_prefix("token=")).unwrap_or_default();
    // Browsers write a space as a plus. Tokens that are made need no decoding; others may.
    let Some(given) = decoded(given.trim_matches('+')).filter(|given| admin.token.is(given.trim())) else {
        return page::login(Some(&Refusal::WrongToken.to_string()));
    };
    drop(given);
    let cookie = format!("{COOKIE}={}; Path=/; HttpOnly; SameSite=Strict", admin.token.session());
    to_start(&cookie)
}

/// Has the browser forget that it gave the token.
pub(super) async fn logout() -> Response {
    to_start(&format!("{COOKIE}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0"))
}

fn to_start(cookie: &str) -> Response {
    let start = HeaderValue::from_static("/");
    // All of its characters are of ASCII.
    let cookie = HeaderValue::from_str(cookie).unwrap_or(HeaderValue::from_static(""));
    (StatusCode::SEE_OTHER, [(header::LOCATION, start), (header::SET_COOKIE, cookie)]).into_response()
}

/// A value of a form without its percent signs.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(header::HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap())).collect()
    }

    #[test]
    fn tokens_and_cookies_are_found() {
        let authorization = |value: &str| bearer(&headers(&[(header::AUTHORIZATION, value)])).map(str::to_owned);
        assert_eq!(authorization("Bearer abc"), Some("abc".to_owned()));
        assert_eq!(authorization("bearer  abc"), Some("abc".to_owned()));
        assert_eq!((authorization("Basic abc"), authorization("abc")), (None, None));
        let found =
            headers(&[(header::COOKIE, "a=b; guest-serve=1; guest-serve=2"), (header::COOKIE, "guest-serve=3")]);
        // The map has one value for each name that is collected so.
        assert!(cookies(&found).count() >= 1);
        assert_eq!(cookies(&headers(&[(header::COOKIE, "x-guest-serve=1; guest-serve")])).count(), 0);
    }

    #[test]
    fn requests_of_other_pages_are_known() {
        let host = (header::HOST, "127.0.0.1:8081");
        let of = |origin: &str| is_same_origin(&headers(&[host.clone(), (header::ORIGIN, origin)]));
        assert!(of("http://127.0.0.1:8081"));
        assert!(!of("http://127.0.0.1:8080") && !of("http://evil.example") && !of("null"));
        assert!(!is_same_origin(&headers(&[host])) && !is_same_origin(&HeaderMap::new()));
    }

    #[test]
    fn values_of_forms_are_decoded() {
        assert_eq!(decoded("a%2Bb"), Some("a+b".to_owned()));
        assert_eq!((decoded("%"), decoded("%4"), decoded("%zz"), decoded("%ff")), (None, None, None, None));
    }
}
