//! Requests, and the status that each gets.

use crate::guests::{GCD, GCD_ROUTE, TYPED_ROUTES, typed};
use crate::server::Server;

/// Functions that fail in each way.
const FAULTS: &str = r#"(module
    (memory (export "memory") 1)
    (func (export "abort") (result i64) unreachable)
    (func (export "divide") (param i64 i64) (result i64) (i64.div_s (local.get 0) (local.get 1)))
    (func (export "eat") (result i64)
        (loop $again (br_if $again (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))) unreachable)
    (func (export "spin") (result i64) (loop $again (br $again)) (i64.const 0)))"#;

const FAULT_ROUTES: &str = r#"
    [[routes]]
    path = "/abort"
    function = "abort"
    [[routes]]
    path = "/divide"
    function = "divide"
    [[routes]]
    path = "/eat"
    function = "eat"
    [[routes]]
    path = "/spin"
    function = "spin"
    [limits]
    memory = "1MiB"
    deadline = "10ms"
"#;

#[test]
fn arguments_come_as_json_cbor_or_query_and_the_result_as_the_client_likes() {
    let config = format!("{GCD_ROUTE}[[routes]]\nmethod = \"GET\"\npath = \"/gcd\"\nfunction = \"gcd\"\n");
    let server = Server::with("numbers", &config, GCD);
    let mut client = server.client();
    for body in ["[48, 18]", "{\"p1\": 18, \"p0\": 48}", "[\"48\", 18]\n"] {
        let response = client.post("/numbers/gcd", body);
        assert_eq!((response.status, response.result()), (200, "6"), "{body}");
        assert_eq!(response.header("content-type"), Some("application/json"));
    }
    let response = client
        .send("POST", "/numbers/gcd", "Content-Type: application/cbor\r\n", b"\x82\x18\x30\x12")
        .receive()
        .unwrap();
    assert_eq!((response.status, response.body.as_slice()), (200, &b"\x06"[..]));
    assert_eq!(response.header("content-type"), Some("application/cbor"));
    let response = client.send("POST", "/numbers/gcd", "Accept: application/cbor\r\n", "[48, 18]").receive().unwrap();
    assert_eq!((response.status, response.body.as_slice()), (200, &b"\x06"[..]));
    let response = client.send("GET", "/numbers/gcd?p0=48&p1=18", "", "").receive().unwrap();
    assert_eq!((response.status, response.result()), (200, "6"));
    let head = server.client().send("HEAD", "/numbers/gcd?p0=48&p1=18", "Connection: close\r\n", "").head();
    assert!(head.starts_with("HTTP/1.1 200") && head.contains("content-length: 2\r\n"), "{head}");
    let response = client.send("GET", "/numbers/gcd?p0=48", "", "").receive().unwrap();
    assert_eq!(response.error().1, "the argument `p1`: it is missing; write ?p1=VALUE");
    let expects = "POST /numbers/gcd HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 8\r\n\r\n";
    assert_eq!(client.send_raw(expects).receive().unwrap().status, 100);
    assert_eq!(client.send_raw("[48, 18]").receive().unwrap().result(), "6");
    let chunked = "POST /numbers/gcd HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n[48,\r\n4\r\n 18]\r\n0\r\n\r\n";
    assert_eq!(client.send_raw(chunked).receive().unwrap().result(), "6");
}

#[test]
fn a_request_that_does_not_fit_is_told_why() {
    let config = format!("{GCD_ROUTE}[limits]\nbody = \"100B\"\n");
    let server = Server::with("numbers", &config, GCD);
    let mut client = server.client();
    for (path, body, status, kind, part) in [
        ("/numbers/gcd", "[48, 18", 400, "arguments", "line 1, column 7: the text is not JSON"),
        (
            "/numbers/gcd",
            "[48,\n 1.5]",
            400,
            "arguments",
            "line 2, column 2: the argument `p1`: `1.5` is not of type i64",
        ),
        ("/numbers/gcd", "[48]", 400, "arguments", "takes 2 arguments, and 1 was given"),
        ("/numbers/gcd", "", 400, "arguments", "there is no JSON"),
        ("/numbers/lcm", "[48, 18]", 404, "no-route", "the guest `numbers` has nothing at this path"),
        ("/others", "", 404, "no-guest", "nothing at this path"),
    ] {
        let response = client.post(path, body);
        let (found, message) = response.error();
        assert_eq!((response.status, found.as_str()), (status, kind), "{path} {body}");
        assert!(message.contains(part), "{message}");
    }
    let response = client.send("PUT", "/numbers/gcd", "", "[1, 2]").receive().unwrap();
    assert_eq!((response.status, response.header("allow")), (405, Some("POST")));
    let response = client.send("POST", "/numbers/gcd", "Content-Type: image/png\r\n", "x").receive().unwrap();
    assert_eq!((response.status, response.error().0.as_str()), (415, "media-type"));
    let response = client.send_raw("POST /numbers/gcd HTTP/1.1\r\nHost: x\r\n\r\n").receive().unwrap();
    assert_eq!((response.status, response.error().0.as_str()), (411, "body"));
    // After all of them, the connection serves on.
    assert_eq!(client.post("/numbers/gcd", "[48, 18]").result(), "6");
}

