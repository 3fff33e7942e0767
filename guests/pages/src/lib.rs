//! Pages over HTTP: a form, a page behind a key, and a text in capital letters that may be larger than memory.

use guest_sdk::http::{Request, Response, Streamed, escape, pairs, read_body};
use guest_sdk::{Level, function, log};

/// The name of the secret that opens [`private`].
const KEY: &str = "API_KEY";

/// Greets the person who fills in the form.
#[function]
fn greet(request: Request<'_>) -> Response {
    let sent = std::str::from_utf8(request.body).unwrap_or_default();
    let name = pairs(sent).find(|(field, _)| field == "name").map(|(_, name)| name);
    let greeting = match name.as_deref().map(str::trim) {
        None | Some("") => String::new(),
        // Text of others is escaped.
        Some(name) => format!("<p>Hello, {}!</p>", escape(name)),
    };
    let action = escape(&format!("{}/", request.mount));
    Response::html(format!(
        "<!doctype html><title>Greetings</title>{greeting}\
         <form method=post action=\"{action}\"><label>Your name: <input name=name></label> <button>Greet me</button></form>"
    ))
}

/// A page for those who know the key.
#[function]
fn private(request: Request<'_>) -> Response {
    let given = request.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
    match (given, guest_sdk::secret(KEY)) {
        (_, None) => Response::text("no key is set").with_status(503),
        (Some(given), Some(key)) if is_same(given, &key) => Response::text(format!("welcome, {}", request.tenant)),
        _ => {
            log(Level::Warn, "a request without the key");
            Response::text("who are you?").with_status(401).with_header("www-authenticate", "Bearer")
        }
    }
}

/// Whether both are the same. It takes as long wherever they differ, so that nobody learns a key by the time.
fn is_same(given: &str, key: &str) -> bool {
    let differ = given.bytes().zip(key.bytes()).fold(0, |differ, (one, other)| differ | (one ^ other));
    given.len() == key.len() && differ == 0
}

/// Gives the body back in capital letters.
#[function]
fn shout(request: Request<'_>) -> Streamed {
    if request.header("content-type").is_some_and(|kind| !kind.starts_with("text/")) {
        return Response::text("send a text").with_status(415).into();
    }
    let mut response = Response::text("").begin();
    let mut buffer = vec![0; 16 << 10];
    loop {
        match read_body(&mut buffer) {
            0 => return response.end(),
            length => {
                buffer[..length].make_ascii_uppercase();
                response.write(&buffer[..length]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(response: &Response) -> &str {
        std::str::from_utf8(&response.body).unwrap()
    }

    #[test]
    fn a_name_is_greeted_and_cannot_be_a_script() {
        let page = greet(Request { method: "GET", mount: "/pages", path: "/", ..Request::default() });
        assert!(!text(&page).contains("Hello") && text(&page).contains("action=\"/pages/\""));
        let page = greet(Request { method: "POST", body: b"name=%3Cscript%3E+", ..Request::default() });
        assert!(text(&page).contains("Hello, &lt;script&gt;!"), "{}", text(&page));
    }

    #[test]
    fn a_page_opens_with_its_key_alone() {
        let with = |value: &'static [u8]| {
            private(Request { headers: vec![("authorization", value)], tenant: "blue", ..Request::default() })
        };
        assert_eq!(with(b"Bearer swordfish").status, 503);
        guest_sdk::testing::set_secret(KEY, "swordfish");
        assert_eq!((with(b"Bearer sword").status, with(b"swordfish").status), (401, 401));
        assert_eq!(text(&with(b"Bearer swordfish")), "welcome, blue");
        assert_eq!(private(Request::default()).status, 401);
    }

    #[test]
    fn a_text_comes_back_in_capital_letters() {
        guest_sdk::testing::set_stream("x".repeat(100_000));
        let _ = shout(Request::default());
        let written = guest_sdk::testing::take_stream();
        assert!(written.ends_with("X".repeat(100_000).as_bytes()));
        let _ = shout(Request { headers: vec![("content-type", b"image/png")], ..Request::default() });
        assert!(guest_sdk::testing::take_stream().is_empty(), "it gave a whole response");
    }
}
