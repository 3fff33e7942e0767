//! The program as its users have it: guests are deployed, called, counted and replaced.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;

use serde_json::json;

use crate::client::Client;
use crate::guests::{GCD, GCD_ROUTE, Guests, TYPED_ROUTES, typed};
use crate::process::{Process, Request, Server};

/// A function that never ends, and one that traps.
const FAULTS: &str = r#"(module
    (func (export "spin") (result i32) (loop $l (br $l)) (i32.const 0))
    (func (export "trap") (result i32) unreachable))"#;

const FAULTS_ROUTES: &str = "[[routes]]\npath = \"/spin/{tenant}\"\nfunction = \"spin\"\n\
    [[routes]]\npath = \"/trap/{tenant}\"\nfunction = \"trap\"\n";

fn wasm(wat: &str) -> Vec<u8> {
    wat::parse_str(wat).unwrap()
}

#[test]
fn a_guest_is_put_called_and_counted() {
    let guests = Guests::new();
    let server = Server::start(guests.path(), &["--threads=2"]);
    assert_eq!(Client::new(server.address).post("/numbers/gcd", "[48, 18]").status, 404);
    assert_eq!(server.put_module("numbers", &wasm(GCD)).status, 202);
    assert_eq!(server.put_config("numbers", GCD_ROUTE).status, 200);
    let answer = Client::new(server.address).post("/numbers/gcd", "[48, 18]");
    assert_eq!((answer.status, answer.text().trim()), (200, "6"));
    assert_eq!(Client::new(server.address).post("/numbers/gcd", "[48, true]").status, 400);

    assert_eq!(server.put_module("faults", &wasm(FAULTS)).status, 202);
    assert_eq!(server.put_config("faults", FAULTS_ROUTES).status, 200);
    for (path, status) in [("/faults/trap/blue", 500), ("/faults/spin/blue", 504), ("/faults/spin/red", 504)] {
        assert_eq!(Client::new(server.address).post(path, "").status, status, "{path}");
    }
    let numbers = server.wait_for("numbers", |guest| guest["counts"]["calls"] == 2);
    let count = |of: &str| numbers["counts"][of].as_u64();
    assert_eq!((count("failed"), count("refused"), count("tenants")), (Some(0), Some(1), Some(1)), "{numbers}");
    assert_eq!(numbers["last_error"], json!(null), "a wrong request is no error of the guest");
    assert!(numbers["counts"]["instances"].as_u64() >= Some(1), "{numbers}");
    let faults = server.wait_for("faults", |guest| guest["counts"]["calls"] == 3);
    assert_eq!(faults["counts"]["tenants"], 2);
    assert_eq!(faults["last_error"]["function"], "spin");
    let metrics = server.ask("GET", "/metrics");
    for line in [
        "serve_requests_total{guest=\"numbers\",status=\"200\"} 1",
        "serve_requests_total{guest=\"numbers\",status=\"400\"} 1",
        "serve_requests_total{guest=\"faults\",status=\"504\"} 2",
        "serve_request_seconds_count{guest=\"faults\"} 3",
    ] {
        assert!(metrics.text().lines().any(|found| found == line), "{line} is not in\n{}", metrics.text());
    }
    assert_eq!(server.ask("DELETE", "/api/guests/numbers").status, 200);
    assert_eq!(Client::new(server.address).post("/numbers/gcd", "[48, 18]").status, 404);
}

#[test]
fn limits_and_log_lines_are_told_to_those_who_run_it() {
    let guests = Guests::new();
    guests.put("typed", &format!("{TYPED_ROUTES}calls_per_second = 1\nlog = \"4KiB\"\n"), &typed());
    let server = Server::start(guests.path(), &["--threads=1"]);
    let folder = guests.path().to_str().unwrap();
    assert_eq!(Client::new(server.address).post("/typed/slowly", "5").status, 200);
    let line = Process::with_words(&["logs", folder, "typed", "--follow"]);
    line.wait_for_stdout("typed slowly: hello\n");
    // The second one within a second, whenever that begins.
    let refused = (0..1000).find_map(|_| {
        let answer = Client::new(server.address).post("/typed/slowly", "5");
        (answer.status == 429).then_some(answer)
    });
    let refused = refused.unwrap();
    assert_eq!((refused.header("retry-after"), refused.error().0.as_str()), (Some("1"), "rate"));
    let typed = server.wait_for("typed", |guest| guest["counts"]["limited"].as_u64() >= Some(1));
    assert_eq!(typed["last_error"], json!(null));
    server.process.wait_for_stderr("\"event\":\"limited\",\"guest\":\"typed\"");
    let log = server.ask("GET", "/api/guests/typed/logs");
    let first: serde_json::Value = serde_json::from_str(log.text().lines().next().unwrap()).unwrap();
    assert_eq!(
        (&first["line"], &first["tenant"], &first["function"]),
        (&json!("hello"), &json!("typed"), &json!("slowly"))
    );
}

