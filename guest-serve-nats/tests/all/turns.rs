//! Tenants whose events wait, or take long, hold up no others.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::jetstream::kv::Store;
use futures_util::StreamExt as _;
use futures_util::future::join_all;
use guest_serve_nats::applier::{Applied, Applier, ApplyError};
use guest_serve_nats::connect::{Nats, Streams};
use guest_serve_nats::error::Unavailable;
use guest_serve_nats::lease::Lease;
use guest_serve_nats::names::Tenant;
use guest_serve_nats::partition::{self, Shared};
use guest_serve_nats::record::Record;
use guest_serve_nats::records::{LoadError, Records, SaveError};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::applying::{applier, event, registry, sizes};
use crate::client::{outputs, publish, tenant, wait_for};
use crate::guests::{Guests, count};
use crate::nats::{PATIENCE, Server};

/// Runs the one partition by an applier, until it is told to stop.
fn run<R: Records>(nats: &Nats, streams: &Streams, applier: Applier<R>) -> (watch::Sender<bool>, JoinHandle<()>) {
    let lease = Lease::default();
    lease.renewed(Instant::now(), Duration::from_secs(3600));
    let shared = Arc::new(Shared { nats: nats.clone(), streams: streams.clone(), applier, lease });
    let (stop, stopped) = watch::channel(false);
    (stop, tokio::spawn(partition::run(shared, 0, 1, stopped)))
}

