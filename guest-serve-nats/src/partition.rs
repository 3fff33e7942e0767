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
use crate::executor::{Event, Stopped, hash_of_id};
use crate::feed::{Feed, FeedError};
use crate::lease::Lease;
use crate::names::Tenant;
use crate::records::Records;

/// Between two attempts to open a feed.
const PAUSE: Duration = Duration::from_millis(200);

/// After which time events are asked for again that a tenant could not have.
const AGAIN: Duration = Duration::from_secs(2);

/// After which time the rest of the events of a tenant is asked for again whose turn was over.
const SOON: Duration = Duration::from_millis(500);

/// How long a tenant's events are applied before others have their turn.
const TURN: Duration = Duration::from_secs(1);

/// Tenants whose events are applied at the same time, at most.
const TENANTS: usize = 64;

/// The state that all partitions of a process share.
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
    let at = format!("partition {partition}");
    let run = async {
        loop {
            // A process that may have lost the partition need not try.
            shared.lease.valid().await;
            match Feed::open(&shared.streams.events, &shared.nats.prefix, partition, epoch).await {
                Ok(mut feed) => {
                    shared.applier.told().works(&at);
                    if take(&shared, &mut feed, told.clone()).await.is_err() || *told.borrow() {
                        return;
                    }
                }
                Err(FeedError::Lost) => return,
                Err(FeedError::Gap) => {}
                Err(FeedError::Unavailable(error)) => {
                    shared.applier.told().fault(&at, &format!("events are not read, which is tried again: {error}"));
                }
            }
            sleep(PAUSE).await;
        }
    };
    let late = async {
        stopped(&mut stop).await;
        // Events that have begun may end, but NATS may be away.
        sleep(LATE).await;
    };
    tokio::select! {
        () = run => {}
        () = late => {}
    }
}

/// Waits until the value is true, or its sender is gone.
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
    // Tenants whose events wait: for a later version of their guest, or for their next turn. Those of others go on.
    let mut waiting = HashSet::new();
    let (mut again, mut pause) = (Instant::now(), AGAIN);
    loop {
        let batch = tokio::select! {
            biased;
            () = stopped(&mut stop) => return Ok(()),
            // The next feed has their events.
            () = sleep_until(again), if !waiting.is_empty() => return Ok(()),
            batch = feed.next() => batch,
        };
        let Ok(batch) = batch else { return Ok(()) };
        shared.lease.valid().await;
        let Batch { has_others, late, behind } = apply(shared, batch, &waiting).await?;
        if waiting.is_empty() {
            pause = AGAIN;
        }
        if !late.is_empty() {
            pause = SOON;
        }
        // Behind many events that wait there may be those of others.
        if waiting.is_empty() || !has_others {
            again = Instant::now() + pause;
        }
        waiting.extend(late.into_iter().chain(behind));
    }
}

/// The outcome of a batch.
#[derive(Debug, Default)]
struct Batch {
    /// Whether it had events of tenants that do not wait.
    has_others: bool,
    /// Tenants whose turn was over.
    late: Vec<Tenant>,
    /// Tenants of guests of which this process has an earlier version than others, or none.
    behind: Vec<Tenant>,
}

/// Applies events, those of different tenants at the same time, and acknowledges them. Leaves out those of tenants that wait.
async fn apply<R: Records>(
    shared: &Shared<R>,
    batch: Vec<Message>,
    waiting: &HashSet<Tenant>,
) -> Result<Batch, Stopped> {
    let mut done = Batch::default();
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
            Ok(tenant) if waiting.contains(&tenant) => {}
            Ok(tenant) => {
                let place = *places.entry(tenant.clone()).or_insert(groups.len());
                if place == groups.len() {
                    groups.push((tenant, Vec::new()));
                }
                groups[place].1.push((event, message));
            }
            Err(words) => {
                while let Err(error) = shared.applier.refuse(words, event.clone()).await {
                    shared.applier.told().fault(words, &format!("events wait, and are tried again: {error}"));
                    sleep(PAUSE).await;
                }
                done.has_others = true;
                shared.applier.told().works(words);
                acknowledge(&message).await;
            }
        }
    }
    let one = |(tenant, entries): Group| async move {
        let (events, messages): (Vec<_>, Vec<_>) = entries.into_iter().unzip();
        let applied = shared.applier.apply_until(&tenant, &events, Some(std::time::Instant::now() + TURN)).await?;
        let last = match applied {
            Applied::All => u64::MAX,
            Applied::UpTo(last) => last,
            Applied::Behind => 0,
        };
        for (_, message) in events.iter().zip(&messages).filter(|(event, _)| event.sequence <= last) {
            acknowledge(message).await;
        }
        Ok((tenant, applied))
    };
    done.has_others |= !groups.is_empty();
    let mut applied = stream::iter(groups.into_iter().map(one)).buffer_unordered(TENANTS);
    while let Some(result) = applied.next().await {
        let (tenant, applied) = result?;
        match applied {
            Applied::All => {}
            Applied::UpTo(_) => done.late.push(tenant),
            Applied::Behind => done.behind.push(tenant),
        }
    }
    Ok(done)
}

/// Tells the server that an event need not come again. If that is lost, it comes again, and is left out then.
async fn acknowledge(message: &Message) {
    let _ = message.ack().await;
}
