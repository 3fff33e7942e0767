//! The administration: the API, the token, the page, metrics and logs.

use std::fs;
use std::io::BufRead as _;

use serde_json::{Value, json};

use crate::client::Response;
use crate::guests::{GCD, GCD_ROUTE, Guests};
use crate::process::{Request, Server};

fn wasm(wat: &str) -> Vec<u8> {
    wat::parse_str(wat).unwrap()
}

/// The status of a refusal, and the kind of its error.
fn refused(response: &Response) -> (u16, String) {
    (response.status, response.error().0)
}

#[test]
fn guests_are_listed_put_and_removed() {
    let guests = Guests::new();
    guests.put("numbers", &format!("static = \"public\"\n{GCD_ROUTE}"), GCD);
    guests.write("numbers", "public/index.html", "hello");
    guests.write("broken", "guest.toml", "mount = 1");
    let server = Server::start(guests.path(), &[]);
    let listed = server.ask("GET", "/api/guests");
    assert_eq!((listed.status, listed.header("content-type")), (200, Some("application/json")));
    let listed = listed.json();
    assert_eq!(listed["error"], Value::Null);
    assert_eq!(listed["guests"][0]["name"], "broken");
    assert_eq!(listed["guests"][0]["deployment"], Value::Null);
    assert_eq!(listed["guests"][0]["error"], "broken/guest.toml:1:9: `mount` must be a string, not a number");
    let numbers = server.ask("GET", "/api/guests/numbers").json();
    assert_eq!(numbers, listed["guests"][1]);
    let deployment = &numbers["deployment"];
    let route = json!({"method": "POST", "path": "/gcd", "function": "gcd", "format": "values", "stream": false});
    assert_eq!((&deployment["routes"], &deployment["program"]), (&json!([route]), &Value::Null));
    assert_eq!(deployment["files"], json!({"count": 1, "bytes": 5}));
    assert_eq!((&deployment["mount"], &deployment["version"]), (&json!("/numbers"), &json!(1)));
    assert_eq!(deployment["limits"]["deadline_us"], 50_000);
    assert_eq!(numbers["counts"]["calls"], 0);

    let stored = server.put_module("more", &wasm(GCD));
    assert_eq!((stored.status, stored.json()), (202, json!({"deployment": null, "lacks": "guest.toml"})));
    assert_eq!(refused(&server.ask("GET", "/api/guests/more")), (404, "unknown-guest".to_owned()));
    let put = server.put_config("more", GCD_ROUTE);
    assert_eq!((put.status, &put.json()["deployment"]["mount"]), (200, &json!("/more")));
    assert_eq!(server.ask("GET", "/api/guests/more").json()["deployment"], put.json()["deployment"]);

    for (answer, error) in [
        (server.put_module("more", b"text"), (422, "invalid-guest")),
        (server.put_config("more", "mount = 1"), (422, "invalid-guest")),
        (server.put_config("more", &format!("mount = \"/numbers\"\n{GCD_ROUTE}")), (409, "mount")),
        (server.put_module("More", &wasm(GCD)), (400, "invalid-name")),
        (server.put_config("more", &"#".repeat(300 << 10)), (413, "invalid-request")),
        (server.request("PUT", "/api/guests/more/config").body(b"\xff").ask(server.admin), (400, "invalid-request")),
        (server.request("PUT", "/api/guests/more").body(b"\0asm").ask(server.admin), (415, "invalid-request")),
        (server.ask("DELETE", "/api/guests/none"), (404, "unknown-guest")),
        (server.ask("DELETE", "/api/guests/..%2fetc"), (400, "invalid-name")),
        (server.ask("GET", "/api/guests/none/logs"), (404, "unknown-guest")),
        (server.ask("POST", "/api/guests/more"), (405, "wrong-method")),
        (server.ask("GET", "/api/guests/%ff"), (400, "invalid-request")),
        (server.ask("GET", "/api/none"), (404, "no-route")),
    ] {
        assert_eq!(refused(&answer), (error.0, error.1.to_owned()), "{}", answer.text());
    }
    let error = server.put_config("more", &format!("{GCD_ROUTE}[limits]\nmemory = \"1\"")).error().1;
    assert_eq!(error, "more/guest.toml:5:10: `memory`: `1` has no unit: write `1B`, `1KiB` or `1MiB`");
    assert_eq!(fs::read_to_string(guests.path().join("more/guest.toml")).unwrap(), GCD_ROUTE);

    assert_eq!(server.ask("DELETE", "/api/guests/more").json(), json!({"removed": "more"}));
    assert_eq!(server.ask("GET", "/api/guests/more").status, 404);
    assert!(!guests.path().join("more").exists());
}

