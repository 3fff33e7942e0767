//! Ledgers of numbers, one for each room, over WebSockets.

use std::net::TcpStream;

use tokio_tungstenite::tungstenite::{Message, WebSocket, client};

use super::running::Running;
use crate::client::PATIENCE;
use crate::guests::{Guests, LEDGER_FACTOR, ledger};

const CONFIG: &str = "[program]\nwebsocket = \"/{tenant}\"\n[limits]\nmemory = \"256KiB\"\ncalls_per_second = 100000\n";

/// The guest.
pub(super) fn put(guests: &Guests) {
    guests.put("ledger", CONFIG, &ledger("unreachable"));
}

/// The content of a ledger: the count of its numbers, and their digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Ledger {
    count: u64,
    digest: u64,
}

impl Ledger {
    fn with(self, number: u64) -> Self {
        Self { count: self.count + 1, digest: self.digest.wrapping_mul(LEDGER_FACTOR).wrapping_add(number) }
    }

    /// Whether a ledger found after an interruption is one that may be: nothing that was acknowledged is missing, and the number that was
    /// on its way is there once or not at all.
    pub(super) fn may_become(self, found: Self, sent: Option<u64>) -> bool {
        found == self || sent.is_some_and(|number| found == self.with(number))
    }
}

/// Keeps a room's ledger until the end, over all kills.
pub(super) fn keep(running: &Running, room: usize) {
    let _end = running.ends_on_failure();
    let mut known = Ledger::default();
    let mut next = room as u64 * 1_000_000_000 + 1;
    let mut sent = None;
    while !running.is_over() {
        // The server is away for a moment after each kill.
        let Some(mut socket) = connect(running, room) else {
            running.pause();
            continue;
        };
        let Some(found) = ask(&mut socket, 0) else { continue };
        assert!(known.may_become(found, sent), "room {room}: {known:?} and perhaps {sent:?}, but {found:?}");
        (known, sent) = (found, None);
        while !running.is_over() {
            sent = Some(next);
            next += 1;
            let Some(answer) = sent.and_then(|number| ask(&mut socket, number)) else { break };
            known = known.with(next - 1);
            assert_eq!(answer, known, "room {room}");
            sent = None;
            running.acknowledged();
            running.pause();
        }
    }
}

fn connect(running: &Running, room: usize) -> Option<WebSocket<TcpStream>> {
    let address = running.address();
    let stream = TcpStream::connect_timeout(&address, PATIENCE).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    Some(client(format!("ws://{address}/ledger/{room}"), stream).ok()?.0)
}

/// Sends a number; the answer, unless the connection ends before.
fn ask(socket: &mut WebSocket<TcpStream>, number: u64) -> Option<Ledger> {
    socket.send(Message::binary(number.to_le_bytes().to_vec())).ok()?;
    match socket.read().ok()? {
        Message::Binary(bytes) => answer(&bytes),
        // Both numbers may be text by chance.
        Message::Text(text) => answer(text.as_bytes()),
        _ => None,
    }
}

fn answer(bytes: &[u8]) -> Option<Ledger> {
    let (numbers, _) = bytes.as_chunks();
    let [count, digest] = numbers else { panic!("{bytes:?}") };
    Some(Ledger { count: u64::from_le_bytes(*count), digest: u64::from_le_bytes(*digest) })
}

#[test]
fn a_ledger_that_lost_or_doubled_a_number_is_found() {
    let known = Ledger::default().with(7).with(8);
    assert!(known.may_become(known, None) && known.may_become(known.with(9), Some(9)));
    let lost = Ledger::default().with(7);
    let doubled = known.with(8);
    let swapped = Ledger::default().with(8).with(7);
    for wrong in [lost, doubled, swapped, known.with(9).with(9), Ledger::default()] {
        assert!(!known.may_become(wrong, Some(9)), "{wrong:?}");
    }
    assert!(!known.may_become(known.with(9), None));
}
