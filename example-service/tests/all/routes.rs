//! Each route, and each way in which a request can fail.

use serde_json::json;

use crate::client::{Response, request, send};
use crate::process::Home;

#[test]
fn a_call_is_answered_and_what_it_wrote_is_there() {
    let home = Home::new();
    let service = home.start(&[]).with_tenants(&["acme"]);
    assert_eq!(service.get("/health").json(), json!({ "status": "ok" }));

    let called = service.post("/tenants/acme/tally", "");
    assert_eq!(called.status, 200);
    let intent = |operation: &str, n: u64| json!({ "operation": operation, "storage": "sys.Record", "entity": "tally", "key": {}, "value": { "n": n } });
    assert_eq!(called.json(), json!({ "result": null, "intents": [intent("new", 1)], "log": [] }));
    assert_eq!(service.post("/tenants/acme/tally", "{}").json()["intents"], json!([intent("update", 2)]));
    let records = service.get("/tenants/acme/records?storage=sys.Record&entity=tally").json();
    assert_eq!(records, json!({ "records": [{ "key": {}, "value": { "n": 2 } }], "more": false }));

    let event = json!({ "Number": 4711, "Logo": { "$bytes": "AAE=" } });
    let answered = service.post("/tenants/acme/answer", &event.to_string()).json();
    assert_eq!(answered, json!({ "result": event, "intents": [], "log": [] }), "a result is not a record");
    let results = service.get("/tenants/acme/records?storage=sys.Result").json();
    assert_eq!(results["records"], json!([]));
}

#[test]
fn each_failure_has_its_status_and_kind() {
    let home = Home::new();
    let options = ["--deadline", "50ms", "--memory-limit", "256KiB", "--body-limit", "1KiB"];
    let service = home.start(&options).with_tenants(&["acme"]);
    let large = format!("{{\"x\":\"{}\"}}", "x".repeat(2000));
    let cases = [
        ("/tenants/acme/spin", "", 504, "deadline-exceeded"),
        ("/tenants/acme/refuse", "", 422, "guest-error"),
        ("/tenants/acme/grow_or_abort", "", 507, "out-of-memory"),
        ("/tenants/acme/abort", "", 500, "unreachable"),
        ("/tenants/acme/read_unknown", "", 500, "state"),
        ("/tenants/acme/update_of_none", "", 422, "intents"),
        ("/tenants/acme/taly", "", 404, "missing-export"),
        ("/tenants/other/tally", "", 404, "unknown-tenant"),
        ("/tenants/Acme/tally", "", 400, "invalid-tenant"),
        ("/tenants/a%2Fb/tally", "", 400, "invalid-tenant"),
        ("/tenants/acme/tally", "[]", 400, "invalid-event"),
        ("/tenants/acme/tally", "{\"x\":null}", 400, "invalid-event"),
        ("/tenants/acme/tally", &large, 413, "body"),
    ];
    for (path, body, status, kind) in cases {
        let response = service.post(path, body);
        assert_eq!((response.status, response.kind().as_str()), (status, kind), "{path}: {}", response.body);
        assert_eq!(response.header("retry-after"), None, "{path}");
    }
    let refused = service.post("/tenants/acme/refuse", "").json();
    assert_eq!((&refused["error"]["code"], &refused["error"]["message"]), (&json!(1000), &json!("hello (code 1000)")));
    let hello = json!([{ "level": "info", "line": "hello" }]);
    assert_eq!(refused["log"], hello, "a failed call's log is in the answer");
    assert_eq!(
        service.post("/tenants/acme/update_of_none", "").json()["log"],
        hello,
        "that of a failed commit as well"
    );
    assert_eq!(service.post("/tenants/acme/taly", "").json().get("log"), None, "there was no call");
    assert!(service.post("/tenants/acme/taly", "").body.contains("did you mean `tally`?"));
    let message = |response: &Response| response.json()["error"]["message"].as_str().unwrap().to_owned();
    assert_eq!(message(&service.post("/tenants/acme/tally", &large)), "the body is larger than 1024 bytes");
    assert!(
        message(&service.post("/tenants/acme/tally", "{")).starts_with("the body is not an event: line 1, column ")
    );
    assert!(message(&service.post("/tenants/other/tally", "")).contains("make it by PUT /tenants/other"));

    let others = [
        ("PUT", "/tenants/A", 400, "invalid-tenant"),
        ("GET", "/tenants/other/records?storage=sys.Record", 404, "unknown-tenant"),
        ("GET", "/tenants/acme/records?storage=my.Store", 404, "unsupported-storage"),
        ("GET", "/tenants/acme/records", 400, "invalid-request"),
        ("GET", "/tenants/%FF/records?storage=sys.Record", 400, "invalid-request"),
        ("POST", "/tenants/acme/records", 404, "missing-export"),
        ("DELETE", "/tenants/acme", 405, "wrong-method"),
        ("GET", "/nothing", 404, "no-route"),
    ];
    for (method, path, status, kind) in others {
        let response = request(service.address, method, path, "").unwrap();
        assert_eq!((response.status, response.kind().as_str()), (status, kind), "{path}: {}", response.body);
    }
    let wrong = request(service.address, "DELETE", "/tenants/acme", "").unwrap();
    assert_eq!(wrong.header("allow"), Some("PUT"));

    // The service still runs after all these calls, and none of them wrote anything.
    assert_eq!(service.post("/tenants/acme/tally", "").json()["intents"][0]["value"], json!({ "n": 1 }));
    assert_eq!(service.get("/tenants/acme/records?storage=sys.Record&entity=none").json()["records"], json!([]));
}