#[test]
fn a_change_in_the_folder_is_served_without_a_request() {
    let guests = Guests::new();
    guests.put("one", GCD_ROUTE, GCD);
    let server = Server::start(guests.path(), &[]);
    guests.put("two", GCD_ROUTE, GCD);
    server.wait_for("two", |guest| guest["deployment"]["version"] == 2);
    guests.write("one", "guest.toml", "mount = 1");
    let one = server.wait_for("one", |guest| !guest["error"].is_null());
    assert_eq!(one["deployment"]["version"], 1, "the old version is served");
    guests.write("one", "guest.toml", format!("mount = \"/moved\"\n{GCD_ROUTE}"));
    let one = server.wait_for("one", |guest| guest["error"].is_null());
    assert_eq!(one["deployment"]["mount"], "/moved");
    fs::remove_dir_all(guests.path().join("two")).unwrap();
    server.wait_for("two", |guest| guest["error"]["kind"] == "unknown-guest");
}

#[test]
fn nothing_is_shown_or_changed_without_the_token() {
    let guests = Guests::new();
    guests.put("numbers", GCD_ROUTE, GCD);
    let server = Server::start(guests.path(), &[]);
    for (method, path) in [
        ("GET", "/api/guests"),
        ("GET", "/api/guests/numbers"),
        ("PUT", "/api/guests/numbers"),
        ("PUT", "/api/guests/numbers/config"),
        ("DELETE", "/api/guests/numbers"),
        ("GET", "/api/guests/numbers/logs"),
        ("GET", "/metrics"),
        ("GET", "/none"),
        ("POST", "/"),
        ("POST", "/logout"),
    ] {
        for (name, value) in [
            ("X-None", String::new()),
            ("Authorization", "Bearer wrong".to_owned()),
            ("Authorization", "Bearer ".to_owned()),
            ("Authorization", format!("Basic {}", server.token)),
            ("Cookie", format!("guest-serve={}", server.token)),
            ("Cookie", "guest-serve=".to_owned()),
        ] {
            let answer = Request::new(method, path).header(name, value.clone()).ask(server.admin);
            assert_eq!(refused(&answer), (401, "no-token".to_owned()), "{method} {path} {name}: {value}");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
            assert!(!answer.text().contains("numbers"), "{}", answer.text());
        }
    }
    assert!(guests.path().join("numbers").exists());
}

#[test]
fn a_browser_gives_the_token_once() {
    let guests = Guests::new();
    guests.put("numbers", GCD_ROUTE, GCD);
    guests.write("broken", "guest.toml", "mount = \"<script>\"");
    let server = Server::start(guests.path(), &[]);
    for path in ["/", "/guests/numbers"] {
        let page = Request::new("GET", path).ask(server.admin);
        assert_eq!(page.status, 401);
        assert!(page.text().contains("action=\"/login\"") && !page.text().contains("numbers"), "{}", page.text());
    }
    let login = |token: &str| {
        let body = format!("token={token}");
        Request::new("POST", "/login").body(body.as_bytes()).ask(server.admin)
    };
    let wrong = login("wrong");
    assert!(wrong.status == 401 && wrong.header("set-cookie").is_none(), "{}", wrong.text());
    assert!(wrong.text().contains("this is not the token"), "{}", wrong.text());
    let right = login(&server.token);
    assert_eq!((right.status, right.header("location")), (303, Some("/")));
    let set = right.header("set-cookie").unwrap();
    assert!(set.contains("; HttpOnly; SameSite=Strict") && !set.contains(&server.token), "{set}");
    let cookie = set.split(';').next().unwrap();
    let page = Request::new("GET", "/").header("Cookie", cookie).ask(server.admin);
    assert_eq!(page.status, 200);
    assert!(page.text().contains("/numbers") && page.text().contains("&lt;script&gt;"), "{}", page.text());
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    for path in ["/style.css", "/script.js"] {
        assert!(page.text().contains(path), "{path}");
        assert_eq!(Request::new("GET", path).ask(server.admin).status, 200);
    }
    assert_eq!(Request::new("GET", "/api/guests").header("Cookie", cookie).ask(server.admin).status, 200);

    let page = |path: &str| Request::new("GET", path).header("Cookie", cookie).ask(server.admin);
    let numbers = page("/guests/numbers");
    assert_eq!(numbers.status, 200);
    for part in ["/numbers/gcd", "<td>gcd</td>", "16 MiB", "50ms", "No call left a line."] {
        assert!(numbers.text().contains(part), "{part} is not in {}", numbers.text());
    }
    let broken = page("/guests/broken");
    assert!(broken.status == 200 && broken.text().contains("&lt;script&gt;"), "{}", broken.text());
    assert_eq!(page("/guests/none").status, 404);

    // A page of a guest, on another port of the same host, cannot use the cookie to change something.
    let remove = |origin: Option<String>| {
        let request = Request::new("DELETE", "/api/guests/numbers").header("Cookie", cookie);
        let request = match origin {
            Some(origin) => request.header("Origin", origin),
            None => request,
        };
        request.ask(server.admin)
    };
    for origin in [None, Some(format!("http://{}", server.address)), Some("null".to_owned())] {
        assert_eq!(refused(&remove(origin.clone())), (403, "other-site".to_owned()), "{origin:?}");
    }
    // The client's requests go to the host `x`.
    assert_eq!(remove(Some("http://x".to_owned())).status, 200);
    let origin = "http://x";
    let out = Request::new("POST", "/logout").header("Cookie", cookie).header("Origin", origin).ask(server.admin);
    assert!(out.status == 303 && out.header("set-cookie").unwrap().contains("Max-Age=0"));
}

