//! Events in a second, how long they take, what a sleeping tenant takes of NATS, and how soon another process takes over: with a NATS
//! server and processes of this machine, on the loopback address.
//!
//! ```console
//! $ cargo bench -p guest-serve-nats --bench load -- writes events asleep take-over
//! ```

#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../../tests/all/guests.rs"]
mod guests;
#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../../tests/all/nats.rs"]
mod nats;
#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../../tests/all/process.rs"]
mod process;

use std::time::{Duration, Instant};

use async_nats::jetstream::consumer::{DeliverPolicy, pull};
use futures_util::{StreamExt as _, stream};
use guest_host::guest_image::{CARD, Delta, Identity};
use guest_serve_nats::connect::{Nats, Streams};
use guest_serve_nats::names::Tenant;
use guest_serve_nats::record::Record;
use guest_serve_nats::records::Records;
use guest_tenants::Image;

use guests::Guests;
use nats::Server;
use process::Process;

/// Requests that a client has under way.
const UNDER_WAY: usize = 256;

const EVENTS: usize = 10_000;

/// Tenants that sleep.
const ASLEEP: usize = 50_000;

fn tenant(number: usize) -> Tenant {
    Tenant::new("count".parse().expect("a name"), &format!("tenant-{number}")).expect("a key")
}

fn percentile(times: &mut [Duration], percent: usize) -> f64 {
    times.sort_unstable();
    times[(times.len() - 1) * percent / 100].as_secs_f64() * 1e6
}

/// A record whose program has changed this number of cards.
fn record(cards: u32) -> Record {
    let identity = std::sync::Arc::new(Identity::of([7; 32], b"", &[0; 262_144], &[]));
    let mut delta = Delta::pristine(identity, 262_144);
    (0..cards).for_each(|card| delta.cards.push(card, &[u8::try_from(card % 255).unwrap_or(1) + 1; CARD]));
    Record { applied: 1, open: true, image: Some(Image { number: 1, delta }), ..Record::default() }
}

#[tokio::main]
async fn main() {
    let asked: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let is_asked = |name: &str| asked.is_empty() || asked.iter().any(|word| word == name);
    if is_asked("writes") {
        writes().await;
    }
    if is_asked("events") {
        events().await;
    }
    if is_asked("asleep") {
        asleep().await;
    }
    if is_asked("take-over") {
        take_over().await;
    }
}

/// How long one write of a record takes, and how many there are in a second if many are under way.
async fn writes() {
    let server = Server::start();
    let (_nats, streams) = server.connect(64).await;
    println!("{:<40}{:>12}{:>12}{:>14}", "writes of a record", "median, us", "99%, us", "writes/s");
    for (name, cards) in [("pristine", 0), ("4 KiB", 16), ("16 KiB", 64), ("256 KiB", 1024)] {
        let record = record(cards);
        let hot = tenant(cards as usize);
        let (mut revision, mut times) = (0, Vec::new());
        for _ in 0..1000 {
            let begun = Instant::now();
            revision = streams.tenants.save(&hot, &record, revision).await.expect("it is the last one");
            times.push(begun.elapsed());
        }
        let count = if cards > 100 { 1000 } else { 10_000 };
        let begun = Instant::now();
        let many = stream::iter(0..count).map(|number| {
            let (tenant, record, streams) = (tenant(1_000_000 * cards as usize + 10_000 + number), &record, &streams);
            async move { streams.tenants.save(&tenant, record, 0).await.expect("there is none yet") }
        });
        many.buffer_unordered(UNDER_WAY).collect::<Vec<_>>().await;
        let rate = count as f64 / begun.elapsed().as_secs_f64();
        println!("{name:<40}{:>12.0}{:>12.0}{rate:>14.0}", percentile(&mut times, 50), percentile(&mut times, 99));
    }
}

/// Publishes `events` events, spread over `tenants` tenants, and waits until NATS has acknowledged each.
async fn publish(nats: &Nats, tenants: usize, events: usize) {
    let send = |number: usize| {
        let subject = nats.prefix.input(&tenant(number % tenants));
        async move {
            let sent = nats.context.publish(subject, "an event with a body of 32 bytes".into()).await;
            sent.expect("it is sent").await.expect("it is acknowledged");
        }
    };
    stream::iter(0..events).map(send).buffer_unordered(UNDER_WAY).collect::<Vec<_>>().await;
}

