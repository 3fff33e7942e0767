//! A server that is killed again and again under load: nothing that it acknowledged is lost, and nothing is carried out twice.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::client::{Client, PATIENCE};
use crate::counters::{counter_routes, counters};
use crate::guests::Guests;
use crate::process::Server;

/// How often the server is killed, if the variable `SERVE_KILLS` says nothing else.
const KILLS: u64 = 12;

/// Clients at the same time, of which some share a tenant.
const CLIENTS: u64 = 6;
const TENANTS: u64 = 3;

/// Compares the responses to the requests of a tenant, each of which counts one, with the counter in the end.
fn check(acknowledged: &[u64], counter: u64) -> Result<(), String> {
    let mut numbers = acknowledged.to_vec();
    numbers.sort_unstable();
    if let Some(pair) = numbers.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(format!("{} was acknowledged twice: something was lost", pair[0]));
    }
    match (numbers.last(), numbers.len() as u64) {
        (Some(last), _) if *last > counter => Err(format!("{last} was acknowledged, and the counter is {counter}")),
        (_, count) if count != counter => Err(format!("{count} requests have counted to {counter}")),
        _ => Ok(()),
    }
}

#[test]
fn the_check_finds_what_is_lost_and_what_happens_twice() {
    assert_eq!(check(&[2, 1, 3], 3), Ok(()));
    assert_eq!(check(&[], 0), Ok(()));
    for (acknowledged, counter, part) in [
        (&[1, 2, 2][..], 2, "2 was acknowledged twice"),
        (&[1, 2, 3], 2, "3 was acknowledged, and the counter is 2"),
        (&[1, 3], 3, "2 requests have counted to 3"),
        (&[1, 2], 3, "2 requests have counted to 3"),
    ] {
        assert!(check(acknowledged, counter).unwrap_err().contains(part), "{acknowledged:?}");
    }
}

/// The server that runs now, for all clients.
struct Current {
    address: Mutex<SocketAddr>,
    acknowledged: AtomicU64,
    ends: AtomicBool,
}

impl Current {
    fn address(&self) -> SocketAddr {
        *self.address.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The response to a client's request that counts, which is sent until there is one. Some are made on the slow lane.
    fn count(&self, client: &mut Option<Client>, number: u64, request: usize) -> u64 {
        let until = Instant::now() + PATIENCE;
        let function = if request % 5 == 4 { "slow_count" } else { "count" };
        let path = format!("/counters/{function}/{}", number % TENANTS);
        let header = format!("Idempotency-Key: {number}-{request}\r\n");
        loop {
            let connected = client.take().or_else(|| Client::try_new(self.address()));
            if let Some(mut connected) = connected
                && let Ok(answer) = connected.send("POST", &path, &header, "").receive()
            {
                if answer.status == 200 {
                    *client = Some(connected);
                    return answer.json()["n"].as_u64().unwrap();
                }
                assert_eq!(answer.status, 503, "{}", answer.text());
            }
            assert!(Instant::now() < until, "no server answers");
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Sends requests, each once the one before is acknowledged, until it ends. Returns their numbers.
    fn client(&self, number: u64) -> Vec<u64> {
        let (mut client, mut numbers) = (None, Vec::new());
        while !self.ends.load(Relaxed) {
            let counted = self.count(&mut client, number, numbers.len());
            numbers.push(counted);
            self.acknowledged.fetch_add(1, Relaxed);
            // At times an acknowledged request is sent again, as by a client that forgot: maybe to another process.
            if numbers.len() % 7 == 0 {
                let again = self.count(&mut client, number, numbers.len() - 1);
                assert_eq!(again, counted, "its response is kept");
            }
        }
        numbers
    }
}

fn folder(more: &str) -> Guests {
    let folder = Guests::new();
    let limits = "[limits]\ncalls_per_second = 1000000\ndeadline = \"50s\"\n";
    folder.put("counters", &format!("{}{limits}{more}", counter_routes()), &counters());
    folder
}

/// The counter of a tenant.
fn counter(server: &Server, tenant: u64) -> u64 {
    let answer =
        Client::new(server.address).send("GET", &format!("/counters/counted/{tenant}"), "", "").receive().unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["n"].as_u64().unwrap_or(0)
}

#[test]
fn what_was_acknowledged_is_there_after_kills_under_load_and_happened_once() {
    let kills = std::env::var("SERVE_KILLS").map_or(KILLS, |kills| kills.parse().expect("a number"));
    let folder = folder("");
    let start = || Server::start(folder.path(), &["--threads=2", "--program-threads=2"]);
    let mut server = start();
    let current =
        Current { address: Mutex::new(server.address), acknowledged: AtomicU64::new(0), ends: AtomicBool::new(false) };
    let (server, numbers): (Server, Vec<Vec<u64>>) = thread::scope(|scope| {
        let current = &current;
        let clients: Vec<_> = (0..CLIENTS).map(|number| scope.spawn(move || current.client(number))).collect();
        for kill in 0..kills {
            // Some processes are killed at once, others under way.
            let enough = current.acknowledged.load(Relaxed) + kill * 37 % 101;
            let until = Instant::now() + PATIENCE;
            while current.acknowledged.load(Relaxed) < enough {
                assert!(Instant::now() < until && !clients.iter().any(|client| client.is_finished()));
                thread::sleep(Duration::from_micros(100 + kill * 131 % 900));
            }
            server.process.signal("KILL");
            server.process.end();
            server = start();
            *current.address.lock().unwrap() = server.address;
        }
        current.ends.store(true, Relaxed);
        (server, clients.into_iter().map(|client| client.join().unwrap()).collect())
    });
    let mut of_tenants: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    for (client, numbers) in (0..).zip(numbers) {
        of_tenants.entry(client % TENANTS).or_default().extend(numbers);
    }
    for (tenant, acknowledged) in &of_tenants {
        assert_eq!(check(acknowledged, counter(&server, *tenant)), Ok(()), "tenant {tenant}");
    }
    assert_eq!(of_tenants.len() as u64, TENANTS);
    server.stop();
}

#[test]
fn a_server_that_answers_before_the_disk_is_found_out() {
    let folder = folder("[records]\ndurable = false\n");
    // The records may have come to the disk in time, by chance: then once more.
    let found = (0..20).any(|round| {
        let server = Server::start(folder.path(), &[]);
        let mut client = Client::new(server.address);
        let path = format!("/counters/count/{round}");
        let acknowledged: Vec<u64> = (0..20).map(|_| client.post(&path, "").json()["n"].as_u64().unwrap()).collect();
        assert_eq!(check(&acknowledged, counter(&server, round)), Ok(()), "queries find them at once");
        server.process.signal("KILL");
        server.process.end();
        let server = Server::start(folder.path(), &[]);
        let found = check(&acknowledged, counter(&server, round)).is_err();
        server.stop();
        found
    });
    assert!(found);
}

#[test]
fn records_that_no_response_waits_for_are_kept_when_the_server_stops() {
    let folder = folder("[records]\ndurable = false\n");
    let server = Server::start(folder.path(), &[]);
    let mut client = Client::new(server.address);
    (0..20).for_each(|_| assert_eq!(client.post("/counters/count/0", "").status, 200));
    drop(client);
    server.stop();
    let server = Server::start(folder.path(), &[]);
    assert_eq!(counter(&server, 0), 20);
    server.stop();
}
