//! Programs whose events take longer than a thread of programs can wait.

use std::io::{ErrorKind, Read as _, Write as _};
use std::time::Duration;

use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::counting::{Tenant, folder};
use crate::process::Server;

fn count(server: &Server, name: &str) -> u64 {
    server.ask("GET", "/api/guests/counts").json()["counts"][name].as_u64().unwrap()
}

/// One thread of either kind.
const ONE: [&str; 4] = ["--program-threads", "1", "--slow-threads", "1"];

#[test]
fn a_program_that_spins_does_not_hold_up_other_tenants_and_is_undone_at_its_deadline() {
    let folder = folder("", "deadline = \"3s\"\n");
    let server = Server::start(folder.path(), &ONE);
    let [mut spins, mut beside, mut other] = ["a", "a", "b"].map(|key| Tenant::connect(server.address, key));
    assert_eq!((spins.ask("x"), beside.ask("x")), (1, 2));
    spins.send("s");
    // It waits behind the one that spins, and another tenant does not.
    beside.send("x");
    for number in 1..=50 {
        assert_eq!(other.ask("x"), number);
    }
    assert_eq!(spins.code(), CloseCode::Error);
    // As before the event. The end of the connection may be counted already, or not.
    assert!([3, 1003].contains(&beside.number()));
    assert!(beside.ask("x") >= 4);
    assert!(count(&server, "slow") >= 1);
    let error = server.ask("GET", "/api/guests/counts").json()["last_error"].clone();
    assert_eq!((error["kind"].as_str(), error["tenant"].as_str()), (Some("deadline-exceeded"), Some("a")), "{error}");
    server.stop();
}

#[test]
fn events_of_a_tenant_happen_once_and_in_order_on_whichever_lane() {
    let folder = folder("", "deadline = \"1min\"\n");
    let server = Server::start(folder.path(), &["--program-threads", "1", "--slow-threads", "2"]);
    let mut numbers: Vec<u64> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..4)
            .map(|client| {
                let address = server.address;
                scope.spawn(move || {
                    let mut tenant = Tenant::connect(address, "a");
                    let numbers: Vec<u64> =
                        (0..25).map(|event| tenant.ask(if (event + client) % 8 == 0 { "w" } else { "x" })).collect();
                    // Nobody is told of its end before all have had their answers.
                    (tenant, numbers)
                })
            })
            .collect();
        let done: Vec<_> = clients.into_iter().map(|client| client.join().unwrap()).collect();
        done.iter().for_each(|(_, numbers)| assert!(numbers.is_sorted_by(|one, other| one < other), "{numbers:?}"));
        done.into_iter().flat_map(|(_, numbers)| numbers).collect()
    });
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=100).collect::<Vec<_>>());
    assert!(count(&server, "slow") >= 8);
    // A log line for each event, and none for attempts that were given up.
    server.stop();
    let log = std::fs::read_to_string(folder.path().join(".serve/logs/counts")).unwrap();
    assert_eq!(log.matches("counted").count(), 100);
}

#[test]
fn the_end_of_a_connection_waits_for_an_event_that_is_slow() {
    let folder = folder("", "deadline = \"1min\"\n");
    let server = Server::start(folder.path(), &ONE);
    for round in 0..3 {
        let mut gone = Tenant::connect(server.address, "a");
        gone.send("w");
        drop(gone);
        // One that comes in meanwhile has its turn behind.
        let mut next = Tenant::connect(server.address, "a");
        loop {
            let number = next.ask("x");
            if number / 1000 > 2 * round {
                break;
            }
        }
        next.0.close(None).unwrap();
        while next.0.read().is_ok() {}
        // Both ends were told, each once.
        let mut last = Tenant::connect(server.address, "b");
        last.ask("w");
    }
    let mut tenant = Tenant::connect(server.address, "a");
    while tenant.ask("x") / 1000 < 6 {}
    assert_eq!(tenant.ask("x") / 1000, 6);
    server.stop();
}

#[test]
fn a_server_that_stops_while_an_event_is_away_keeps_what_was_answered() {
    let folder = folder("", "deadline = \"10min\"\n");
    let server = Server::start(folder.path(), &[&ONE[..], &["--shutdown-time", "1s"]].concat());
    let mut tenant = Tenant::connect(server.address, "a");
    assert_eq!([tenant.ask("x"), tenant.ask("x")], [1, 2]);
    tenant.send("s");
    let mut other = Tenant::connect(server.address, "b");
    assert_eq!(other.ask("x"), 1);
    server.process.signal("TERM");
    let (status, error) = server.process.end();
    assert!(status == Some(1) && error.contains("requests were still running"), "{error}");
    // The next process tells the program of the end of its connection.
    let server = Server::start(folder.path(), &ONE);
    let mut tenant = Tenant::connect(server.address, "a");
    assert_eq!(tenant.ask("x"), 1003);
    assert_eq!(Tenant::connect(server.address, "b").ask("x"), 1002);
    server.stop();
}

#[test]
fn a_process_that_is_killed_while_an_event_is_away_has_what_was_answered() {
    let folder = folder("", "deadline = \"10min\"\n");
    for round in 0..4 {
        let server = Server::start(folder.path(), &ONE);
        let mut tenant = Tenant::connect(server.address, "a");
        // The process before left one connection.
        assert_eq!(tenant.ask("x"), round * 1002 + 1);
        assert_eq!(tenant.ask("w"), round * 1002 + 2);
        tenant.send("s");
        tenant.0.get_ref().set_read_timeout(Some(Duration::from_millis(20 * round + 1))).ok();
        let waited = tenant.0.get_mut().read(&mut [0]);
        assert!(waited.is_err_and(|error| matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)));
        tenant.0.get_mut().flush().unwrap();
        server.process.signal("KILL");
        server.process.end();
    }
}

#[test]
fn an_event_for_which_the_slow_lane_has_no_place_is_undone_and_its_client_told() {
    let folder = folder("", "deadline = \"10min\"\n");
    let server = Server::start(folder.path(), &[&ONE[..], &["--slow-waiting", "1"]].concat());
    let mut tenants = ["a", "b", "c"].map(|key| Tenant::connect(server.address, key));
    // One runs, and one waits.
    for tenant in &mut tenants {
        assert_eq!(tenant.ask("x"), 1);
        tenant.send("s");
        tenant.0.get_ref().set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    }
    server.wait_for("counts", |guest| guest["last_error"]["kind"] == "busy");
    let [_, second, third] = &mut tenants;
    let closed = loop {
        let heard = [second.0.read(), third.0.read()].into_iter().find_map(Result::ok);
        if let Some(Message::Close(frame)) = heard {
            break frame.unwrap();
        }
    };
    assert_eq!(closed.code, CloseCode::Again);
    server.process.signal("KILL");
    server.process.end();
    // Nothing of the three is lost.
    let server = Server::start(folder.path(), &ONE);
    for key in ["a", "b", "c"] {
        assert_eq!(Tenant::connect(server.address, key).ask("x"), 1002);
    }
    server.stop();
}
