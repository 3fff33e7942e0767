//! A disk that takes nothing more for a while.

use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::counters::{counter_routes, counters};
use crate::counting::{Tenant, folder};
use crate::guests::Guests;
use crate::process::{Process, Request, Server};

#[test]
fn events_that_cannot_be_kept_have_not_happened_and_the_beginning_and_end_of_the_fault_are_told() {
    let folder = folder("", "");
    let server = Server::started(Process::start_with_bounded_files(folder.path(), &["--program-threads", "1"]));
    let mut tenant = Tenant::connect(server.address, "a");
    assert_eq!([tenant.ask("x"), tenant.ask("x")], [1, 2]);
    // Room for lines of the log, and for nothing else.
    server.process.bound_files(Some(16 << 10));
    for _ in 0..3 {
        tenant.send("x");
        assert_eq!(tenant.code(), CloseCode::Error);
        // For longer than the server rests. What it writes meanwhile has room, and is no sign that the fault is over.
        std::thread::sleep(std::time::Duration::from_millis(1200));
        tenant = Tenant::connect(server.address, "a");
    }
    let told = |server: &Server| server.process.stderr().matches("\"event\":\"store\"").count();
    server.process.wait_for_stderr("\"event\":\"store\",\"error\":\"");
    let error = server.ask("GET", "/api/guests").json()["store_error"].clone();
    assert!(error.as_str().is_some_and(|error| !error.is_empty()), "{error}");
    assert!(server.ask("GET", "/").text().contains(error.as_str().unwrap()));
    let guest = server.ask("GET", "/api/guests/counts").json();
    assert_eq!(guest["last_error"]["kind"], "store", "{guest}");
    server.process.bound_files(None);
    drop(tenant);
    // The answered events are there, and besides them at most one end for each connection.
    let mut tenant = Tenant::connect(server.address, "a");
    let number = tenant.ask("x");
    assert!(number % 1000 == 3 && (1..=4).contains(&(number / 1000)), "{number}");
    server.process.wait_for_stderr("\"event\":\"store\",\"error\":null");
    assert_eq!(told(&server), 2);
    assert!(server.ask("GET", "/api/guests").json()["store_error"].is_null());
    server.stop();
    let server = Server::start(folder.path(), &[]);
    let number = Tenant::connect(server.address, "a").ask("x");
    assert_eq!(number % 1000, 4);
    server.stop();
}

#[test]
fn calls_that_write_records_succeed_again_when_the_fault_is_over() {
    let folder = Guests::new();
    folder.put("counters", &counter_routes(), &counters());
    let threads = ["--program-threads", "2"];
    let server = Server::started(Process::start_with_bounded_files(folder.path(), &threads));
    let count = |tenant: &str| Request::new("POST", &format!("/counters/count/{tenant}")).ask(server.address);
    let tenants = ["a", "b", "c", "d"];
    assert_eq!(tenants.map(|tenant| count(tenant).json()["n"].as_u64()), [Some(1); 4]);
    server.process.bound_files(Some(16 << 10));
    for tenant in tenants {
        assert_eq!(count(tenant).status, 500);
    }
    server.process.bound_files(None);
    // Nothing but these calls uses the file.
    assert_eq!(tenants.map(|tenant| count(tenant).json()["n"].as_u64()), [Some(2); 4]);
    assert_eq!(tenants.map(|tenant| count(tenant).json()["n"].as_u64()), [Some(3); 4]);
    server.process.wait_for_stderr("\"event\":\"store\",\"error\":null");
    server.stop();
}

#[test]
fn queries_are_answered_again_when_the_fault_is_over_though_nothing_is_written() {
    let folder = Guests::new();
    folder.put("counters", &counter_routes(), &counters());
    let server = Server::started(Process::start_with_bounded_files(folder.path(), &["--program-threads", "1"]));
    let ask = |method: &str, path: &str| Request::new(method, path).ask(server.address);
    assert_eq!(ask("POST", "/counters/count/a").status, 200);
    server.process.bound_files(Some(16 << 10));
    assert_eq!(ask("POST", "/counters/count/a").status, 500);
    assert_eq!(ask("GET", "/counters/counted/a").status, 500, "a query does not open the file");
    server.process.bound_files(None);
    server.process.wait_for_stderr("\"event\":\"store\",\"error\":null");
    assert_eq!(ask("GET", "/counters/counted/a").json()["n"], 1);
    server.stop();
}
