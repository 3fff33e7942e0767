//! Processes are killed, stopped and started, and NATS is killed and cut off, while clients publish: each event that was acknowledged
//! is applied once, in order, and no tenant has two current records.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::check::check;
use crate::client::{histories, publish, tenant, wait_for_outputs};
use crate::guests::Guests;
use crate::nats::Server;
use crate::process::Process;

/// Tenants that have events all the time, each from a client of its own.
const TENANTS: usize = 6;

/// The events that a client published: the tenant, and its events by sequence.
type Published = (String, BTreeMap<u64, String>);

fn clients(nats: &guest_serve_nats::connect::Nats, stop: &Arc<AtomicBool>) -> Vec<JoinHandle<Published>> {
    let client = |number: usize| {
        let (nats, stop) = (nats.clone(), Arc::clone(stop));
        tokio::spawn(async move {
            let tenant = tenant("count", &format!("tenant-{number}"));
            let mut published = BTreeMap::new();
            for event in 0.. {
                if stop.load(Relaxed) {
                    break;
                }
                let text = format!("event-{event}");
                published.insert(publish(&nats, &tenant, &text).await, text);
                sleep(Duration::from_millis(3)).await;
            }
            (tenant.token().to_owned(), published)
        })
    };
    (0..TENANTS).map(client).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_event_is_applied_once_whatever_is_killed() {
    let mut server = Server::start();
    let (nats, streams) = server.connect(8).await;
    let guests = Guests::new();
    let start = |url: &str| Process::start(guests.path(), url, &[]);
    let url = server.url();
    let mut processes: Vec<Process> = (0..3).map(|_| start(&url)).collect();
    let stop = Arc::new(AtomicBool::new(false));
    let clients = clients(&nats, &stop);
    let while_ = |milliseconds| sleep(Duration::from_millis(milliseconds));
    while_(1000).await;

    // Each process in turn is killed, and another one comes.
    for process in &mut processes {
        process.kill();
        while_(700).await;
        *process = start(&url);
        while_(300).await;
    }
    // One stands still for longer than its lease, in the midst of what it does, and goes on when others have its partitions.
    processes[0].signal("STOP");
    let id = processes[0].member();
    while streams.owners.get(format!("member.{id}")).await.unwrap().is_some() {
        while_(50).await;
    }
    while_(500).await;
    processes[0].signal("CONT");
    processes[0].wait_for_stderr("has ended: others took its partitions");
    // NATS is killed, and comes back on its files.
    server.kill();
    while_(700).await;
    server.begin();
    while_(1000).await;
    // NATS stands still for longer than a lease.
    server.signal("STOP");
    while_(2000).await;
    server.signal("CONT");
    while_(1000).await;
    // All at once.
    processes.iter_mut().for_each(Process::kill);
    server.kill();
    server.begin();
    processes[2] = start(&url);
    while_(500).await;

    stop.store(true, Relaxed);
    let mut acknowledged = BTreeMap::new();
    for client in clients {
        let (tenant, published) = client.await.unwrap();
        assert!(published.len() > 20, "{tenant}: {}", published.len());
        acknowledged.insert(tenant, published);
    }
    let count = acknowledged.values().map(BTreeMap::len).sum();
    let out = wait_for_outputs(&nats, &streams, count).await;
    for (tenant, history) in histories(acknowledged, &out) {
        check(&history).unwrap_or_else(|error| panic!("{tenant}: {error}"));
    }
    processes[2].stop();
}