#[test]
fn metrics_are_those_of_guests() {
    let guests = Guests::new();
    guests.put("numbers", GCD_ROUTE, GCD);
    guests.write("broken", "guest.toml", "mount = 1");
    let server = Server::start(guests.path(), &[]);
    let metrics = server.ask("GET", "/metrics");
    assert!(metrics.header("content-type").unwrap().starts_with("application/openmetrics-text"));
    for line in [
        "serve_version{guest=\"numbers\"} 1",
        "serve_version{guest=\"broken\"} 0",
        "serve_deployment_failed{guest=\"numbers\"} 0",
        "serve_deployment_failed{guest=\"broken\"} 1",
        "serve_request_seconds_count{guest=\"numbers\"} 0",
        "serve_request_seconds_bucket{le=\"+Inf\",guest=\"numbers\"} 0",
        "serve_limited_total{guest=\"numbers\"} 0",
        "serve_active_tenants{guest=\"numbers\"} 0",
        "serve_instance_memory_bytes{guest=\"numbers\"} 0",
        "# EOF",
    ] {
        assert!(metrics.text().lines().any(|found| found == line), "{line} is not in\n{}", metrics.text());
    }
}

#[test]
fn a_log_is_read_and_followed() {
    let guests = Guests::new();
    guests.put("numbers", GCD_ROUTE, GCD);
    let line = |number: u32| {
        format!("{{\"time\":\"t\",\"level\":\"info\",\"function\":\"f\",\"line\":\"{number}\",\"tenant\":\"blue\"}}\n")
    };
    guests.write(".serve/logs", "numbers", line(1));
    let server = Server::start(guests.path(), &[]);
    let log = server.ask("GET", "/api/guests/numbers/logs");
    assert_eq!((log.header("content-type"), log.text()), (Some("application/x-ndjson"), line(1).as_str()));

    let mut stream = server.request("GET", "/api/guests/numbers/logs?follow").send(server.admin).into_reader();
    let mut next = |part: &str| {
        loop {
            let mut found = String::new();
            assert!(stream.read_line(&mut found).unwrap() > 0, "the log ends before {part}");
            if found.contains(part) {
                return;
            }
        }
    };
    next("\"line\":\"1\"");
    guests.append(".serve/logs", "numbers", &line(2));
    next("\"line\":\"2\"");

    let folder = guests.path().to_str().unwrap();
    let print = |words: &[&str]| {
        let mut process = crate::process::Process::with_words(&[&["logs", folder, "numbers"], words].concat());
        (process.wait().code(), process.stdout())
    };
    assert_eq!(print(&[]), (Some(0), "t info  blue f: 1\nt info  blue f: 2\n".to_owned()));
    assert_eq!(print(&["--json"]), (Some(0), line(1) + &line(2)));
    let (status, error) = crate::process::Process::with_words(&["logs", folder, "none"]).end();
    assert!(status == Some(2) && error.starts_with("error: there is no guest `none` in "), "{error}");

    #[cfg(unix)]
    {
        // A follower does not keep the server from stopping.
        server.process.signal("TERM");
        let (status, error) = server.process.end();
        assert!(status == Some(0) && error.ends_with("stopped\n"), "{error}");
    }
}
