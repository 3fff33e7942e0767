//! Clients that are slow, vanish, or do more than one thing at a time.

use std::net::Shutdown;
use std::time::Duration;

use crate::guests::{GCD, GCD_ROUTE, TYPED_ROUTES, typed};
use crate::server::Server;

const REQUEST: &str = "POST /numbers/gcd HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\n[48, 18]";

#[test]
fn pipelined_requests_are_answered_in_order() {
    let server = Server::with("numbers", &format!("{GCD_ROUTE}[limits]\ncalls_per_second = 1000\n"), GCD);
    let mut client = server.client();
    let all: String = (1..=100)
        .map(|number| {
            let body = format!("[{number}, 0]");
            format!("POST /numbers/gcd HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}", body.len())
        })
        .collect();
    client.send_raw(all);
    for number in 1..=100 {
        assert_eq!(client.receive().unwrap().result(), number.to_string());
    }
}

#[test]
fn a_client_that_closes_its_half_is_answered() {
    let config = "[[routes]]\npath = \"/spin\"\nfunction = \"spin\"\n";
    let spin = r#"(module (func (export "spin") (result i64) (loop $again (br $again)) (i64.const 0)))"#;
    let server = Server::with("numbers", GCD_ROUTE, GCD);
    server.deploy("spins", config, spin);
    let mut client = server.client();
    client.send_raw(REQUEST).stream().shutdown(Shutdown::Write).unwrap();
    assert_eq!(client.receive().unwrap().result(), "6");
    assert!(client.is_closed());
    // While its call waits and runs on the slow lane as well.
    let mut client = server.client();
    client.send("POST", "/spins/spin", "", "").stream().shutdown(Shutdown::Write).unwrap();
    assert_eq!(client.receive().unwrap().status, 504);
}

#[test]
fn a_client_that_sends_nothing_more_is_given_up() {
    let server = Server::start(&["--head-time=50ms", "--body-time=50ms"]);
    server.deploy("numbers", GCD_ROUTE, GCD);
    for start in ["", "POST /num", "POST /numbers/gcd HTTP/1.1\r\nHost:"] {
        let mut client = server.client();
        client.send_raw(start);
        assert!(client.is_closed() || client.is_closed(), "{start:?}");
    }
    let mut client = server.client();
    client.send_raw("POST /numbers/gcd HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\n[48,");
    let response = client.receive().unwrap();
    assert_eq!((response.status, response.error().1.as_str()), (408, "the body did not arrive within 50ms"));
    assert!(client.is_closed(), "what follows is not the next request");
    // A connection that is kept open is idle for as long.
    let mut client = server.client();
    assert_eq!(client.post("/numbers/gcd", "[48, 18]").result(), "6");
    assert!(client.is_closed());
}

#[test]
fn a_request_that_comes_byte_by_byte_is_served() {
    let server = Server::with("numbers", GCD_ROUTE, GCD);
    let mut client = server.client();
    for byte in REQUEST.bytes() {
        client.send_raw([byte]);
        std::thread::sleep(Duration::from_micros(100));
    }
    assert_eq!(client.receive().unwrap().result(), "6");
}

#[test]
fn a_client_that_reads_nothing_is_given_up() {
    const REQUESTS: usize = 400;
    let server = Server::start(&["--send-time=50ms"]);
    server.deploy("typed", &format!("{TYPED_ROUTES}calls_per_second = 1000\n"), &typed());
    let mut client = server.client();
    // Far more than what the system holds for a client.
    let body = format!("\"{}\"", "x".repeat(60_000));
    for _ in 0..REQUESTS {
        client.send("POST", "/typed/echo", "", &body);
    }
    let read = (0..REQUESTS).take_while(|_| client.receive().is_ok_and(|response| response.status == 200)).count();
    assert!(read < REQUESTS, "all of them were answered");
    assert_eq!(server.post("/typed/echo", "\"x\"").result(), "\"x\"");
    let threads = server.threads.as_ref().unwrap();
    threads.close();
    assert!(threads.wait(crate::client::PATIENCE), "no connection is left");
}

#[test]
fn clients_that_vanish_leave_nothing() {
    let config =
        "[[routes]]\npath = \"/spin\"\nfunction = \"spin\"\n[limits]\ndeadline = \"10ms\"\ncalls_per_second = 1000\n";
    let spin = r#"(module (func (export "spin") (result i64) (loop $again (br $again)) (i64.const 0)))"#;
    let server = Server::start(&["--slow-threads=1"]);
    server.deploy("numbers", GCD_ROUTE, GCD);
    server.deploy("spins", config, spin);
    for length in 0..REQUEST.len() {
        server.client().send_raw(&REQUEST[..length]);
    }
    for _ in 0..5 {
        server.client().send("POST", "/spins/spin", "", "");
    }
    assert_eq!(server.post("/numbers/gcd", "[48, 18]").result(), "6");
    let threads = server.threads.as_ref().unwrap();
    threads.close();
    assert!(threads.wait(crate::client::PATIENCE), "no connection is left");
}

#[test]
fn a_server_that_closes_answers_what_runs_and_takes_no_more() {
    let config = "[[routes]]\npath = \"/spin\"\nfunction = \"spin\"\n[limits]\ndeadline = \"300ms\"\n";
    let spin = r#"(module (func (export "spin") (result i64) (loop $again (br $again)) (i64.const 0)))"#;
    let mut server = Server::with("spins", config, spin);
    let mut idle = server.client();
    assert_eq!(idle.post("/none", "").status, 404);
    let mut runs = server.client();
    runs.send("POST", "/spins/spin", "", "");
    // The other connection was taken before, and this one's request is read.
    std::thread::sleep(Duration::from_millis(50));
    let threads = server.threads.take().unwrap();
    threads.close();
    assert_eq!(runs.receive().unwrap().status, 504);
    assert!(runs.is_closed() && idle.is_closed());
    assert!(threads.wait(crate::client::PATIENCE));
    drop(threads);
    assert!(std::net::TcpStream::connect(server.address).is_err());
}

#[test]
fn a_server_that_stops_ends_calls_that_run() {
    let config = "[[routes]]\npath = \"/spin\"\nfunction = \"spin\"\n[limits]\ndeadline = \"100min\"\n";
    let spin = r#"(module (func (export "spin") (result i64) (loop $again (br $again)) (i64.const 0)))"#;
    let mut server = Server::with("spins", config, spin);
    let mut client = server.client();
    client.send("POST", "/spins/spin", "", "");
    std::thread::sleep(Duration::from_millis(50));
    let threads = server.threads.take().unwrap();
    threads.close();
    assert!(!threads.wait(Duration::from_millis(20)));
    drop(threads);
    assert!(client.receive().is_err());
}
