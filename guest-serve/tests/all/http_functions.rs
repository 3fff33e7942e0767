//! Functions that get requests and give responses.

use guest_abi::http::{Request, Response};
use guest_serve::deployment::{Deployment, Loader};
use guest_serve::folder::GuestFolder;
use guest_serve::monitor::Monitor;

use crate::guests::{GCD, GCD_ROUTE, Guests, http};
use crate::server::Server;

/// Routes with `format = "http"`, by their methods, paths and functions.
fn routes(routes: &[(&str, &str, &str)]) -> String {
    let route = |(method, path, function): &(&str, &str, &str)| {
        format!("[[routes]]\nmethod = \"{method}\"\npath = \"{path}\"\nfunction = \"{function}\"\nformat = \"http\"\n")
    };
    routes.iter().map(route).collect()
}

/// A body for which `reply` gives this response.
fn answer(status: u16, headers: &[(&str, &[u8])], body: &[u8]) -> Vec<u8> {
    [b"@@", Response { status, headers: headers.to_vec(), body }.write().as_slice()].concat()
}

#[test]
fn a_function_gets_the_whole_request() {
    let config = routes(&[("PUT", "/{tenant}/{*rest}", "mirror"), ("GET", "/bare", "mirror")]);
    let server = Server::with("site", &config, &http());
    let mut client = server.client();
    let headers = "X-Note: caf\u{e9}\r\nCookie: a=b\r\nCookie: c=d\r\nTE: trailers\r\nConnection: keep-alive\r\n";
    let response = client.send("PUT", "/site/bl%20ue/a%2Fb/?x=1&y=%20", headers, b"\0body").receive().unwrap();
    assert_eq!((response.status, response.header("content-type")), (200, None));
    let found = Request::read(&response.body).unwrap();
    assert_eq!((found.method, found.mount, found.path), ("PUT", "/site", "/bl%20ue/a%2Fb/"));
    assert_eq!((found.query, found.tenant, found.body), ("x=1&y=%20", "bl ue", &b"\0body"[..]));
    assert_eq!(found.peer, client.stream().local_addr().unwrap().to_string());
    let names: Vec<&str> = found.headers.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["host", "content-length", "x-note", "cookie", "cookie"]);
    assert_eq!((found.header("x-note"), found.header("cookie")), (Some("caf\u{e9}"), Some("a=b")));

    let response = client.send("GET", "/site/bare", "", b"").receive().unwrap();
    let found = Request::read(&response.body).unwrap();
    assert_eq!((found.path, found.query, found.tenant, found.body), ("/bare", "", "site", &b""[..]));
}

#[test]
fn a_mount_at_the_root_has_an_empty_name() {
    let config = format!("mount = \"/\"\n{}", routes(&[("GET", "/{*rest}", "mirror")]));
    let server = Server::with("site", &config, &http());
    for path in ["/", "/a", "/a/b/"] {
        let response = server.client().send("GET", path, "", b"").receive().unwrap();
        let found = Request::read(&response.body).unwrap();
        assert_eq!((found.mount, found.path), ("", path));
    }
}

#[test]
fn a_client_gets_the_response_of_the_function() {
    let server = Server::with("site", &routes(&[("POST", "/", "reply"), ("GET", "/", "reply")]), &http());
    let mut client = server.client();
    let cookies: [(&str, &[u8]); 3] = [("Set-Cookie", b"a=b"), ("set-cookie", b"c=d"), ("Content-Type", b"text/x")];
    let response = client.send("POST", "/site", "", answer(404, &cookies, b"no such page")).receive().unwrap();
    assert_eq!((response.status, response.text()), (404, "no such page"));
    assert_eq!((response.header("content-type"), response.headers("set-cookie")), (Some("text/x"), vec!["a=b", "c=d"]));
    for status in [204, 304] {
        let response = client.send("POST", "/site", "", answer(status, &[("etag", b"\"1\"")], b"")).receive().unwrap();
        assert_eq!((response.status, response.header("etag"), response.body.len()), (status, Some("\"1\""), 0));
    }
    // The function gives a body for HEAD as well; the client gets its length alone.
    client.send("HEAD", "/site", "", answer(200, &[], b"twelve bytes"));
    let head = client.head();
    assert!(head.starts_with("HTTP/1.1 200 ") && head.contains("content-length: 12\r\n"), "{head}");
    let response = client.send("POST", "/site", "", answer(200, &[], b"the connection goes on")).receive().unwrap();
    assert_eq!(response.text(), "the connection goes on");
    let counts = server.counts("site");
    assert_eq!((counts.calls(), counts.refused(), counts.failed()), (5, 1, 0));
}

