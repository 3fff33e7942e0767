//! The sample guest of HTTP functions, as a client has it.

use std::fs;
use std::path::Path;

use crate::client::Client;
use crate::guests::Guests;
use crate::process::{Request, Server};

/// The sample guest's configuration, as the book has it.
const CONFIG: &str = r#"secrets = ["API_KEY"]

[[routes]]
method = "GET"
path = "/"
function = "greet"
format = "http"

[[routes]]
method = "POST"
path = "/"
function = "greet"
format = "http"

[[routes]]
method = "GET"
path = "/private/{tenant}"
function = "private"
format = "http"

[[routes]]
method = "POST"
path = "/shout"
function = "shout"
format = "http"
stream = true

[limits]
memory = "1MiB"
body = "64MiB"
response = "64MiB"
"#;

fn guest() -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/guests/pages-freelist.wasm");
    fs::read(&path).unwrap_or_else(|error| {
        panic!("the guest {} is missing ({error}): run `cargo xtask guests` first", path.display())
    })
}

fn served() -> (Guests, Server) {
    let guests = Guests::new();
    guests.write("pages", "pages.wasm", guest());
    guests.write("pages", "guest.toml", CONFIG);
    fs::write(guests.path().join("secrets.toml"), "[pages]\nAPI_KEY = \"swordfish\"\n").unwrap();
    let server = Server::start(guests.path(), &["--threads=1"]);
    server.wait_for("pages", |guest| !guest["deployment"].is_null());
    (guests, server)
}

#[test]
fn the_book_has_this_configuration() {
    let page = include_str!("../../../docs/src/serve/http.md");
    assert!(page.contains(CONFIG));
}

#[test]
fn a_form_is_shown_sent_and_answered() {
    let (_guests, server) = served();
    let page = Request::new("GET", "/pages").ask(server.address);
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert!(page.text().contains("<form method=post action=\"/pages/\">"), "{}", page.text());
    let mut client = Client::new(server.address);
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let page = client.send("POST", "/pages/", form, "name=Ada+%3Cb%3E").receive().unwrap();
    assert!(page.text().contains("<p>Hello, Ada &lt;b&gt;!</p>"), "{}", page.text());
    // A body that is not streamed has to fit the guest's memory, whatever `body` is.
    let refused = client.send("POST", "/pages/", form, "x".repeat(300_000)).receive().unwrap();
    let (kind, message) = refused.error();
    assert_eq!((refused.status, kind.as_str()), (413, "arguments-too-large"));
    assert!(message.contains("room for 262144: four times `body`, and at most a quarter of `memory`"), "{message}");
}

#[test]
fn a_page_opens_with_a_secret_and_a_changed_secret_opens_it_too() {
    let (guests, server) = served();
    let ask = |key: &str| {
        Request::new("GET", "/pages/private/blue").header("Authorization", format!("Bearer {key}")).ask(server.address)
    };
    assert_eq!((ask("swordfish").status, ask("swordfish").text()), (200, "welcome, blue"));
    let refused = ask("sword");
    assert_eq!((refused.status, refused.header("www-authenticate")), (401, Some("Bearer")));
    // The guest wrote about it.
    let log = guests.path().join(".serve/logs/pages");
    server.wait_for("pages", |_| {
        let lines = fs::read_to_string(&log).unwrap_or_default();
        lines.contains("\"tenant\":\"blue\"") && lines.contains("a request without the key")
    });
    fs::write(guests.path().join("secrets.toml"), "[pages]\nAPI_KEY = \"other\"\n").unwrap();
    server.wait_for("pages", |_| ask("other").status == 200);
    assert_eq!(ask("swordfish").status, 401);
}

#[test]
fn a_text_that_is_larger_than_memory_comes_back_in_capital_letters() {
    let (_guests, server) = served();
    let text = "a text of some length\n".repeat(200_000);
    let length = text.len();
    let head =
        format!("POST /pages/shout HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n");
    let client = Client::new(server.address);
    let mut sender = client.stream().try_clone().unwrap();
    let upper = text.to_ascii_uppercase();
    let sent = std::thread::spawn(move || {
        use std::io::Write as _;
        sender.write_all(head.as_bytes()).and_then(|()| sender.write_all(text.as_bytes())).unwrap();
    });
    let mut response = Vec::new();
    std::io::Read::read_to_end(&mut client.into_reader(), &mut response).unwrap();
    sent.join().unwrap();
    let end = response.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap();
    let (mut chunks, mut body) = (&response[end + 4..], Vec::new());
    while let Some(line) = chunks.windows(2).position(|bytes| bytes == b"\r\n") {
        let length = usize::from_str_radix(std::str::from_utf8(&chunks[..line]).unwrap(), 16).unwrap();
        body.extend_from_slice(&chunks[line + 2..line + 2 + length]);
        chunks = &chunks[line + 4 + length..];
    }
    assert!(body == upper.as_bytes(), "{} bytes of {length}", body.len());
}
