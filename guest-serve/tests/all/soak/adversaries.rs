//! Tenants that spin, take all memory, trap, log without end, answer nothing, and leave.

use std::io::Write as _;
use std::net::TcpStream;
use std::thread::Scope;
use std::time::Duration;

use super::running::Running;
use crate::client::Client;
use crate::guests::{Guests, ledger};

const BAD: &str = r#"(module
    (memory (export "memory") 1)
    (func (export "spin") (result i64) (loop $again (br $again)) (i64.const 0))
    (func (export "eat") (result i64)
        (loop $again (br_if $again (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))) unreachable)
    (func (export "trap") (result i64) unreachable))"#;

/// Deploys them.
pub(super) fn put(guests: &Guests) {
    let routes = ["spin", "eat", "trap"].map(|name| format!("[[routes]]\npath = \"/{name}\"\nfunction = \"{name}\"\n"));
    let limits = "[limits]\nmemory = \"4MiB\"\ndeadline = \"10ms\"\nwaiting = 4\ncalls_per_second = 10000\n";
    guests.put("bad", &format!("{}{limits}", routes.concat()), BAD);
    let program = "[program]\nwebsocket = \"/{tenant}\"\n[limits]\nmemory = \"256KiB\"\ndeadline = \"10ms\"\n";
    guests.put("spinner", program, &ledger("(loop $again (br $again))"));
}

/// Starts a thread for each.
pub(super) fn attack<'s>(scope: &'s Scope<'s, '_>, running: &'s Running) {
    for (path, statuses) in [("/bad/spin", [503, 504]), ("/bad/eat", [503, 507]), ("/bad/trap", [503, 500])] {
        scope.spawn(move || call(running, path, &statuses));
    }
    scope.spawn(move || spin_in_a_room(running));
    scope.spawn(move || leave(running));
}

fn call(running: &Running, path: &str, statuses: &[u16]) {
    let _end = running.ends_on_failure();
    while !running.is_over() {
        let Some(mut client) = Client::try_new(running.address()) else {
            running.pause();
            continue;
        };
        while running.waits_for_attack() {
            client.send("POST", path, "", "");
            let Ok(response) = client.receive() else { break };
            assert!(statuses.contains(&response.status), "{path}: {response:?}");
            running.attacked();
        }
    }
}

/// A room whose program spins at each message: its connection is closed, and the next one is made.
fn spin_in_a_room(running: &Running) {
    use tokio_tungstenite::tungstenite::{Message, client};

    while running.waits_for_attack() {
        let address = running.address();
        let Some(stream) = Client::try_new(address).map(Client::into_stream) else {
            running.pause();
            continue;
        };
        let Ok((mut socket, _)) = client(format!("ws://{address}/spinner/room"), stream) else { continue };
        // Not eight bytes.
        if socket.send(Message::text("spin")).is_ok() && !matches!(socket.read(), Ok(Message::Binary(_))) {
            running.attacked();
        }
    }
}

/// Half a request, and a response that nobody reads.
fn leave(running: &Running) {
    while running.waits_for_attack() {
        let Ok(mut stream) = TcpStream::connect(running.address()) else { continue };
        // It may be closed already.
        let _ = stream.write_all(b"POST /numbers/gcd HTTP/1.1\r\nContent-Length: 100\r\n\r\n[1");
        std::thread::sleep(Duration::from_millis(2));
        drop(stream);
        running.attacked();
    }
}