#[test]
fn a_body_that_is_too_large_is_refused_before_it_is_read_and_while_it_is() {
    let server = Server::with("numbers", &format!("{GCD_ROUTE}[limits]\nbody = \"100B\"\n"), GCD);
    let large = "POST /numbers/gcd HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n[";
    let response = server.client().send_raw(large).receive().unwrap();
    assert_eq!((response.status, response.error().0.as_str()), (413, "body"));
    let chunk = format!("60\r\n{}\r\n", " ".repeat(0x60));
    let chunked = format!("POST /numbers/gcd HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}{chunk}");
    let response = server.client().send_raw(chunked).receive().unwrap();
    assert_eq!((response.status, response.error().1.as_str()), (413, "the body is larger than 100 bytes"));
    // All of it is sent before the response is read.
    let response = server.post("/numbers/gcd", &" ".repeat(1_000_000));
    assert_eq!((response.status, response.error().1.as_str()), (413, "the body is larger than 100 bytes"));
    let mut client = server.client();
    let expects = "POST /numbers/gcd HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 101\r\n\r\n";
    assert_eq!(client.send_raw(expects).receive().unwrap().status, 413, "and not 100");
    let exact = format!("[48, 18]{}", " ".repeat(92));
    assert_eq!(server.post("/numbers/gcd", &exact).result(), "6");
}

#[test]
fn each_fault_of_a_guest_has_its_status_and_the_next_call_is_served() {
    let server = Server::with("faults", FAULT_ROUTES, FAULTS);
    let mut client = server.client();
    for _ in 0..2 {
        for (path, body, status, kind) in [
            ("/faults/abort", "", 500, "unreachable"),
            ("/faults/divide", "[1, 0]", 500, "trap"),
            ("/faults/eat", "", 507, "out-of-memory"),
            ("/faults/spin", "", 504, "deadline-exceeded"),
        ] {
            let response = client.post(path, body);
            assert_eq!((response.status, response.error().0.as_str()), (status, kind), "{path}");
        }
        assert_eq!(client.post("/faults/divide", "[6, 3]").result(), "2");
    }
    // The message says what can be changed in guest.toml.
    let (_, message) = client.post("/faults/eat", "").error();
    assert!(message.ends_with("raise `memory`, or send less") && message.contains(" bytes in use"), "{message}");
    let response = client.post("/faults/spin", "");
    assert_eq!(response.error().1, "the deadline of 10ms passed", "the guest's own deadline, not the slice");
}

#[test]
fn a_response_has_as_many_bytes_as_it_may() {
    let server = Server::with("numbers", &format!("{GCD_ROUTE}[limits]\nresponse = \"2B\"\n"), GCD);
    assert_eq!(server.post("/numbers/gcd", "[48, 18]").result(), "6");
    let response = server.post("/numbers/gcd", "[480, 480]");
    let message = "the result has 3 bytes, and a response may have 2".to_owned();
    assert_eq!((response.status, response.error()), (500, ("response-too-large".to_owned(), message)));
}

