//! Tenants of programs that people list, count, limit and forget.

use std::time::Instant;

use serde_json::Value;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::client::{PATIENCE, Response};
use crate::counting::{Tenant, config, folder};
use crate::guests::{Guests, counter, ledger};
use crate::process::{Process, Request, Server};

/// A page of tenants.
fn page(server: &Server, query: &str) -> Value {
    let response = server.ask("GET", &format!("/api/guests/counts/tenants{query}"));
    assert_eq!(response.status, 200, "{}", response.text());
    response.json()
}

fn keys(page: &Value) -> Vec<String> {
    let tenants = page["tenants"].as_array().unwrap();
    tenants.iter().map(|tenant| tenant["key"].as_str().unwrap().to_owned()).collect()
}

/// How many tenants are awake, asleep in memory and on the disk.
fn places(server: &Server) -> [u64; 3] {
    let guest = server.ask("GET", "/api/guests/counts").json();
    ["awake", "asleep", "disk"].map(|place| guest["program"][place].as_u64().unwrap())
}

/// A request for a WebSocket, as far as the response.
fn upgrade(server: &Server, key: &str) -> Response {
    let path = format!("/counts/{key}");
    let request = Request::new("GET", &path)
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", 13)
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
    request.ask(server.address)
}

fn all(server: &Server, limit: usize) -> Vec<String> {
    let (mut all, mut query) = (Vec::new(), format!("?limit={limit}"));
    loop {
        let page = page(server, &query);
        assert!(keys(&page).len() <= limit);
        all.extend(keys(&page));
        match page["after"].as_str() {
            Some(after) => query = format!("?limit={limit}&after={}", after.replace(' ', "%20")),
            None => return all,
        }
    }
}

#[test]
fn tenants_are_listed_page_by_page_wherever_they_are() {
    for durable in ["durable = true", "durable = false"] {
        let folder = folder(durable, "");
        let options = ["--program-threads", "3", "--program-instances", "2"];
        let server = Server::start(folder.path(), &options);
        assert_eq!(page(&server, "")["tenants"], Value::Array(Vec::new()));
        let names: Vec<String> = (0..25).map(|number| format!("a {number:02}")).collect();
        let mut tenants: Vec<Tenant> =
            names.iter().map(|name| Tenant::connect(server.address, &name.replace(' ', "%20"))).collect();
        for tenant in &mut tenants {
            assert_eq!([tenant.ask("x"), tenant.ask("x")], [1, 2]);
        }
        for limit in [1, 7, 25, 1000] {
            assert_eq!(all(&server, limit), names, "{durable}");
        }
        let first = &page(&server, "?limit=1")["tenants"][0];
        assert_eq!((&first["changes"], &first["connections"]), (&Value::from(2), &Value::from(1)));
        assert!(first["bytes"].as_u64().unwrap() > 0);
        let [awake, asleep, disk] = places(&server);
        assert!((1..=6).contains(&awake) && awake + asleep == 25 && disk == 0, "{awake} {asleep} {disk}");
        let metrics = server.ask("GET", "/metrics");
        let line = format!("serve_tenants{{guest=\"counts\",state=\"asleep\"}} {asleep}");
        assert!(metrics.text().lines().any(|found| found == line), "{line} is not in\n{}", metrics.text());
        let html = server.ask("GET", "/guests/counts").text().to_owned();
        assert!(html.contains("a 24") && html.contains(&format!("{awake} awake, {asleep} asleep in")), "{html}");
        server.stop();
        // All of them are on the disk, and are listed before any of them is woken.
        let server = Server::start(folder.path(), &options);
        assert_eq!((places(&server), all(&server, 10)), ([0, 0, 25], names));
        let first = &page(&server, "?limit=1")["tenants"][0];
        // Each was told of the end of its connection.
        assert_eq!((&first["state"], &first["changes"]), (&Value::from("disk"), &Value::from(3)));
        assert_eq!(Tenant::connect(server.address, "a%2007").ask("x"), 1003);
        let [awake, asleep, disk] = places(&server);
        assert_eq!((awake + asleep, disk), (1, 24));
        server.stop();
    }
}

#[test]
fn a_tenant_that_is_forgotten_begins_anew() {
    let folder = folder("", "deadline = \"10min\"\n");
    let server = Server::start(folder.path(), &["--slow-threads", "1", "--shutdown-time", "1s"]);
    let forget = |key: &str| server.ask("DELETE", &format!("/api/guests/counts/tenants/{key}"));
    let [mut one, mut two, mut other] = ["a%2Fb", "a%2Fb", "c"].map(|key| Tenant::connect(server.address, key));
    assert_eq!([one.ask("x"), two.ask("x"), other.ask("x")], [1, 2, 1]);
    assert_eq!(forget("a%2Fb").json()["forgotten"], "a/b");
    assert_eq!((one.code(), two.code()), (CloseCode::Away, CloseCode::Away));
    assert_eq!(keys(&page(&server, "")), ["c"]);
    assert_eq!(forget("a%2Fb").error().0, "unknown-tenant");
    assert_eq!(Tenant::connect(server.address, "a%2Fb").ask("x"), 1);
    // Also one whose event is on the slow lane, and others behind it.
    let mut behind = Tenant::connect(server.address, "c");
    assert_eq!(behind.ask("x"), 2);
    other.send("s");
    behind.send("x");
    assert_eq!(forget("c").status, 200);
    assert_eq!((other.code(), behind.code()), (CloseCode::Away, CloseCode::Away));
    assert_eq!(Tenant::connect(server.address, "c").ask("x"), 1);
    server.process.signal("KILL");
    server.process.end();
    let server = Server::start(folder.path(), &[]);
    assert_eq!(Tenant::connect(server.address, "c").ask("x"), 1002);
    server.stop();
}

