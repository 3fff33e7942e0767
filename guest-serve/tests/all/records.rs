//! Extension functions over HTTP, and the records that they leave.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::thread;

use serde_json::{Value, json};

use crate::client::{Client, Response};
use crate::counters::{counter_routes, counters};
use crate::guests::Guests;
use crate::process::{Request, Server};

/// Limits that no test meets by chance.
const WIDE: &str = "[limits]\ncalls_per_second = 1000000\nwaiting = 1000\n";

/// A folder with the guest `counters`, whose `guest.toml` ends with this text.
fn folder(more: &str) -> Guests {
    let folder = Guests::new();
    folder.put("counters", &format!("{}{more}", counter_routes()), &counters());
    folder
}

/// Sends a request with an idempotency key.
fn named(address: SocketAddr, path: &str, key: &str, body: &str) -> Response {
    Request::new("POST", path).header("Idempotency-Key", key).body(body.as_bytes()).ask(address)
}

fn get(address: SocketAddr, path: &str) -> Response {
    Request::new("GET", path).ask(address)
}

/// The counter of a tenant, as a query returns it.
fn counted(address: SocketAddr, tenant: &str) -> u64 {
    let answer = get(address, &format!("/counters/counted/{tenant}"));
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["n"].as_u64().unwrap_or(0)
}

#[test]
fn calls_of_a_tenant_count_one_after_the_other_and_each_tenant_for_itself() {
    let folder = folder(WIDE);
    let server = Server::start(folder.path(), &["--threads=2", "--program-threads=2"]);
    let (address, tenants) = (server.address, ["red", "blue"]);
    let numbers: Vec<(usize, u64)> = thread::scope(|scope| {
        let clients: Vec<_> = (0..8)
            .map(|client: usize| {
                scope.spawn(move || {
                    let path = format!("/counters/count/{}", tenants[client % 2]);
                    let mut connection = Client::new(address);
                    let count = |_| (client % 2, connection.post(&path, "").json()["n"].as_u64().unwrap());
                    (0..50).map(count).collect::<Vec<_>>()
                })
            })
            .collect();
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    });
    for (of, tenant) in tenants.iter().enumerate() {
        let found: BTreeSet<u64> =
            numbers.iter().filter(|(other, _)| *other == of).map(|(_, number)| *number).collect();
        assert!(found.into_iter().eq(1..=200), "each number once");
        assert_eq!(counted(address, tenant), 200);
    }
    assert_eq!(get(address, "/counters/counted/green").text(), "null\n");
    assert_eq!(
        Request::new("HEAD", "/counters/counted/red").send(address).head().lines().next(),
        Some("HTTP/1.1 200 OK")
    );
    server.stop();
    let server = Server::start(folder.path(), &["--program-threads=3"]);
    assert_eq!(["red", "blue", "green"].map(|tenant| counted(server.address, tenant)), [200, 200, 0]);
    server.stop();
}

