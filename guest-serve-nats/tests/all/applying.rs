//! Events on records, with appliers of the test's own process in the place of processes that fail at a certain step.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

use async_nats::jetstream::kv::Store;
use guest_host::{Engine, EngineConfig};
use guest_serve::deployment::{Deployment, Loader};
use guest_serve::folder::GuestFolder;
use guest_serve::monitor::Monitor;
use guest_serve::registry::Registry;
use guest_serve_nats::applier::{Applier, ApplyError};
use guest_serve_nats::connect::{Nats, Streams};
use guest_serve_nats::error::Unavailable;
use guest_serve_nats::executor::{Event, Executor, Sizes, hash_of_id};
use guest_serve_nats::lease::Lease;
use guest_serve_nats::names::Tenant;
use guest_serve_nats::outputs::Outputs;
use guest_serve_nats::partition::{self, Shared};
use guest_serve_nats::record::{Body, Chain, Output, Place, Record};
use guest_serve_nats::records::{LoadError, Records, SaveError};
use guest_serve_nats::versions::Versions;
use tokio::sync::{Notify, watch};

use crate::check::check;
use crate::client::{Out, histories, outputs, publish, tenant, wait_for, wait_for_outputs};
use crate::guests::{Guests, greeter};
use crate::nats::Server;

/// A registry with all guests of a folder.
pub(crate) fn registry(guests: &Guests) -> Registry {
    let (registry, monitor) = (Registry::default(), Monitor::default());
    let loader = Loader::new(Engine::new(&EngineConfig::default()).unwrap(), monitor);
    let folder = GuestFolder::open(guests.path()).unwrap();
    for name in folder.guests().unwrap() {
        let files = folder.read(&name.unwrap(), &folder.secrets().unwrap()).unwrap();
        registry.replace(Deployment::load(&loader, files).unwrap()).unwrap();
    }
    registry
}

/// The applier of a process, with its own cache.
pub(crate) fn applier<R: Records>(
    records: R,
    nats: &Nats,
    streams: &Streams,
    registry: &Registry,
    sizes: Sizes,
) -> Applier<R> {
    let one = NonZeroUsize::MIN;
    let executor = Executor::start(one, one, sizes, &Monitor::default()).unwrap();
    let versions = Versions::new(streams.owners.clone());
    Applier::new(records, publisher(nats, streams), executor, registry.clone(), versions, 1 << 20)
}

fn publisher(nats: &Nats, streams: &Streams) -> Outputs {
    Outputs::new(nats.context.clone(), streams.outputs.clone(), nats.prefix.clone())
}

pub(crate) fn sizes() -> Sizes {
    Sizes::of(1 << 20)
}

pub(crate) fn event(sequence: u64, text: &str) -> Event {
    Event { sequence, id: None, bytes: text.as_bytes().to_vec() }
}

/// Events whose text is their sequence.
fn events(sequences: impl IntoIterator<Item = u64>) -> Vec<Event> {
    sequences.into_iter().map(|sequence| event(sequence, &sequence.to_string())).collect()
}

/// Checks what came out of one tenant of the guest `count`, of events whose text is their sequence.
fn check_events(tenant: &Tenant, sequences: impl IntoIterator<Item = u64>, outputs: &[Out]) -> Result<(), String> {
    let acknowledged = sequences.into_iter().map(|sequence| (sequence, sequence.to_string())).collect();
    let histories = histories(BTreeMap::from([(tenant.token().to_owned(), acknowledged)]), outputs);
    check(&histories[tenant.token()])
}

/// A bucket that does not look at revisions.
struct Unfenced(Store);

impl Records for Unfenced {
    async fn load(&self, tenant: &Tenant) -> Result<(Record, u64), LoadError> {
        self.0.load(tenant).await
    }

    async fn save(&self, tenant: &Tenant, record: &Record, _revision: u64) -> Result<u64, SaveError> {
        Ok(self.0.put(tenant.token(), record.encode().into()).await.unwrap())
    }
}

/// A bucket whose answers are lost now and then: records are written, or are not.
struct Lossy(Store, AtomicU32);

impl Records for Lossy {
    async fn load(&self, tenant: &Tenant) -> Result<(Record, u64), LoadError> {
        self.0.load(tenant).await
    }

    async fn save(&self, tenant: &Tenant, record: &Record, revision: u64) -> Result<u64, SaveError> {
        let lost = || SaveError::Unavailable(Unavailable::of("the answer was lost"));
        match self.1.fetch_add(1, Relaxed) % 3 {
            0 => self.0.save(tenant, record, revision).await.and_then(|_| Err(lost())),
            1 => Err(lost()),
            _ => self.0.save(tenant, record, revision).await,
        }
    }
}

