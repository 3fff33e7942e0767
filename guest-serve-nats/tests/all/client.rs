//! Clients of the test: they publish events until each is acknowledged, and read what came out.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use async_nats::HeaderMap;
use async_nats::header::NATS_MESSAGE_ID;
use async_nats::jetstream::consumer::{DeliverPolicy, pull};
use futures_util::StreamExt as _;
use guest_serve_nats::connect::{Nats, Streams};
use guest_serve_nats::names::Tenant;
use guest_serve_nats::outputs::{KIND, place_of};
use guest_serve_nats::record::Place;

use crate::check::{Counted, History};
use crate::nats::PATIENCE;

pub(crate) fn tenant(guest: &str, key: &str) -> Tenant {
    Tenant::new(guest.parse().unwrap(), key).unwrap()
}

/// Publishes an event until it is acknowledged, and returns its sequence.
pub(crate) async fn publish(nats: &Nats, tenant: &Tenant, event: &str) -> u64 {
    let mut headers = HeaderMap::new();
    headers.insert(NATS_MESSAGE_ID, format!("{} {event}", tenant.token()).as_str());
    let until = Instant::now() + PATIENCE;
    loop {
        let subject = nats.prefix.input(tenant);
        let sent = nats.context.publish_with_headers(subject, headers.clone(), event.to_owned().into()).await;
        let acknowledged = match sent {
            Ok(waiting) => waiting.await,
            Err(error) => Err(error),
        };
        match acknowledged {
            Ok(ack) => return ack.sequence,
            Err(error) => assert!(Instant::now() < until, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A message that came out.
#[derive(Debug)]
pub(crate) struct Out {
    pub(crate) tenant: String,
    /// The kind of a failure.
    pub(crate) failed: Option<String>,
    pub(crate) place: Option<Place>,
    pub(crate) bytes: Vec<u8>,
}

impl Out {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.bytes.clone()).unwrap()
    }
}

/// Everything that has come out so far.
pub(crate) async fn outputs(nats: &Nats, streams: &Streams) -> Vec<Out> {
    let config = pull::OrderedConfig { deliver_policy: DeliverPolicy::All, ..pull::OrderedConfig::default() };
    let consumer = streams.outputs.create_consumer(config).await.unwrap();
    let waiting = consumer.cached_info().num_pending;
    let mut messages = consumer.messages().await.unwrap();
    let mut found = Vec::new();
    for _ in 0..waiting {
        let message = messages.next().await.unwrap().unwrap();
        let (_, words) = message.subject.strip_prefix(&format!("{}.", nats.prefix)).unwrap().split_once('.').unwrap();
        let header = |name| {
            message.headers.as_ref().and_then(|headers| headers.get(name)).map(|value| value.as_str().to_owned())
        };
        let place = words
            .split_once('.')
            .and_then(|(guest, key)| place_of(&Tenant::new(guest.parse().ok()?, key).ok()?, &header("Nats-Msg-Id")?));
        found.push(Out { tenant: words.to_owned(), failed: header(KIND), place, bytes: message.payload.to_vec() });
    }
    found
}

/// Waits until at least as many messages have come out and no event is left, and returns all that have come out then.
pub(crate) async fn wait_for_outputs(nats: &Nats, streams: &Streams, count: usize) -> Vec<Out> {
    wait_for(nats, streams, count, 0..=0).await
}

/// Waits until at least as many messages have come out and so many events are left, and returns all that have come out then.
pub(crate) async fn wait_for(nats: &Nats, streams: &Streams, count: usize, left: RangeInclusive<u64>) -> Vec<Out> {
    let until = Instant::now() + PATIENCE;
    let mut events = streams.events.clone();
    loop {
        let came = streams.outputs.clone().info().await.map_or(0, |info| info.state.messages);
        let waiting = events.info().await.map_or(u64::MAX, |info| info.state.messages);
        // An event is acknowledged when its outputs are there: they are read after that.
        if came >= count as u64 && left.contains(&waiting) {
            return outputs(nats, streams).await;
        }
        assert!(Instant::now() < until, "{came} of {count} outputs have come, and {waiting} events are left");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The outputs of the guest `count` by tenant, with the acknowledged events. The ids must be in order, too.
pub(crate) fn histories(
    acknowledged: BTreeMap<String, BTreeMap<u64, String>>,
    outputs: &[Out],
) -> BTreeMap<String, History> {
    let mut histories: BTreeMap<String, History> = acknowledged
        .into_iter()
        .map(|(tenant, acknowledged)| (tenant, History { acknowledged, outputs: Vec::new() }))
        .collect();
    let mut places: BTreeMap<&str, Place> = BTreeMap::new();
    for output in outputs {
        assert_eq!(output.failed, None, "{output:?}");
        let place = output.place.unwrap();
        if let Some(before) = places.insert(&output.tenant, place) {
            assert!(before < place, "{output:?} came after {before:?}");
        }
        histories.entry(output.tenant.clone()).or_default().outputs.push(Counted::read(&output.bytes));
    }
    histories
}