/// Publishes as many events with this text, and waits until NATS has all.
async fn publish_many(nats: &Nats, tenant: &Tenant, text: &'static str, number: usize) {
    let mut sent = Vec::new();
    for _ in 0..number {
        sent.push(nats.context.publish(nats.prefix.input(tenant), text.into()).await.unwrap());
    }
    for acknowledged in join_all(sent.into_iter().map(IntoFuture::into_future)).await {
        acknowledged.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn however_many_events_wait_those_of_others_are_applied() {
    let server = Server::start();
    let (nats, streams) = server.connect(1).await;
    let guests = Guests::new();
    guests.put("later", "", &count());
    let with = registry(&guests);
    let (waiting, other) = (tenant("later", "blue"), tenant("count", "red"));
    // Another process has the guest, and has served the tenant.
    let elsewhere = applier(streams.tenants.clone(), &nats, &streams, &with, sizes());
    publish_many(&nats, &waiting, "a", 1100).await;
    elsewhere.apply(&waiting, &[event(1, "a")]).await.unwrap();
    publish(&nats, &other, "a").await;
    std::fs::remove_dir_all(guests.path().join("later")).unwrap();
    let without = applier(streams.tenants.clone(), &nats, &streams, &registry(&guests), sizes());
    let (stop, running) = run(&nats, &streams, without);
    let out = wait_for(&nats, &streams, 2, 1099..=1100).await;
    assert_eq!(out.iter().map(|out| out.tenant.as_str()).collect::<Vec<_>>(), ["later.blue", "count.red"]);
    stop.send_replace(true);
    running.await.unwrap();
}

/// A bucket that takes no record of one tenant, as one that does not fit into a message.
struct Refusing(Store, Tenant);

impl Records for Refusing {
    async fn load(&self, tenant: &Tenant) -> Result<(Record, u64), LoadError> {
        self.0.load(tenant).await
    }

    async fn save(&self, tenant: &Tenant, record: &Record, revision: u64) -> Result<u64, SaveError> {
        match *tenant == self.1 {
            true => Err(SaveError::Unavailable(Unavailable::of("it is refused"))),
            false => self.0.save(tenant, record, revision).await,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_whose_record_cannot_be_written_holds_up_nobody() {
    let server = Server::start();
    let (nats, streams) = server.connect(1).await;
    let guests = Guests::new();
    let (refused, other) = (tenant("count", "blue"), tenant("count", "red"));
    publish_many(&nats, &refused, "a", 300).await;
    publish(&nats, &other, "a").await;
    let records = Refusing(streams.tenants.clone(), refused);
    let (stop, running) = run(&nats, &streams, applier(records, &nats, &streams, &registry(&guests), sizes()));
    let out = wait_for(&nats, &streams, 1, 300..=300).await;
    assert_eq!(out.iter().map(|out| out.tenant.as_str()).collect::<Vec<_>>(), ["count.red"]);
    stop.send_replace(true);
    running.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_without_the_guest_leaves_events_to_those_that_have_it() {
    let server = Server::start();
    let (nats, streams) = server.connect(1).await;
    let guests = Guests::new();
    guests.put("later", "", &count());
    let with = applier(streams.tenants.clone(), &nats, &streams, &registry(&guests), sizes());
    std::fs::remove_dir_all(guests.path().join("later")).unwrap();
    let without = applier(streams.tenants.clone(), &nats, &streams, &registry(&guests), sizes());
    let blue = tenant("later", "blue");
    with.apply(&blue, &[event(1, "a")]).await.unwrap();
    assert!(matches!(without.try_apply(&blue, &[event(2, "b")]).await, Err(ApplyError::Missing(_))));
    assert_eq!(without.apply(&blue, &[event(2, "b")]).await.unwrap(), Applied::Behind);
    assert_eq!(with.apply(&blue, &[event(2, "b")]).await.unwrap(), Applied::All);
    let out = outputs(&nats, &streams).await;
    let read: Vec<_> = out.iter().map(|out| (out.place.unwrap().event, out.failed.as_deref())).collect();
    assert_eq!(read, [(1, None), (2, None)]);
    // Nobody has ever served this one.
    assert_eq!(without.apply(&tenant("later", "red"), &[event(3, "c")]).await.unwrap(), Applied::All);
    assert_eq!(outputs(&nats, &streams).await[2].failed.as_deref(), Some("no-guest"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_earlier_version_is_the_latest_again_once_its_entry_was_removed() {
    let server = Server::start();
    let (nats, streams) = server.connect(1).await;
    let guests = Guests::new();
    let blue = tenant("count", "blue");
    let first = registry(&guests);
    // Each is the first process after all were stopped.
    let start = |registry| applier(streams.tenants.clone(), &nats, &streams, registry, sizes());
    start(&first).apply(&blue, &[event(1, "a")]).await.unwrap();
    let mut keys = streams.owners.keys().await.unwrap();
    let entry = loop {
        let key = keys.next().await.unwrap().unwrap();
        if key.starts_with("version.count.") {
            break key;
        }
    };
    guests.put("count", "", &count().replace("(module", "(module (@custom \"version\" \"2\")"));
    let second = registry(&guests);
    start(&second).apply(&blue, &[event(2, "b")]).await.unwrap();
    assert!(matches!(start(&first).try_apply(&blue, &[event(3, "c")]).await, Err(ApplyError::Behind(_))));
    streams.owners.delete(&entry).await.unwrap();
    start(&first).try_apply(&blue, &[event(3, "c")]).await.unwrap();
    assert_eq!(outputs(&nats, &streams).await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_whose_events_take_long_has_its_turn_and_then_others_have_theirs() {
    let server = Server::start();
    let (nats, streams) = server.connect(1).await;
    let guests = Guests::new();
    guests.put("slow", "memory = \"256KiB\"\ndeadline = \"20ms\"\n", &count());
    let (slow, other) = (tenant("slow", "blue"), tenant("count", "red"));
    // Each takes its whole deadline. More than a batch come before the event of the other tenant.
    publish_many(&nats, &slow, "?", 300).await;
    publish(&nats, &other, "a").await;
    let applier = applier(streams.tenants.clone(), &nats, &streams, &registry(&guests), sizes());
    let (stop, running) = run(&nats, &streams, applier);
    // Also its next turn comes.
    let until = Instant::now() + PATIENCE;
    let out = loop {
        let out = outputs(&nats, &streams).await;
        if out.last().is_some_and(|last| last.tenant == slow.token())
            && out.iter().any(|out| out.tenant == other.token())
        {
            break out;
        }
        assert!(Instant::now() < until, "{} outputs have come", out.len());
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let before = out.iter().take_while(|out| out.tenant == slow.token()).count();
    assert!(before < 256, "{before} events of the slow tenant came first");
    let events: Vec<u64> =
        out.iter().filter(|out| out.tenant == slow.token()).map(|out| out.place.unwrap().event).collect();
    assert_eq!(events, (1..=events.len() as u64).collect::<Vec<_>>());
    let kinds: HashSet<_> = out.iter().filter_map(|out| out.failed.as_deref()).collect();
    assert_eq!(kinds, HashSet::from(["deadline-exceeded"]));
    stop.send_replace(true);
    running.await.unwrap();
}