#[test]
fn the_event_comes_from_the_body_or_the_query_and_the_result_goes_out_in_the_encoding_asked_for() {
    let folder = folder(WIDE);
    let server = Server::start(folder.path(), &[]);
    let address = server.address;
    let post = |body: &str| Client::new(address).post("/counters/echo/a", body);
    for body in [r#"{"a":1,"b":[true,"x",{"c":{"$bytes":"AP8="}}],"d":-0.5}"#, "{}"] {
        assert_eq!(post(body).result(), body);
    }
    assert_eq!((post("").result(), post(" \n").result()), ("{}", "{}"));
    assert_eq!(
        get(address, "/counters/echo/a?Year=2023&Name=Ada+L&zip=01&id=%2201%22").json(),
        json!({"Year": 2023, "Name": "Ada L", "zip": "01", "id": "01"})
    );
    let cbor = |body: &[u8]| {
        Request::new("POST", "/counters/echo/a").header("Content-Type", "application/cbor").body(body).ask(address)
    };
    // Lengths become definite.
    assert_eq!(cbor(b"\xBF\x61a\x01\xFF").body, b"\xA1\x61a\x01");
    let json = Request::new("POST", "/counters/echo/a")
        .header("Content-Type", "application/cbor")
        .header("Accept", "application/json")
        .body(b"\xA1\x61a\x43abc")
        .ask(address);
    assert_eq!((json.header("content-type"), json.result()), (Some("application/json"), r#"{"a":{"$bytes":"YWJj"}}"#));
    let none = Request::new("GET", "/counters/counted/none").header("Accept", "application/cbor").ask(address);
    assert_eq!(none.body, b"\xF6");

    let wrong = |answer: Response, part: &str| {
        let (kind, message) = answer.error();
        assert_eq!((answer.status, kind.as_str()), (400, "arguments"), "{message}");
        assert!(message.contains(part), "{message}");
    };
    wrong(post("{\n\"a\": null}"), "line 2, column 6: at `a`: null is not a value; leave the field out");
    wrong(post("[1]"), "the value must be an object, not an array");
    wrong(post("{"), "line 1, column");
    wrong(Request::new("POST", "/counters/echo/a").body(b"\xFF").ask(address), "not UTF-8");
    wrong(get(address, "/counters/echo/a?a=1&a=2"), "field `a` occurs twice");
    for body in [b"\xA1\x61a\xF6".as_slice(), b"\x81\x01", b"\xA0\x00", b"\xA1\x61a", b"\xA1\x01\x01", b""] {
        wrong(cbor(body), "the body is not a map of values that records can have");
    }
    let other = Request::new("POST", "/counters/echo/a").header("Content-Type", "text/html").body(b"x").ask(address);
    assert_eq!(other.status, 415);
    server.stop();
}

#[test]
fn a_call_that_fails_or_cannot_be_applied_leaves_nothing() {
    let folder = folder(&format!("[records]\nintents = 2\nbytes = \"2KiB\"\n{WIDE}"));
    let server = Server::start(folder.path(), &["--program-threads=1"]);
    let address = server.address;
    let post = |path: &str, body: &str| Client::new(address).post(path, body);
    let fails = |answer: Response, status: u16, kind: &str, part: &str| {
        let (found, message) = answer.error();
        assert_eq!((answer.status, found.as_str()), (status, kind), "{message}");
        assert!(message.contains(part), "{message}");
    };
    fails(post("/counters/orphan/a", r#"{"a":1}"#), 422, "intents", "`sys.Record` `x` that does not exist");
    fails(post("/counters/refuse/a", r#"{"a":1}"#), 422, "guest-error", "counted");
    fails(post("/counters/loud/a", r#"{"a":1}"#), 422, "intents", "writes to `sys.Event`");
    fails(get(address, "/counters/counts/a"), 422, "intents", "give the route another method");
    let records = |path: &str| server.ask("GET", &format!("/api/guests/counters/records?{path}"));
    let list = |tenant: &str| records(&format!("tenant={tenant}&storage=sys.Record&entity=b")).json();
    assert_eq!(list("a"), json!({"records": [], "after": null}));
    assert_eq!(counted(address, "a"), 0);

    // The limit is of a tenant's records together; a record that becomes smaller makes room.
    let large = |size: usize| format!("{{\"a\":\"{}\"}}", "x".repeat(size));
    assert_eq!(post("/counters/keep/a", &large(1900)).status, 200);
    assert_eq!(post("/counters/count/a", "").json(), json!({"n": 1}));
    fails(post("/counters/keep/a", &large(2100)), 507, "records-full", "and may have 2048");
    assert_eq!(post("/counters/keep/b", &large(1900)).status, 200, "another tenant");
    assert_eq!(post("/counters/keep/a", &large(10)).status, 200);
    assert_eq!(
        list("a")["records"],
        json!([{"storage": "sys.Record", "entity": "b", "key": {}, "value": {"a": "xxxxxxxxxx"}}])
    );
    assert_eq!(records("tenant=a&storage=sys.Record&entity=c").json()["records"][0]["value"], json!({"n": 1}));
    assert_eq!(records("storage=sys.Record&entity=b").json()["records"], json!([]), "the tenant of routes without one");
    for (path, part) in [
        ("", "`storage` is missing"),
        ("storage=sys.Record", "`entity` is missing"),
        ("storage=my.Own&entity=b", "unsupported storage"),
        ("storage=sys.View&entity=b&after=xyz", "`after`"),
        ("storage=sys.Record&entitty=b", "no option `entitty`: did you mean `entity`?"),
    ] {
        let answer = records(path);
        assert_eq!(answer.status, 400);
        assert!(answer.text().contains(part), "{}", answer.text());
    }
    // A tenant is forgotten with its records and their bytes, and no other one is.
    let forget = |query: &str| server.ask("DELETE", &format!("/api/guests/counters/records{query}"));
    assert_eq!((forget("").status, forget("?tenant=none").json()), (400, json!({"removed": 0})));
    // What it cannot do it does not do by half.
    let answer = forget("?tenant=a&storage=sys.Record&entity=c");
    assert!(answer.status == 400 && answer.text().contains("use one of `tenant`"), "{}", answer.text());
    assert_eq!(named(address, "/counters/count/a", "key", "").json(), json!({"n": 2}));
    assert_eq!(forget("?tenant=a").json(), json!({"removed": 2}));
    assert_eq!((list("a")["records"].clone(), counted(address, "a")), (json!([]), 0));
    assert_eq!(list("b")["records"].as_array().unwrap().len(), 1);
    assert_eq!(named(address, "/counters/count/a", "key", "").json(), json!({"n": 1}), "nor is its key known");
    assert_eq!(post("/counters/keep/a", &large(1900)).status, 200);
    let without_token = Request::new("GET", "/api/guests/counters/records?storage=sys.Record").ask(server.admin);
    assert_eq!(without_token.status, 401);
    server.stop();
}

#[test]
fn a_request_that_is_sent_again_with_its_key_is_carried_out_once() {
    let folder = folder(&format!("[records]\nidempotency_keys = 3\n{WIDE}"));
    let server = Server::start(folder.path(), &[]);
    let address = server.address;
    let first = named(address, "/counters/count/a", "one", "{}");
    let again = named(address, "/counters/count/a", "one", "{}");
    assert_eq!((first.result(), again.result(), counted(address, "a")), (r#"{"n":1}"#, r#"{"n":1}"#, 1));
    for (path, body) in [("/counters/count/a", "{ }"), ("/counters/echo/a", "{}")] {
        let other = named(address, path, "one", body);
        assert_eq!((other.status, other.error().0.as_str()), (422, "idempotency-key"), "{path}");
    }
    assert_eq!(named(address, "/counters/count/b", "one", "{}").result(), r#"{"n":1}"#, "keys are of a tenant");
    // A request that failed has left nothing, and is carried out again.
    assert_eq!(named(address, "/counters/refuse/a", "two", "{}").error().0, "guest-error");
    assert_eq!(named(address, "/counters/echo/a", "two", r#"{"x":1}"#).result(), r#"{"x":1}"#);
    for key in ["", "a b", "ä", &"x".repeat(256)] {
        let refused = named(address, "/counters/count/a", key, "{}");
        assert_eq!((refused.status, refused.error().0.as_str()), (400, "idempotency-key"), "{key}");
    }
    assert_eq!(counted(address, "a"), 1);
    // Many at once: one is carried out, and all have its response.
    let answers: BTreeSet<String> = thread::scope(|scope| {
        let ask = || named(address, "/counters/count/a", &"k".repeat(255), "{}").result().to_owned();
        let clients: Vec<_> = (0..8).map(|_| scope.spawn(ask)).collect();
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    assert_eq!((answers.len(), answers.first().map(String::as_str)), (1, Some(r#"{"n":2}"#)));
    server.stop();

    // They are kept across starts: the last three of the tenant.
    let server = Server::start(folder.path(), &[]);
    let address = server.address;
    assert_eq!(named(address, "/counters/count/a", "one", "{}").result(), r#"{"n":1}"#);
    assert_eq!(named(address, "/counters/count/a", "four", "{}").result(), r#"{"n":3}"#);
    assert_eq!(named(address, "/counters/echo/a", "two", r#"{"x":1}"#).result(), r#"{"x":1}"#);
    assert_eq!(named(address, "/counters/count/a", "one", "{}").result(), r#"{"n":4}"#, "it was the oldest");
    server.stop();
}

#[test]
fn responses_are_kept_within_a_part_of_the_bytes_of_a_tenant() {
    let folder = folder(&format!("[records]\nbytes = \"2KiB\"\n{WIDE}"));
    let server = Server::start(folder.path(), &[]);
    let echo = |key: &str, size: usize| {
        let body = format!("{{\"a\":\"{}\"}}", "x".repeat(size));
        named(server.address, "/counters/echo/a", key, &body).status
    };
    // Each takes more than half of a quarter of them.
    assert_eq!([echo("one", 300), echo("two", 300), echo("two", 301)], [200, 200, 422]);
    assert_eq!(echo("one", 301), 200, "it was forgotten");
    assert_eq!(echo("two", 301), 200, "as that one was kept");
    assert_eq!([echo("large", 3000), echo("large", 3001)], [200, 422], "the last one is kept in any case");
    server.stop();
}

#[test]
fn a_slow_call_holds_up_its_own_tenant_alone_and_sees_what_was_before_it() {
    let folder = folder(&format!("{WIDE}deadline = \"50s\"\n"));
    let server = Server::start(folder.path(), &["--program-threads=1", "--wait=50s"]);
    let address = server.address;
    let names = ["count", "slow_count", "count", "slow_count", "count"];
    let numbers: BTreeSet<u64> = thread::scope(|scope| {
        let clients: Vec<_> = (0..10)
            .map(|client| {
                let path = format!("/counters/{}/a", names[client % names.len()]);
                scope.spawn(move || Client::new(address).post(&path, "").json()["n"].as_u64().unwrap())
            })
            .collect();
        // The thread of both tenants goes on.
        assert_eq!(Client::new(address).post("/counters/count/b", "").json(), json!({"n": 1}));
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    assert!(numbers.into_iter().eq(1..=10), "each number once");
    assert_eq!(counted(address, "a"), 10);
    let guest = server.ask("GET", "/api/guests/counters").json();
    assert!(guest["counts"]["slow"].as_u64() >= Some(4), "{guest}");
    // A line for each call, and none for those that were made again.
    let log = server.wait_for_log("counters", 11);
    assert_eq!(log.lines().count(), 11, "{log}");
    server.stop();
}

#[test]
fn a_call_that_never_ends_is_given_up_and_the_next_of_its_tenant_begins() {
    let folder = folder("[limits]\ndeadline = \"100ms\"\nwaiting = 1\n");
    let server = Server::start(folder.path(), &["--program-threads=1", "--wait=50s"]);
    let address = server.address;
    let mut spins = Client::new(address);
    spins.send("POST", "/counters/spin/a", "", "");
    let late = spins.receive().unwrap();
    assert_eq!((late.status, late.error().0.as_str()), (504, "deadline-exceeded"));
    assert_eq!(Client::new(address).post("/counters/count/a", "").json(), json!({"n": 1}));
    // A client that goes away gives its turn up.
    let mut gone = Client::new(address);
    gone.send("POST", "/counters/spin/a", "", "");
    drop(gone);
    while Client::new(address).post("/counters/count/a", "").status != 200 {}
    assert!(counted(address, "a") >= 2);
    server.stop();
}

#[test]
fn a_slow_request_that_is_sent_again_meanwhile_is_carried_out_once() {
    let folder = folder(&format!("{WIDE}deadline = \"50s\"\n"));
    let server = Server::start(folder.path(), &["--program-threads=1", "--wait=50s"]);
    let address = server.address;
    let answers: BTreeSet<String> = thread::scope(|scope| {
        let ask = || named(address, "/counters/slow_count/a", "one", "").result().to_owned();
        let clients: Vec<_> = (0..3).map(|_| scope.spawn(ask)).collect();
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    assert_eq!((answers.len(), answers.first().map(String::as_str)), (1, Some(r#"{"n":1}"#)));
    assert_eq!(counted(address, "a"), 1);
    server.stop();
}

#[test]
fn a_request_that_runs_when_the_server_stops_leaves_its_records() {
    let folder = folder(WIDE);
    let server = Server::start(folder.path(), &["--threads=1", "--shutdown-time=55s", "--body-time=50s"]);
    let mut client = Client::new(server.address);
    client.send_raw("POST /counters/count/a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{");
    // The thread of the connection takes requests in their order.
    assert_eq!(counted(server.address, "a"), 0);
    server.process.signal("TERM");
    server.process.wait_for_stderr("stopping: ");
    let answer = client.send_raw("}").receive().unwrap();
    assert_eq!((answer.status, answer.result()), (200, r#"{"n":1}"#));
    let (status, error) = server.process.end();
    assert_eq!(status, Some(0), "{error}");
    let server = Server::start(folder.path(), &[]);
    assert_eq!(counted(server.address, "a"), 1);
    server.stop();
}

#[test]
fn a_route_of_an_extension_function_is_checked_with_its_place() {
    let folder = Guests::new();
    folder.put("counters", "[[routes]]\npath = \"/\"\nextension = \"cuont\"\n", &counters());
    let numbers = r#"(module (func (export "one") (result i64) (i64.const 1)))"#;
    folder.put("numbers", "[[routes]]\npath = \"/\"\nextension = \"one\"\n", numbers);
    let server = Server::start(folder.path(), &[]);
    server
        .process
        .wait_for_stderr("counters/guest.toml:3:13: the guest has no extension function `cuont`; did you mean `count`");
    server.process.wait_for_stderr("numbers/guest.toml:3:13: the module has no extension functions");
    server.stop();
}

/// The sample guest.
fn shop() -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/guests/shop-freelist.wasm");
    std::fs::read(&path).unwrap_or_else(|error| {
        panic!("the guest {} is missing ({error}): run `cargo xtask guests` first", path.display())
    })
}

#[test]
fn the_sample_guest_takes_orders_once_and_lists_them_page_by_page() {
    let folder = Guests::new();
    folder.write("shop", "shop.wasm", shop());
    let routes = "[[routes]]\npath = \"/orders\"\nextension = \"new_order\"\n[[routes]]\npath = \"/visits\"\nextension = \"count_up\"\n";
    folder.write("shop", "guest.toml", format!("{routes}{WIDE}"));
    let server = Server::start(folder.path(), &[]);
    let order = |number: u32| {
        json!({"ArgumentObject": {"Number": number, "Customer": 7, "Total": 100, "Express": false,
            "Items": [{"Article": "ink", "Quantity": 2, "SinglePrice": 50}]}})
        .to_string()
    };
    let mut client = Client::new(server.address);
    for number in 1..=25 {
        assert_eq!(client.post("/shop/orders", order(number)).json(), json!({"Number": number}));
    }
    let taken = client.post("/shop/orders", order(7));
    assert_eq!((taken.status, &taken.json()["error"]["code"]), (422, &json!(1002)));
    assert_eq!(client.post("/shop/visits", "").result(), "null");
    let mut numbers = Vec::new();
    let mut after = String::new();
    loop {
        let page = server
            .ask("GET", &format!("/api/guests/shop/records?storage=sys.Record&entity=shop.Order&limit=10{after}"));
        let page = page.json();
        let records = page["records"].as_array().unwrap();
        assert!(records.len() <= 10 && !records.is_empty(), "{page}");
        numbers.extend(records.iter().map(|record| record["key"]["Number"].as_u64().unwrap()));
        let Value::String(cursor) = &page["after"] else { break };
        after = format!("&after={cursor}");
    }
    assert!(numbers.into_iter().eq(1..=25));
    // The records of a removed guest stay, and a guest of the same name goes on with them.
    assert_eq!(server.ask("DELETE", "/api/guests/shop").status, 200);
    let page = server.ask("GET", "/api/guests/shop/records?storage=sys.Record&entity=shop.Counter").json();
    assert_eq!(page["records"][0]["value"], json!({"Value": 1}));
    server.stop();
}
