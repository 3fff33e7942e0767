//! A partition that this process owns: takes its events, has them applied, and acknowledges them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use async_nats::header::NATS_MESSAGE_ID;
use async_nats::jetstream::Message;
use futures_util::{StreamExt as _, stream};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use crate::applier::{Applied, Applier};
use crate::connect::{Nats, Streams};
use crate::error::Unavailable;
use crate::executor::{Event, Stopped, hash_of_id};
use crate::feed::{Feed, FeedError};
use crate::lease::Lease;
use crate::names::Tenant;
use crate::records::Records;

/// Between two attempts to open a feed.
const PAUSE: Duration = Duration::from_millis(200);

/// After which time events are asked for again that a tenant could not have.
const AGAIN: Duration = Duration::from_secs(2);

/// Tenants whose events are applied at the same time, at most.
const TENANTS: usize = 64;

/// What all partitions of a process share.
pub struct Shared<R> {
    /// The connection.
    pub nats: Nats,
    /// The streams.
    pub streams: Streams,
    /// Applies events.
    pub applier: Applier<R>,
    /// Whether this process is a member still.
    pub lease: Lease,
}

/// The events of a tenant, with the messages that acknowledge them.
type Group = (Tenant, Vec<(Event, Message)>);

/// Applies the events of a partition until it is stopped, or another process has them. The term began with `epoch`.
pub async fn run<R: Records>(shared: Arc<Shared<R>>, partition: u32, epoch: u64, mut stop: watch::Receiver<bool>) {
    let told = stop.clone();
    let run = async {
        loop {
            // A process that may have lost the partition need not try.
            shared.lease.valid().await;
            match Feed::open(&shared.streams.events, &shared.nats.prefix, partition, epoch).await {
                Ok(mut feed) => {
                    if take(&shared, &mut feed, told.clone()).await.is_err() || *told.borrow() {
                        return;
                    }
                }
                Err(FeedError::Lost) => return,
                Err(FeedError::Gap | FeedError::Unavailable(_)) => {}
            }
            sleep(PAUSE).await;
        }
    };
    let late = async {
        stopped(&mut stop).await;
        // What has begun may end, but NATS may be away.
        sleep(LATE).await;
    };
    tokio::select! {
        () = run => {}
        () = late => {}
    }
}

/// Waits until something is stopped, or whoever could stop it is gone.
pub async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// How long events may still be applied after the partition is to be given up.
const LATE: Duration = Duration::from_secs(5);

/// Applies the events of a feed until it ends, or is stopped between two batches.
async fn take<R: Records>(
    shared: &Arc<Shared<R>>,
    feed: &mut Feed,
    mut stop: watch::Receiver<bool>,
) -> Result<(), Stopped> {
    // Tenants whose events wait for a later version of their guest. Those of others go on.
    let mut behind = HashSet::new();
    let mut again = Instant::now();
    loop {
        let batch = tokio::select! {
            biased;
            () = stopped(&mut stop) => return Ok(()),
            // The next feed has their events.
            () = sleep_until(again), if !behind.is_empty() => return Ok(()),
            batch = feed.next() => batch,
        };
        let Ok(batch) = batch else { return Ok(()) };
        shared.lease.valid().await;
        let more = apply(shared, batch, &behind).await?;
        if !more.is_empty() && behind.is_empty() {
            again = Instant::now() + AGAIN;
        }
        behind.extend(more);
    }
}

/// Applies events, those of different tenants at the same time, and acknowledges them. Leaves out those of tenants that are behind, and
/// returns further such tenants.
async fn apply<R: Records>(
    shared: &Shared<R>,
    batch: Vec<Message>,
    behind: &HashSet<Tenant>,
) -> Result<Vec<Tenant>, Stopped> {
    let mut groups: Vec<Group> = Vec::new();
    let mut places: HashMap<Tenant, usize> = HashMap::new();
    for message in batch {
        // The feed has read it before.
        let Ok(sequence) = message.info().map(|info| info.stream_sequence) else { continue };
        let id = message.headers.as_ref().and_then(|headers| headers.get(NATS_MESSAGE_ID));
        let id = id.map(|id| hash_of_id(id.as_str()));
        let event = Event { sequence, id, bytes: message.payload.to_vec() };
        match shared.nats.prefix.tenant_of(&message.subject) {
            // Not even the later ones: the earlier ones have to come first.
            Ok(tenant) if behind.contains(&tenant) => {}
            Ok(tenant) => {
                let place = *places.entry(tenant.clone()).or_insert(groups.len());
                if place == groups.len() {
                    groups.push((tenant, Vec::new()));
                }
                groups[place].1.push((event, message));
            }
            Err(words) => {
                while let Err(Unavailable(_)) = shared.applier.refuse(words, event.clone()).await {
                    sleep(PAUSE).await;
                }
                acknowledge(&message).await;
            }
        }
    }
    let one = |(tenant, entries): Group| async move {
        let (events, messages): (Vec<_>, Vec<_>) = entries.into_iter().unzip();
        match shared.applier.apply(&tenant, &events).await? {
            Applied::Behind => Ok(Some(tenant)),
            Applied::All => {
                for message in &messages {
                    acknowledge(message).await;
                }
                Ok(None)
            }
        }
    };
    let mut applied = stream::iter(groups.into_iter().map(one)).buffer_unordered(TENANTS);
    let mut more = Vec::new();
    while let Some(result) = applied.next().await {
        more.extend(result?);
    }
    Ok(more)
}

/// Tells the server that an event need not come again. If that is lost, it comes again, and is left out then.
async fn acknowledge(message: &Message) {
    let _ = message.ack().await;
}
