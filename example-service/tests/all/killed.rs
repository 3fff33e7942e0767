//! The process is killed in the middle of a load, again and again: what was answered is never lost, and of what was not
//! answered there is everything or nothing.

use std::collections::BTreeSet;
use std::path::Path;
use std::thread;
use std::time::Duration;

use example_service::metrics::ServiceMetrics;
use example_service::store::Store;
use guest_abi::key::Key;
use guest_abi::storage;
use guest_abi::value::ValueRef;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::json;

use crate::client::request;
use crate::process::Home;

const ROUNDS: u64 = 6;
const TENANTS: [&str; 3] = ["a", "b", "c"];
const WORKERS: u64 = 6;
/// Requests that a worker sends in a round at most.
const MOST: u64 = 2000;

/// The numbers under which a tenant has records of an entity, each of which must be whole.
fn numbers(store: &Path, tenant: &str, entity: &str) -> BTreeSet<i64> {
    let (store, writer) = Store::open(store, ServiceMetrics::default()).unwrap();
    let snapshot = store.snapshot().unwrap();
    let all = Key::of_parts(storage::RECORD, entity, &[0xA0]).unwrap();
    let rows = snapshot.list(tenant, &all, usize::MAX).unwrap();
    let seq = |bytes: &[u8]| ValueRef::new(bytes).field("seq").unwrap().unwrap().as_i64().unwrap();
    let numbers = rows.iter().map(|(key, value)| {
        assert_eq!(seq(key), seq(value), "the key is the value");
        seq(value)
    });
    let numbers = numbers.collect();
    drop((snapshot, store));
    writer.join();
    numbers
}

#[test]
fn an_answered_request_is_never_lost_and_an_unanswered_one_is_whole_or_not_there() {
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20);
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let home = Home::new();
    let (mut answered, mut sent) = (BTreeSet::new(), BTreeSet::new());
    for round in 0..ROUNDS {
        let mut service = home.start(&[]).with_tenants(&TENANTS);
        let address = service.address;
        let workers: Vec<_> = (0..WORKERS)
            .map(|worker| {
                thread::spawn(move || {
                    let tenant = TENANTS[usize::try_from(worker).unwrap() % TENANTS.len()];
                    let (mut sent, mut answered) = (Vec::new(), Vec::new());
                    for call in 0..MOST {
                        let seq = i64::try_from((round * WORKERS + worker) * MOST + call).unwrap();
                        sent.push((tenant, seq));
                        let event = json!({ "seq": seq, "text": "x".repeat(100) }).to_string();
                        match request(address, "POST", &format!("/tenants/{tenant}/add_pair"), &event) {
                            Ok(response) => assert_eq!(response.status, 200, "{}", response.body),
                            Err(_) => break,
                        }
                        answered.push((tenant, seq));
                    }
                    (sent, answered)
                })
            })
            .collect();
        thread::sleep(Duration::from_millis(random.random_range(20..600)));
        service.kill();
        for worker in workers {
            let (of_worker, answered_to_it) = worker.join().unwrap();
            sent.extend(of_worker);
            answered.extend(answered_to_it);
        }
        let mut found = BTreeSet::new();
        for tenant in TENANTS {
            let [first, second] = ["A", "B"].map(|entity| numbers(&home.store(), tenant, entity));
            assert_eq!(first, second, "seed {seed}, round {round}: both records of a request, or none");
            found.extend(first.into_iter().map(|seq| (tenant, seq)));
        }
        let lost: Vec<_> = answered.difference(&found).collect();
        assert!(lost.is_empty(), "seed {seed}, round {round}: {lost:?} were answered and are lost");
        assert!(found.is_subset(&sent), "seed {seed}, round {round}: nothing is there that nobody sent");
    }
    assert!(
        answered.len() > usize::try_from(ROUNDS).unwrap(),
        "some requests were answered before the process was killed"
    );
    assert!(answered.len() < sent.len(), "some requests were cut off");
}
