//! Records fit into a message of NATS, whatever programs write.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use async_nats::jetstream::kv::Store;
use guest_serve_nats::executor::{Event, Sizes};
use guest_serve_nats::names::Tenant;
use guest_serve_nats::record::{Output, Record};
use guest_serve_nats::records::{LoadError, Records, SaveError};

use crate::applying::{applier, event, registry};
use crate::client::{Out, outputs, tenant};
use crate::guests::{Guests, chatter, greeter};
use crate::nats::Server;

/// Bytes of a message.
const MESSAGE: usize = 16 << 10;

/// A bucket that finds out how many records are written, and that each fits into a message.
struct Limited {
    bucket: Store,
    writes: Arc<AtomicUsize>,
}

impl Records for Limited {
    async fn load(&self, tenant: &Tenant) -> Result<(Record, u64), LoadError> {
        self.bucket.load(tenant).await
    }

    async fn save(&self, tenant: &Tenant, record: &Record, revision: u64) -> Result<u64, SaveError> {
        let bytes = record.encode().len();
        assert!(bytes <= MESSAGE, "a record has {bytes} bytes");
        self.writes.fetch_add(1, Relaxed);
        self.bucket.save(tenant, record, revision).await
    }
}

/// An event for which `chatter` writes as many messages.
fn messages(sequence: u64, count: u16) -> Event {
    Event { sequence, id: None, bytes: count.to_le_bytes().to_vec() }
}

/// Failures, and how many messages were written for each event.
fn counts(out: &[Out]) -> Vec<(u64, Result<usize, &str>)> {
    let mut counts: Vec<(u64, Result<usize, &str>)> = Vec::new();
    for out in out {
        let event = out.place.unwrap().event;
        match (counts.last_mut(), out.failed.as_deref()) {
            (_, Some(kind)) => counts.push((event, Err(kind))),
            (Some((last, Ok(count))), None) if *last == event => *count += 1,
            (_, None) => counts.push((event, Ok(1))),
        }
    }
    counts
}

#[tokio::test(flavor = "multi_thread")]
async fn many_short_messages_fit_into_records() {
    let server = Server::start();
    let (nats, streams) = server.connect(1).await;
    let guests = Guests::new();
    guests.put("chatter", "memory = \"256KiB\"\n", &chatter());
    let writes = Arc::<AtomicUsize>::default();
    let records = Limited { bucket: streams.tenants.clone(), writes: Arc::clone(&writes) };
    let (registry, sizes) = (registry(&guests), Sizes::of(MESSAGE));
    let applier = applier(records, &nats, &streams, &registry, sizes);
    let blue = tenant("chatter", "blue");
    // 150 messages alone fit, and those of the connection alone, but not both; 300 are few bytes, but not in a record.
    assert!(150 * (1 + Output::OVERHEAD) < sizes.event && 250 * (1 + Output::OVERHEAD) > sizes.event);
    let first = [messages(1, 150), messages(2, 50), messages(3, 150), messages(4, 300)];
    applier.apply(&blue, &first).await.unwrap();
    let too_large = Err("outputs-too-large");
    assert_eq!(counts(&outputs(&nats, &streams).await), [(1, too_large), (2, Ok(150)), (3, Ok(150)), (4, too_large)]);
    // A batch of such events is several records.
    let before = writes.load(Relaxed);
    let batch: Vec<Event> = (5..25).map(|sequence| messages(sequence, 100)).collect();
    applier.apply(&blue, &batch).await.unwrap();
    assert_eq!(writes.load(Relaxed) - before, 10);
    assert_eq!(outputs(&nats, &streams).await.iter().filter(|out| out.place.unwrap().event >= 5).count(), 2000);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_for_a_guest_without_a_program_fit_into_records() {
    let server = Server::start();
    let (nats, streams) = server.connect(1).await;
    let guests = Guests::new();
    let config = "[[routes]]\npath = \"/one\"\nfunction = \"one\"\n";
    guests.write("plain", config, r#"(module (func (export "one") (result i64) (i64.const 1)))"#);
    let records = Limited { bucket: streams.tenants.clone(), writes: Arc::default() };
    let applier = applier(records, &nats, &streams, &registry(&guests), Sizes::of(MESSAGE));
    let text = "x".repeat(1000);
    let batch: Vec<Event> = (1..=40).map(|sequence| event(sequence, &text)).collect();
    applier.apply(&tenant("plain", "blue"), &batch).await.unwrap();
    let out = outputs(&nats, &streams).await;
    let expected: Vec<_> = (1..=40).map(|sequence| (sequence, Err("no-program"))).collect();
    assert_eq!(counts(&out), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_version_whose_first_event_fails_is_connected_by_the_next() {
    let server = Server::start();
    let (nats, streams) = server.connect(1).await;
    let guests = Guests::new();
    let limits = "memory = \"256KiB\"\n";
    guests.put("greeter", limits, &greeter());
    let blue = tenant("greeter", "blue");
    let sizes = Sizes::of(1 << 20);
    let old = applier(streams.tenants.clone(), &nats, &streams, &registry(&guests), sizes);
    old.apply(&blue, &[event(1, "a")]).await.unwrap();
    let copies = "(memory.copy (i32.const 131089)";
    let traps = "(if (i32.eq (i32.load8_u (local.get $from)) (i32.const 33)) (then unreachable))";
    guests.put("greeter", limits, &greeter().replace(copies, &format!("{traps}\n{copies}")));
    let new = applier(streams.tenants.clone(), &nats, &streams, &registry(&guests), sizes);
    new.apply(&blue, &[event(2, "!"), event(3, "b")]).await.unwrap();
    let out: Vec<String> = outputs(&nats, &streams).await.iter().map(Out::text).collect();
    assert_eq!(out, ["c1", "a", "!", "c1", "b"]);
}