#[test]
fn a_guest_has_as_many_tenants_as_it_may() {
    let folder = folder("tenants = 3", "");
    let server = Server::start(folder.path(), &["--program-threads", "2"]);
    // The page and the API say how a program is reached, and what it may have.
    let program = &server.ask("GET", "/api/guests/counts").json()["deployment"]["program"];
    assert_eq!((&program["websocket"], &program["tenants"]), (&Value::from("/{tenant}"), &Value::from(3)));
    let page = server.ask("GET", "/guests/counts");
    assert!(page.text().contains("/counts/{tenant}"), "{}", page.text());
    let mut tenants: Vec<Tenant> = ["a", "b", "c"].iter().map(|key| Tenant::connect(server.address, key)).collect();
    for tenant in &mut tenants {
        assert_eq!(tenant.ask("x"), 1);
    }
    let refused = upgrade(&server, "d");
    assert_eq!((refused.status, refused.error().0.as_str()), (503, "tenants"));
    server.process.wait_for_stderr("the guest has as many tenants as it may have");
    assert_eq!(Tenant::connect(server.address, "c").ask("x"), 2);
    server.stop();
    // Sleeping tenants count.
    let server = Server::start(folder.path(), &["--program-threads", "2"]);
    assert_eq!(upgrade(&server, "d").status, 503);
    assert_eq!(Tenant::connect(server.address, "b").ask("x"), 1002);
    assert_eq!(server.ask("DELETE", "/api/guests/counts/tenants/a").status, 200);
    let mut fourth = Tenant::connect(server.address, "d");
    assert_eq!(fourth.ask("x"), 1);
    assert_eq!(upgrade(&server, "a").status, 503);
    server.stop();
}

#[test]
fn a_tenant_that_was_never_called_does_not_count_when_its_connection_is_closed() {
    let folder = Guests::new();
    folder.put(
        "counts",
        "[program]\nwebsocket = \"/{tenant}\"\ntenants = 1\n[limits]\nmemory = \"256KiB\"\n",
        &ledger("unreachable"),
    );
    let server = Server::start(folder.path(), &[]);
    let unused = Tenant::connect(server.address, "e");
    let until = Instant::now() + PATIENCE;
    while keys(&page(&server, "")) != ["e"] {
        assert!(Instant::now() < until);
    }
    assert_eq!(upgrade(&server, "f").status, 503);
    drop(unused);
    while upgrade(&server, "f").status != 101 {
        assert!(Instant::now() < until);
    }
    server.stop();
}

#[test]
fn the_memory_of_a_guest_is_forgotten_with_it_if_that_is_asked_for() {
    let folder = folder("", "");
    let server = Server::start(folder.path(), &["--program-threads", "2"]);
    let put = || {
        assert_eq!(server.put_module("counts", &wat::parse_str(counter()).unwrap()).status, 202);
        assert_eq!(server.put_config("counts", &config("", "")).status, 200);
    };
    let mut tenants: Vec<Tenant> = (0..9).map(|key| Tenant::connect(server.address, &key.to_string())).collect();
    tenants.iter_mut().for_each(|tenant| assert_eq!(tenant.ask("x"), 1));
    assert_eq!(server.ask("DELETE", "/api/guests/counts").json(), serde_json::json!({ "removed": "counts" }));
    tenants.iter_mut().for_each(|tenant| assert_eq!(tenant.code(), CloseCode::Away));
    put();
    assert!(Tenant::connect(server.address, "0").ask("x") >= 2);
    let forgotten = server.ask("DELETE", "/api/guests/counts?memory").json();
    assert_eq!(forgotten["forgotten"], 9);
    put();
    let mut tenant = Tenant::connect(server.address, "0");
    assert_eq!(tenant.ask("x"), 1);
    assert_eq!(keys(&page(&server, "")), ["0"]);
    // Also that of a guest that was removed before.
    assert_eq!(server.ask("DELETE", "/api/guests/counts").status, 200);
    assert_eq!(tenant.code(), CloseCode::Away);
    assert_eq!(server.ask("DELETE", "/api/guests/counts?memory").json()["forgotten"], 1);
    assert_eq!(server.ask("DELETE", "/api/guests/counts?memory").status, 404);
    server.stop();
}

#[test]
fn the_memory_of_a_folder_that_nobody_serves_is_forgotten_from_the_command_line() {
    let folder = folder("", "");
    let path = folder.path().to_str().unwrap();
    let forget = |words: &[&str]| {
        let mut process = Process::with_words(&[&["forget", path], words].concat());
        (process.wait().code(), process.stdout(), process.stderr())
    };
    let server = Server::start(folder.path(), &[]);
    for key in ["a", "b", "c"] {
        assert_eq!(Tenant::connect(server.address, key).ask("x"), 1);
    }
    let (status, _, error) = forget(&["counts"]);
    assert!(status == Some(2) && error.starts_with("error: another server serves"), "{error}");
    server.stop();
    assert_eq!(forget(&["counts", "b"]).1, "forgotten: 1 of the guest `counts`\n");
    assert_eq!(forget(&["counts", "b"]).1, "forgotten: 0 of the guest `counts`\n");
    let server = Server::start(folder.path(), &[]);
    assert_eq!(keys(&page(&server, "")), ["a", "c"]);
    assert_eq!(Tenant::connect(server.address, "b").ask("x"), 1);
    server.stop();
    assert_eq!(forget(&["counts"]).1, "forgotten: 3 of the guest `counts`\n");
    let server = Server::start(folder.path(), &[]);
    assert_eq!(page(&server, "")["tenants"], Value::Array(Vec::new()));
    server.stop();
}