/// Waits until at most `count` events wait, and returns their number.
async fn drain(streams: &Streams, count: u64) -> u64 {
    let mut events = streams.events.clone();
    loop {
        let waiting = events.info().await.expect("it answers").state.messages;
        if waiting <= count {
            return waiting;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Events that wait are applied by one process and by two, and single events are answered.
async fn events() {
    println!("\n{:<40}{:>12}{:>12}{:>14}", "events", "median, us", "99%, us", "events/s");
    for (name, tenants, processes) in [
        ("1 tenant, 1 process", 1, 1),
        ("1000 tenants, 1 process", 1000, 1),
        ("10000 tenants, 1 process", 10_000, 1),
        ("10000 tenants, 2 processes", 10_000, 2),
    ] {
        let server = Server::start();
        let (nats, streams) = server.connect(64).await;
        let guests = Guests::new();
        publish(&nats, tenants, EVENTS).await;
        let _processes: Vec<_> = (0..processes).map(|_| Process::start(guests.path(), &server.url(), &[])).collect();
        // They have all partitions by then.
        let first = drain(&streams, EVENTS as u64 * 9 / 10).await;
        let begun = Instant::now();
        let last = drain(&streams, 0).await;
        println!("{name:<40}{:>24}{:>14.0}", "", (first - last) as f64 / begun.elapsed().as_secs_f64());
    }
    let server = Server::start();
    let (nats, streams) = server.connect(64).await;
    let guests = Guests::new();
    let _process = Process::start(guests.path(), &server.url(), &[]);
    let mut outputs = subscribe(&streams).await;
    let mut times = Vec::new();
    for number in 0..1000 {
        let begun = Instant::now();
        nats.context.publish(nats.prefix.input(&tenant(number % 10)), "event".into()).await.expect("it is sent");
        outputs.next().await.expect("it comes").expect("it is read");
        times.push(begun.elapsed());
    }
    // The first ones wait for partitions and programs.
    let times = &mut times[100..];
    println!(
        "{:<40}{:>12.0}{:>12.0}",
        "one at a time, from event to output",
        percentile(times, 50),
        percentile(times, 99)
    );
}

async fn subscribe(streams: &Streams) -> pull::Ordered {
    let config = pull::OrderedConfig { deliver_policy: DeliverPolicy::All, ..pull::OrderedConfig::default() };
    let consumer = streams.outputs.create_consumer(config).await.expect("there is the stream");
    consumer.messages().await.expect("it is read")
}

/// Disk and memory of the NATS server for each sleeping tenant.
async fn asleep() {
    let server = Server::start();
    let (_nats, streams) = server.connect(64).await;
    println!("\n{:<40}{:>12}{:>12}{:>14}", "tenants that sleep", "disk, B", "memory, B", "record, B");
    let (mut first, mut before) = (0, server.resident_bytes());
    for (name, cards) in [("pristine", 0), ("4 KiB", 16)] {
        let record = record(cards);
        let mut bucket = streams.tenants.stream.clone();
        let disk = bucket.info().await.expect("it answers").state.bytes;
        let many = stream::iter(first..first + ASLEEP).map(|number| {
            let (tenant, record, streams) = (tenant(number), &record, &streams);
            async move { streams.tenants.save(&tenant, record, 0).await.expect("there is none yet") }
        });
        many.buffer_unordered(UNDER_WAY).collect::<Vec<_>>().await;
        first += ASLEEP;
        // The server's garbage and buffers go away.
        tokio::time::sleep(Duration::from_secs(10)).await;
        let resident = server.resident_bytes();
        let each = |bytes: u64| bytes / ASLEEP as u64;
        let disk = bucket.info().await.expect("it answers").state.bytes - disk;
        println!(
            "{name:<40}{:>12}{:>12}{:>14}",
            each(disk),
            each(resident.saturating_sub(before)),
            record.encode().len()
        );
        before = resident;
    }
}

/// How long an event waits whose process was killed.
async fn take_over() {
    println!("\n{:<40}{:>12}{:>12}", "after a kill, from event to output", "least, ms", "most, ms");
    for lease in ["1500ms", "5s"] {
        let server = Server::start();
        let (nats, streams) = server.connect(64).await;
        let guests = Guests::new();
        let start = || Process::start(guests.path(), &server.url(), &["--lease", lease]);
        let (mut first, mut second) = (start(), start());
        let mut outputs = subscribe(&streams).await;
        let mut times = Vec::new();
        for round in 0..4 {
            // Both have their share.
            tokio::time::sleep(Duration::from_secs(8)).await;
            first.kill();
            let begun = Instant::now();
            // Some of them were of the process that was killed.
            for number in 0..32 {
                nats.context
                    .publish(nats.prefix.input(&tenant(round * 32 + number)), "event".into())
                    .await
                    .expect("it is sent");
            }
            for _ in 0..32 {
                outputs.next().await.expect("it comes").expect("it is read");
            }
            times.push(begun.elapsed());
            std::mem::swap(&mut first, &mut second);
            second = start();
        }
        times.sort_unstable();
        println!("{:<40}{:>12}{:>12}", format!("lease of {lease}"), times[0].as_millis(), times[3].as_millis());
    }
}