#[test]
fn each_tenant_has_a_rate_of_its_own() {
    let config = "[[routes]]\npath = \"/{tenant}/gcd\"\nfunction = \"gcd\"\n[limits]\ncalls_per_second = 2\n";
    let server = Server::with("numbers", config, GCD);
    let mut client = server.client();
    for tenant in ["a", "b", "a%20b"] {
        let path = format!("/numbers/{tenant}/gcd");
        // The first second's worth at least is served; in a row of many some are not.
        // Their bodies are larger than what is read with the head, and the connection goes on after those that are refused.
        let body = format!("[48, 18]{}", " ".repeat(60_000));
        let responses: Vec<_> = (0..50).map(|_| client.post(&path, &body)).collect();
        assert!(responses[..2].iter().all(|response| response.result() == "6"), "{tenant}");
        let limited = responses.iter().find(|response| response.status == 429).unwrap();
        assert_eq!((limited.error().0.as_str(), limited.header("retry-after")), ("rate", Some("1")));
    }
}

#[test]
fn an_instance_for_each_call_is_as_good() {
    let server = Server::start(&["--instances=0"]);
    server.deploy("faults", FAULT_ROUTES, FAULTS);
    for _ in 0..3 {
        assert_eq!(server.post("/faults/divide", "[6, 3]").result(), "2");
        assert_eq!(server.post("/faults/spin", "").status, 504);
    }
}

#[test]
fn more_guests_than_instances_are_served() {
    let server = Server::start(&["--instances=2", "--threads=1"]);
    let names = ["a", "b", "c", "d", "e"];
    for name in names {
        server.deploy(name, GCD_ROUTE, GCD);
    }
    let mut client = server.client();
    for round in 1..=3 {
        for name in names {
            assert_eq!(
                client.post(&format!("/{name}/gcd"), format!("[{}, 0]", round * 7)).result(),
                format!("{}", round * 7)
            );
        }
    }
}

#[test]
fn texts_and_documents_go_through_a_guest() {
    let server = Server::with("typed", TYPED_ROUTES, &typed());
    let mut client = server.client();
    assert_eq!(client.post("/typed/echo", "\"gr\\u00fc\u{df}e\"").result(), "\"gr\u{fc}\u{df}e\"");
    let order = r#"{"id":7,"items":[{"price":9.5},null],"to":"Ulm"}"#;
    assert_eq!(client.post("/typed/order", order).result(), order);
    let cbor =
        client.send("POST", "/typed/order", "Accept: application/cbor\r\n", r#"{"order": {"a": [1]}}"#).receive();
    assert_eq!(cbor.unwrap().body, b"\xA1\x61a\x81\x01");
    let response = client.post("/typed/order", "{\"a\": 1,\n \"a\": 2}");
    let (_, message) = response.error();
    assert_eq!(message, "line 2, column 2: the argument `order`: the object has a member of this name already");
}

#[test]
fn an_error_of_the_guest_has_its_code() {
    let server = Server::with("typed", TYPED_ROUTES, &typed());
    let response = server.post("/typed/refuse", "");
    assert_eq!(response.status, 422);
    let expected = r#"{"error":{"code":1007,"kind":"guest-error","message":"hello (code 1007)"}}"#;
    assert_eq!(response.result(), expected);
}

#[test]
fn a_call_that_changed_its_lane_is_counted_and_logged_once() {
    let server = Server::with("typed", TYPED_ROUTES, &typed());
    let mut client = server.client();
    assert_eq!(client.post("/typed/slowly", "5").result(), "5");
    assert_eq!(client.post("/typed/slowly", "20000000").result(), "20000000");
    // Its function is known to be slow now.
    assert_eq!(client.post("/typed/slowly", "6").result(), "6");
    assert_eq!(client.post("/typed/slowly", "x").status, 400);
    let counts = server.counts("typed");
    assert_eq!((counts.calls(), counts.refused(), counts.slow, counts.tenants), (4, 1, 2, 1));
    // One on a fast thread, and one on each slow one that made a call.
    assert!((2..=3).contains(&counts.instances), "{counts:?}");
    assert_eq!(counts.memory, counts.instances * (512 << 10));
    let log = server.end("typed");
    assert_eq!(log.matches("hello").count(), 3, "{log}");
}

#[test]
fn a_head_that_is_too_large_is_refused() {
    let server = Server::with("numbers", GCD_ROUTE, GCD);
    let head = format!("POST /numbers/gcd HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "x".repeat(20_000));
    // The connection is closed while some of it is on its way, which may overtake the response.
    assert!(server.client().send_raw(head).receive().map_or(431, |response| response.status) == 431);
}