#[test]
fn files_are_served_below_the_mount_and_routes_beside_them() {
    let guests = Guests::new();
    guests.put("site", &format!("static = \"public\"\n{GCD_ROUTE}"), GCD);
    guests.write("site", "public/index.html", "<h1>home</h1>");
    guests.write("site", "public/gcd", "a file whose name is that of a route");
    guests.write("site", "secret.txt", "secret");
    let server = Server::start(guests.path(), &["--threads=1"]);
    let get = |method: &'static str, path: &'static str| Request::new(method, path).ask(server.address);
    let home = get("GET", "/site/");
    assert_eq!((home.status, home.text()), (200, "<h1>home</h1>"));
    assert_eq!(home.header("content-type"), Some("text/html; charset=utf-8"));
    let etag = home.header("etag").unwrap();
    let known = Request::new("GET", "/site/index.html").header("If-None-Match", etag).ask(server.address);
    assert_eq!((known.status, known.body.len()), (304, 0));
    let moved = get("GET", "/site");
    assert_eq!((moved.status, moved.header("location")), (308, Some("/site/")));
    assert_eq!(Client::new(server.address).post("/site/gcd", "[48, 18]").text().trim(), "6");
    assert_eq!(get("GET", "/site/gcd").text(), "a file whose name is that of a route");
    for path in ["/site/../secret.txt", "/site/%2e%2e/secret.txt", "/site/..%2fsecret.txt", "/secret.txt", "/site/none"]
    {
        assert_eq!(get("GET", path).status, 404, "{path}");
    }
    let mut client = Client::new(server.address);
    let length = client.send("HEAD", "/site/index.html", "Connection: close\r\n", "").head();
    assert!(length.contains("content-length: 13"), "{length}");
}

#[test]
fn versions_change_under_requests_and_none_is_lost() {
    let seven = r#"(module (func (export "gcd") (param i64 i64) (result i64) (i64.const 7)))"#;
    let guests = Guests::new();
    let config = format!("{GCD_ROUTE}[limits]\ncalls_per_second = 1000000\n");
    guests.put("numbers", &config, GCD);
    let server = Server::start(guests.path(), &["--threads=2"]);
    let ends = AtomicBool::new(false);
    thread::scope(|scope| {
        let clients: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut client = Client::new(server.address);
                    while !ends.load(Relaxed) {
                        let answer = client.post("/numbers/gcd", "[48, 18]");
                        assert_eq!(answer.status, 200, "{}", answer.text());
                        assert!(["6", "7"].contains(&answer.text().trim()), "{}", answer.text());
                    }
                })
            })
            .collect();
        for round in 0..10 {
            let module = wasm(if round % 2 == 0 { seven } else { GCD });
            assert_eq!(server.put_module("numbers", &module).status, 200);
            let answer = Client::new(server.address).post("/numbers/gcd", "[48, 18]");
            assert_eq!(
                answer.text().trim(),
                if round % 2 == 0 { "7" } else { "6" },
                "the next call has the new version"
            );
        }
        ends.store(true, Relaxed);
        for client in clients {
            client.join().unwrap();
        }
    });
}

#[cfg(unix)]
#[test]
fn a_signal_lets_running_requests_end_and_a_second_one_does_not() {
    let config = format!("{FAULTS_ROUTES}[limits]\ndeadline = \"200ms\"\n");
    for (signals, status, answered) in [(&["TERM"] as &[&str], 0, true), (&["TERM", "INT"], 1, false)] {
        let guests = Guests::new();
        let slow = if answered { config.clone() } else { config.replace("200ms", "60s") };
        guests.put("faults", &slow, FAULTS);
        let options = ["--threads=1", "--shutdown-time=55s", "--wait=50s"];
        let server = Server::start(guests.path(), &options);
        let mut client = Client::new(server.address);
        client.send("POST", "/faults/spin/blue", "", "");
        // The thread of the connection takes requests in their order.
        assert_eq!(Client::new(server.address).post("/faults/trap/blue", "").status, 500);
        for signal in signals {
            server.process.signal(signal);
            server.process.wait_for_stderr("stopping: ");
        }
        let answer = client.receive();
        assert_eq!(answer.is_ok_and(|answer| answer.status == 504), answered);
        let (found, error) = server.process.end();
        assert_eq!(found, Some(status), "{error}");
        let last =
            if answered { "stopped\n" } else { "error: requests were still running when a second signal came\n" };
        assert!(error.ends_with(last), "{error}");
    }
}