/// A bucket whose first write stands still for a while, as that of a process that the system has stopped.
struct Standing<R> {
    records: R,
    stands: Arc<Notify>,
    goes_on: Arc<Notify>,
    writes: AtomicU32,
    refused: Arc<AtomicU32>,
}

impl<R: Records> Records for Standing<R> {
    async fn load(&self, tenant: &Tenant) -> Result<(Record, u64), LoadError> {
        self.records.load(tenant).await
    }

    async fn save(&self, tenant: &Tenant, record: &Record, revision: u64) -> Result<u64, SaveError> {
        if self.writes.fetch_add(1, Relaxed) == 0 {
            self.stands.notify_one();
            self.goes_on.notified().await;
        }
        let saved = self.records.save(tenant, record, revision).await;
        self.refused.fetch_add(u32::from(matches!(saved, Err(SaveError::Newer))), Relaxed);
        saved
    }
}

/// A process stands still before it writes what it has made of two events; another one applies them and a third, and a later one the
/// fourth. Returns how many writes of the first one were refused, and what the check says.
async fn an_owner_stands_still<R: Records>(
    records: impl Fn() -> R,
    nats: &Nats,
    streams: &Streams,
    tenant: &Tenant,
) -> (u32, Result<(), String>) {
    let guests = Guests::new();
    let registry = registry(&guests);
    let (stands, goes_on, refused) = (Arc::default(), Arc::default(), Arc::default());
    let standing = Standing {
        records: records(),
        stands: Arc::clone(&stands),
        goes_on: Arc::clone(&goes_on),
        writes: AtomicU32::new(0),
        refused: Arc::clone(&refused),
    };
    let old = applier(standing, nats, streams, &registry, sizes());
    let own = || applier(records(), nats, streams, &registry, sizes());
    let others = async {
        Notify::notified(&stands).await;
        own().apply(tenant, &events([1, 2, 3])).await.unwrap();
        goes_on.notify_one();
    };
    let two = events([1, 2]);
    let (first, ()) = tokio::join!(old.apply(tenant, &two), others);
    first.unwrap();
    own().apply(tenant, &events([4])).await.unwrap();
    let out = outputs(nats, streams).await;
    let out: Vec<Out> = out.into_iter().filter(|out| out.tenant == tenant.token()).collect();
    (refused.load(Relaxed), check_events(tenant, 1..=4, &out))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_stood_still_while_others_wrote_is_refused() {
    let server = Server::start();
    let (nats, streams) = server.connect(4).await;
    let fenced = an_owner_stands_still(|| streams.tenants.clone(), &nats, &streams, &tenant("count", "fenced")).await;
    assert_eq!(fenced, (1, Ok(())));
    let unfenced = || Unfenced(streams.tenants.clone());
    let (refused, checked) = an_owner_stands_still(unfenced, &nats, &streams, &tenant("count", "broken")).await;
    assert_eq!(refused, 0);
    checked.unwrap_err();
}

/// A process that knows the tenant applies an event after another one has applied events in between.
async fn an_old_owner_goes_on<R: Records>(
    records: [R; 2],
    nats: &Nats,
    streams: &Streams,
    tenant: &Tenant,
) -> Result<(), String> {
    let guests = Guests::new();
    let registry = registry(&guests);
    let [old, new] = records.map(|records| applier(records, nats, streams, &registry, sizes()));
    old.apply(tenant, &events([1])).await.unwrap();
    new.apply(tenant, &events([2, 3])).await.unwrap();
    old.apply(tenant, &events([4])).await.unwrap();
    new.apply(tenant, &events([4, 5])).await.unwrap();
    let out = outputs(nats, streams).await;
    let out: Vec<Out> = out.into_iter().filter(|out| out.tenant == tenant.token()).collect();
    check_events(tenant, 1..=5, &out)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_write_of_an_old_owner_is_refused_and_a_bucket_without_revisions_is_found_out() {
    let server = Server::start();
    let (nats, streams) = server.connect(4).await;
    let bucket = || streams.tenants.clone();
    let fenced = tenant("count", "fenced");
    an_old_owner_goes_on([bucket(), bucket()], &nats, &streams, &fenced).await.unwrap();
    let broken = tenant("count", "broken");
    let records = [bucket(), bucket()].map(Unfenced);
    an_old_owner_goes_on(records, &nats, &streams, &broken).await.unwrap_err();
    // The write itself is refused, whatever comes of it.
    let (record, revision) = bucket().load(&fenced).await.unwrap();
    assert!(matches!(bucket().save(&fenced, &record, revision - 1).await, Err(SaveError::Newer)));
    assert!(matches!(bucket().save(&fenced, &record, 0).await, Err(SaveError::Newer)));
    let next = bucket().save(&fenced, &record, revision).await.unwrap();
    assert!(next > revision);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_owners_at_the_same_time_apply_each_event_once() {
    let server = Server::start();
    let (nats, streams) = server.connect(4).await;
    let guests = Guests::new();
    let registry = registry(&guests);
    let tenant = tenant("count", "both");
    let owners = [0, 1].map(|_| applier(streams.tenants.clone(), &nats, &streams, &registry, sizes()));
    let run = |owner: usize| {
        let (owner, tenant) = (&owners[owner], &tenant);
        async move {
            for first in (1..=60).step_by(3) {
                owner.apply(tenant, &events(first..first + 3)).await.unwrap();
            }
        }
    };
    tokio::join!(run(0), run(1));
    check_events(&tenant, 1..=60, &outputs(&nats, &streams).await).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_answers_change_nothing() {
    let server = Server::start();
    let (nats, streams) = server.connect(4).await;
    let guests = Guests::new();
    let records = Lossy(streams.tenants.clone(), AtomicU32::new(0));
    let applier = applier(records, &nats, &streams, &registry(&guests), sizes());
    let tenant = tenant("count", "blue");
    for first in (1..=20).step_by(2) {
        applier.apply(&tenant, &events([first, first + 1])).await.unwrap();
    }
    check_events(&tenant, 1..=20, &outputs(&nats, &streams).await).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_comes_after_a_process_that_ended_publishes_what_it_did_not() {
    let server = Server::start();
    let (nats, streams) = server.connect(4).await;
    let guests = Guests::new();
    let registry = registry(&guests);
    let output = |event, index, text: &str| Output {
        place: Place { event, index },
        body: Body::Written(text.as_bytes().to_vec()),
    };
    let texts = |out: &[Out]| -> Vec<String> { out.iter().map(Out::text).collect() };
    // It wrote the record, and published the first of three outputs.
    let tenant = tenant("count", "blue");
    let written = vec![output(7, 0, "one"), output(7, 1, "two"), output(8, 0, "three")];
    let record = Record { applied: 8, outputs: written.clone(), ..Record::default() };
    streams.tenants.save(&tenant, &record, 0).await.unwrap();
    let mut old_chain = Chain::default();
    publisher(&nats, &streams).publish(&tenant, &written[..1], &mut old_chain).await.unwrap();
    // The events come again, to another one.
    let next = applier(streams.tenants.clone(), &nats, &streams, &registry, sizes());
    next.apply(&tenant, &events([7, 8])).await.unwrap();
    assert_eq!(texts(&outputs(&nats, &streams).await), ["one", "two", "three"]);
    assert_eq!(streams.tenants.load(&tenant).await.unwrap().0, record, "no program was called");
    next.apply(&tenant, &events([9])).await.unwrap();
    // The old one was only away: it goes on with what it was at.
    publisher(&nats, &streams).publish(&tenant, &written, &mut old_chain).await.unwrap();
    let out = outputs(&nats, &streams).await;
    assert_eq!(texts(&out[..3]), ["one", "two", "three"]);
    assert_eq!((out.len(), out[3].place), (4, Some(Place { event: 9, index: 0 })));
    // Outputs are kept for a while only: the next one follows none.
    streams.outputs.purge().await.unwrap();
    next.apply(&tenant, &events([10])).await.unwrap();
    assert_eq!(outputs(&nats, &streams).await[0].place, Some(Place { event: 10, index: 0 }));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_fails_is_recorded_and_changes_nothing() {
    let server = Server::start();
    let (nats, streams) = server.connect(4).await;
    let guests = Guests::new();
    guests.put("greeter", "", &greeter());
    let registry = registry(&guests);
    let applier = applier(streams.tenants.clone(), &nats, &streams, &registry, sizes());
    let blue = tenant("count", "blue");
    let long = "x".repeat(2000);
    let all = [event(1, "a"), event(2, "!"), event(3, "?"), event(4, &long), event(5, "b")];
    applier.apply(&blue, &all).await.unwrap();
    // They come again, and there is nothing to do.
    applier.apply(&blue, &all).await.unwrap();
    let none = tenant("none", "blue");
    applier.apply(&none, &[event(6, "c"), event(7, "d")]).await.unwrap();
    let out = outputs(&nats, &streams).await;
    let failed: Vec<_> = out.iter().filter_map(|out| Some((out.failed.as_deref()?, out.place?.event))).collect();
    let kinds =
        [("unreachable", 2), ("deadline-exceeded", 3), ("message-too-large", 4), ("no-guest", 6), ("no-guest", 7)];
    assert_eq!(failed, kinds);
    assert_eq!(
        out.iter().filter(|out| out.failed.is_some()).map(Out::text).collect::<Vec<_>>(),
        ["!", "?", &long, "c", "d"]
    );
    let succeeded: Vec<Out> = out.into_iter().filter(|out| out.failed.is_none()).collect();
    let acknowledged = BTreeMap::from([(1, "a".to_owned()), (5, "b".to_owned())]);
    let histories = histories(BTreeMap::from([(blue.token().to_owned(), acknowledged)]), &succeeded);
    check(&histories[blue.token()]).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_is_told_of_its_connection() {
    let server = Server::start();
    let (nats, streams) = server.connect(4).await;
    let guests = Guests::new();
    guests.put("greeter", "memory = \"1MiB\"\n", &greeter());
    let applier = applier(streams.tenants.clone(), &nats, &streams, &registry(&guests), sizes());
    let blue = tenant("greeter", "blue");
    // The first event is also the one that connects. What is written for one event may be too much, and is undone.
    for (sequence, text) in [(1, "l"), (2, "a"), (3, "l"), (4, "b"), (5, "x"), (6, "c")] {
        applier.apply(&blue, &[event(sequence, text)]).await.unwrap();
    }
    let out = outputs(&nats, &streams).await;
    let read: Vec<_> = out
        .iter()
        .map(|out| (out.place.unwrap().event, out.failed.as_deref().map_or(out.text(), str::to_owned)))
        .collect();
    let expected =
        [(1, "outputs-too-large"), (2, "c1"), (2, "a"), (3, "outputs-too-large"), (4, "b"), (6, "c2"), (6, "c")];
    assert_eq!(read, expected.map(|(event, text)| (event, text.to_owned())));
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_that_does_not_fit_a_message_is_gone_back_from() {
    let server = Server::start();
    let (nats, streams) = server.connect(4).await;
    let guests = Guests::new();
    let small = Sizes { image: 100, ..sizes() };
    let applier = applier(streams.tenants.clone(), &nats, &streams, &registry(&guests), small);
    let blue = tenant("count", "blue");
    applier.apply(&blue, &events([1, 2])).await.unwrap();
    let failed = outputs(&nats, &streams).await;
    assert_eq!(failed.iter().filter_map(|out| out.failed.as_deref()).collect::<Vec<_>>(), ["image-too-large"; 2]);
    let (record, _) = streams.tenants.load(&blue).await.unwrap();
    assert_eq!((record.applied, record.image), (2, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_was_sent_again_counts_once_when_nats_has_forgotten_its_id() {
    let server = Server::start();
    let (nats, streams) = server.connect(4).await;
    let guests = Guests::new();
    let applier = applier(streams.tenants.clone(), &nats, &streams, &registry(&guests), sizes());
    let blue = tenant("count", "blue");
    let with_id = |sequence, text| Event { id: Some(hash_of_id(text)), ..event(sequence, text) };
    applier.apply(&blue, &[with_id(1, "a"), with_id(2, "b"), with_id(3, "a")]).await.unwrap();
    applier.apply(&blue, &[with_id(4, "b"), event(5, "b")]).await.unwrap();
    assert_eq!(streams.tenants.load(&blue).await.unwrap().0.applied, 5);
    let acknowledged = [(1, "a"), (2, "b"), (5, "b")].map(|(sequence, text)| (sequence, text.to_owned()));
    let all = BTreeMap::from([(blue.token().to_owned(), BTreeMap::from(acknowledged))]);
    check(&histories(all, &outputs(&nats, &streams).await)[blue.token()]).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_damaged_stays_as_it_is() {
    let server = Server::start();
    let (nats, streams) = server.connect(4).await;
    let guests = Guests::new();
    let applier = applier(streams.tenants.clone(), &nats, &streams, &registry(&guests), sizes());
    let blue = tenant("count", "blue");
    let mut bytes = Record { applied: 3, ..Record::default() }.encode();
    bytes[9] ^= 1;
    streams.tenants.put(blue.token(), bytes.clone().into()).await.unwrap();
    applier.apply(&blue, &events([5])).await.unwrap();
    let out = outputs(&nats, &streams).await;
    assert_eq!((out.len(), out[0].failed.as_deref(), out[0].text()), (1, Some("damaged-record"), "5".to_owned()));
    assert_eq!(streams.tenants.get(blue.token()).await.unwrap().unwrap(), bytes);
    // Its owner removes it: the tenant begins anew.
    streams.tenants.delete(blue.token()).await.unwrap();
    applier.apply(&blue, &events([6])).await.unwrap();
    assert_eq!(streams.tenants.load(&blue).await.unwrap().0.applied, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_of_a_later_version_begins_anew_and_an_earlier_one_waits() {
    let server = Server::start();
    let (nats, streams) = server.connect(4).await;
    let guests = Guests::new();
    guests.put("greeter", "", &greeter());
    let blue = tenant("greeter", "blue");
    let first = registry(&guests);
    let old = applier(streams.tenants.clone(), &nats, &streams, &first, sizes());
    old.apply(&blue, &[event(1, "a")]).await.unwrap();
    let other = greeter().replace("(module", "(module (@custom \"version\" \"2\")");
    guests.put("greeter", "", &other);
    let second = registry(&guests);
    let new = applier(streams.tenants.clone(), &nats, &streams, &second, sizes());
    new.apply(&blue, &[event(2, "b")]).await.unwrap();
    // The old one would lose what the new one keeps, and so waits for the new version.
    assert!(matches!(old.try_apply(&blue, &[event(3, "c")]).await, Err(ApplyError::Behind(_))));
    let latest = second.table().get(blue.guest()).cloned().unwrap();
    let earlier = first.replace(latest).unwrap().unwrap();
    old.apply(&blue, &[event(3, "c")]).await.unwrap();
    // Where it is changed back, the earlier version is the latest.
    first.replace(earlier).unwrap();
    old.apply(&blue, &[event(4, "d")]).await.unwrap();
    assert!(matches!(new.try_apply(&blue, &[event(5, "e")]).await, Err(ApplyError::Behind(_))));
    let out: Vec<String> = outputs(&nats, &streams).await.iter().map(Out::text).collect();
    assert_eq!(out, ["c1", "a", "c1", "b", "c", "c1", "d"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_that_waits_for_a_later_version_holds_up_nobody() {
    let server = Server::start();
    let (nats, streams) = server.connect(1).await;
    let guests = Guests::new();
    guests.put("greeter", "", &greeter());
    let first = registry(&guests);
    let old = applier(streams.tenants.clone(), &nats, &streams, &first, sizes());
    old.note_versions().await.unwrap();
    guests.put("greeter", "", &greeter().replace("(module", "(module (@custom \"version\" \"2\")"));
    let second = registry(&guests);
    let (behind, other) = (tenant("greeter", "blue"), tenant("count", "red"));
    let new = applier(streams.tenants.clone(), &nats, &streams, &second, sizes());
    new.apply(&behind, &[event(1, "a")]).await.unwrap();
    // The one with the earlier version owns the partition.
    let lease = Lease::default();
    lease.renewed(Instant::now(), Duration::from_secs(3600));
    let shared = Arc::new(Shared { nats: nats.clone(), streams: streams.clone(), applier: old, lease });
    let (stop, stopped) = watch::channel(false);
    let run = tokio::spawn(partition::run(shared, 0, 1, stopped));
    // The stream begins with 1, which was applied.
    for text in ["a", "b", "c"] {
        publish(&nats, &behind, text).await;
        publish(&nats, &other, text).await;
    }
    let texts = |out: &[Out], of: &Tenant| -> Vec<String> {
        // The guest `count` puts numbers before it.
        let first = if of.guest().as_str() == "count" { 12 } else { 0 };
        let of_tenant = out.iter().filter(|out| out.tenant == of.token());
        of_tenant.map(|out| String::from_utf8(out.bytes[first..].to_vec()).unwrap()).collect()
    };
    let strings = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let out = wait_for(&nats, &streams, 5, 2..=3).await;
    assert_eq!((texts(&out, &other), texts(&out, &behind)), (strings(&["a", "b", "c"]), strings(&["c1", "a"])));
    // Its folder has the later version now.
    let latest = second.table().get(behind.guest()).cloned().unwrap();
    first.replace(latest).unwrap();
    let out = wait_for_outputs(&nats, &streams, 7).await;
    assert_eq!(texts(&out, &behind), strings(&["c1", "a", "b", "c"]));
    stop.send_replace(true);
    run.await.unwrap();
}
