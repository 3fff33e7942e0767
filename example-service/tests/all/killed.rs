//! The process is killed in the middle of a load, again and again: what was answered is never lost, and of what was not
//! answered there is everything or nothing.
//!
//! A killed process leaves what it wrote to the operating system, so this says nothing of a power failure.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use example_service::metrics::ServiceMetrics;
use example_service::store::{Snapshot, Store};
use guest_abi::key::Key;
use guest_abi::storage;
use guest_abi::value::ValueRef;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::json;

use crate::client::request;
use crate::process::{Home, Service};

const ROUNDS: u64 = 10;
const TENANTS: [&str; 3] = ["a", "b", "c"];
const WORKERS: u64 = 6;
/// Requests that a worker sends in a round at most: more than come before the process is killed.
const MOST: u64 = 2000;

/// Requests, by tenant and the number in their event.
type Requests = BTreeSet<(&'static str, i64)>;

/// The numbers under which a tenant has records of an entity, each of which must be whole.
fn numbers(snapshot: &Snapshot, tenant: &str, entity: &str) -> BTreeSet<i64> {
    let all = Key::of_parts(storage::RECORD, entity, &[0xA0]).unwrap();
    let rows = snapshot.list(tenant, &all, usize::MAX).unwrap();
    let seq = |bytes: &[u8]| ValueRef::new(bytes).field("seq").unwrap().unwrap().as_i64().unwrap();
    let numbers = rows.iter().map(|(key, value)| {
        assert_eq!(seq(key), seq(value), "the key is the value");
        seq(value)
    });
    numbers.collect()
}

/// The requests of which the store has both records. None may have one alone.
fn found(store: &Path) -> Requests {
    let (store, writer) = Store::open(store, ServiceMetrics::default()).unwrap();
    let snapshot = store.snapshot().unwrap();
    let mut found = Requests::new();
    for tenant in TENANTS {
        let [first, second] = ["A", "B"].map(|entity| numbers(&snapshot, tenant, entity));
        assert_eq!(first, second, "both records of a request, or none");
        found.extend(first.into_iter().map(|seq| (tenant, seq)));
    }
    drop((snapshot, store));
    writer.join();
    found
}

/// Sends requests to the service until it is killed: so long after this many were answered. Returns the requests that were
/// sent, and those that were answered.
fn load(service: Service, first: u64, answers: u64, later: Duration) -> (Requests, Requests) {
    let address = service.address;
    let counted = AtomicU64::new(0);
    let service = Mutex::new(service);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS)
            .map(|worker| {
                let (counted, service) = (&counted, &service);
                scope.spawn(move || {
                    let tenant = TENANTS[usize::try_from(worker).unwrap() % TENANTS.len()];
                    let (mut sent, mut answered) = (Requests::new(), Requests::new());
                    for call in 0..MOST {
                        let seq = i64::try_from((first + worker) * MOST + call).unwrap();
                        sent.insert((tenant, seq));
                        let event = json!({ "seq": seq, "text": "x".repeat(100) }).to_string();
                        match request(address, "POST", &format!("/tenants/{tenant}/add_pair"), &event) {
                            Ok(response) => assert_eq!(response.status, 200, "{}", response.body),
                            Err(_) => break,
                        }
                        answered.insert((tenant, seq));
                        if counted.fetch_add(1, SeqCst) + 1 == answers {
                            thread::sleep(later);
                            service.lock().unwrap().process.kill();
                        }
                    }
                    (sent, answered)
                })
            })
            .collect();
        let (mut sent, mut answered) = (Requests::new(), Requests::new());
        for worker in workers {
            let (of_worker, answered_to_it) = worker.join().unwrap();
            sent.extend(of_worker);
            answered.extend(answered_to_it);
        }
        (sent, answered)
    })
}

#[test]
fn an_answered_request_is_never_lost_and_an_unanswered_one_is_whole_or_not_there() {
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20);
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let home = Home::new();
    let (mut answered, mut sent) = (Requests::new(), Requests::new());
    for round in 0..ROUNDS {
        let service = home.start(&[]).with_tenants(&TENANTS);
        // At once after an answer, to find one that came too early; or later, in the middle of anything.
        let later = if round % 2 == 0 { 0 } else { random.random_range(0..10_000) };
        let answers = random.random_range(1..200);
        let (sent_now, answered_now) = load(service, round * WORKERS, answers, Duration::from_micros(later));
        println!("seed {seed}, round {round}: {} were sent, {} answered", sent_now.len(), answered_now.len());
        assert!(answered_now.len() as u64 >= answers && answered_now.len() < sent_now.len());
        sent.extend(sent_now);
        answered.extend(answered_now);
        let found = found(&home.store());
        let lost: Vec<_> = answered.difference(&found).collect();
        assert!(lost.is_empty(), "{lost:?} were answered and are lost");
        assert!(found.is_subset(&sent), "nothing is there that nobody sent");
    }
}