#[test]
fn a_response_that_http_does_not_have_is_an_error_of_the_guest() {
    let config = format!("{}[limits]\nresponse = \"10B\"\n", routes(&[("POST", "/", "reply")]));
    let server = Server::with("site", &config, &http());
    let mut client = server.client();
    for (body, kind, message) in [
        (answer(200, &[("x", b"a\r\nset-cookie: b")], b""), "invalid-response", "the value of its header `x`"),
        (answer(200, &[("Transfer-Encoding", b"chunked")], b""), "invalid-response", "`transfer-encoding`"),
        (answer(101, &[], b""), "invalid-response", "its status 101"),
        (answer(204, &[], b"x"), "invalid-response", "it has no body"),
        (b"@@\x01".to_vec(), "invalid-response", "a CBOR item that the value model does not have at byte 0"),
        (b"@@".to_vec(), "invalid-response", "the CBOR ends in the middle of an item"),
        (answer(200, &[], b"eleven byte"), "response-too-large", "11 bytes, and a response may have 10"),
    ] {
        let response = client.send("POST", "/site", "", body).receive().unwrap();
        let (found, text) = response.error();
        assert_eq!((response.status, found.as_str()), (500, kind), "{text}");
        assert!(text.contains(message), "{text}");
        assert_eq!(response.header("set-cookie"), None);
    }
    assert_eq!(
        client.send("POST", "/site", "", answer(200, &[], b"ten bytes!")).receive().unwrap().text(),
        "ten bytes!"
    );
    assert_eq!(server.counts("site").failed(), 7);
}

#[test]
fn the_most_exact_route_serves() {
    let paths = ["/{*rest}", "/a/{*rest}", "/a/{tenant}", "/a/b", "/{tenant}/x/{*rest}"];
    let config: String = paths
        .iter()
        .enumerate()
        .map(|(at, path)| format!("[[routes]]\npath = \"{path}\"\nfunction = \"f{at}\"\n"))
        .collect();
    let functions: String =
        (0..paths.len()).map(|at| format!("(func (export \"f{at}\") (result i32) (i32.const {at}))")).collect();
    let server = Server::with("site", &config, &format!("(module {functions})"));
    let mut client = server.client();
    for (path, route) in [
        ("/site", "0"),
        ("/site/", "0"),
        ("/site/b", "0"),
        ("/site/b/c/d", "0"),
        ("/site/a", "1"),
        ("/site/a/", "1"),
        ("/site/a/c/d", "1"),
        ("/site/a/c", "2"),
        ("/site/a/b", "3"),
        ("/site/a/b/", "1"),
        ("/site/b/x", "4"),
        ("/site/b/x/y", "4"),
    ] {
        assert_eq!(client.post(path, "").result(), route, "{path}");
    }
}

#[test]
fn a_function_of_other_types_is_refused_with_its_place() {
    let guests = Guests::new();
    guests.put("numbers", &format!("{GCD_ROUTE}format = \"http\"\n"), GCD);
    let (monitor, _writer) = Monitor::start(guests.path(), 1 << 20).unwrap();
    let loader = Loader::new(test_support::compiled::engine(), monitor);
    let folder = GuestFolder::open(guests.path()).unwrap();
    let files = folder.read(&"numbers".parse().unwrap(), &folder.secrets().unwrap()).unwrap();
    let error = Deployment::load(&loader, files).unwrap_err().to_string();
    assert!(error.starts_with("numbers/guest.toml:3:12: `gcd("), "{error}");
    assert!(
        error.contains("is not a function for `format = \"http\"`: it must take bytes and return bytes"),
        "{error}"
    );
}