#[test]
fn metrics_count_requests_calls_and_commits() {
    let home = Home::new();
    let service = home.start(&[]).with_tenants(&["acme"]);
    for function in ["tally", "tally", "refuse", "answer"] {
        service.post(&format!("/tenants/acme/{function}"), "");
    }
    let metrics = service.get("/metrics");
    assert!(metrics.header("content-type").unwrap().starts_with("application/openmetrics-text"));
    let lines: Vec<&str> = metrics.body.lines().collect();
    for line in [
        "service_requests_total{status=\"200\"} 4",
        "service_requests_total{status=\"422\"} 1",
        "service_requests_running 1",
        "service_commits_total 4",
        "guest_invocations_total{guest=\"ledger\",function=\"tally\"} 2",
        "guest_errors_total{guest=\"ledger\",function=\"refuse\",cause=\"guest-error\"} 1",
    ] {
        assert!(lines.contains(&line), "{line} is not in:\n{}", metrics.body);
    }
    assert!(!metrics.body.contains("acme"), "no tenant is in a label");
    assert_eq!(lines.last(), Some(&"# EOF"));
}

#[test]
fn requests_beyond_the_queues_are_refused_and_may_come_again() {
    let home = Home::new();
    let options = ["--deadline", "3s", "--tenant-queue", "1", "--queue", "2", "--instances", "1", "--wait", "50ms"];
    let service = home.start(&options).with_tenants(&["a", "b", "c"]);
    let spinning = send(service.address, "POST", "/tenants/a/spin", "").unwrap();
    service.wait_for("service_requests_running", 2);
    let refused = [
        // Its place is taken.
        ("/tenants/a/tally", "busy"),
        // There is no instance, until it waited too long.
        ("/tenants/b/tally", "busy"),
    ];
    for (path, kind) in refused {
        let response = service.post(path, "");
        assert_eq!((response.status, response.kind().as_str()), (503, kind), "{path}: {}", response.body);
        assert_eq!(response.header("retry-after"), Some("1"));
    }
    assert_eq!(crate::client::receive(spinning).unwrap().status, 504);
    for path in ["/tenants/a/tally", "/tenants/b/tally", "/tenants/c/tally"] {
        assert_eq!(service.post(path, "").status, 200);
    }
}
