//! Keeps this process a member, and runs the partitions that it owns.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::jetstream::kv::{Operation, Store, UpdateErrorKind, Watch};
use futures_util::{StreamExt as _, stream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use crate::entries::{Entries, member_key, partition_key};
use crate::error::Unavailable;
use crate::partition::{self, Shared};
use crate::placement;
use crate::records::Records;

/// How long a process that stops waits for an answer.
const LAST: Duration = Duration::from_secs(2);

/// Partitions that are taken at the same time, at most.
const TOGETHER: usize = 64;

/// Leases for which the mark of a member that was removed is kept: all have seen it then.
const KEPT: u32 = 20;

/// Looks and renewals within the time of a lease.
const TICKS: u32 = 4;

/// At what faults come up: the entries of all processes, and what this one does.
const ENTRIES: &str = "entries";
const LOOK: &str = "look";

/// Keeps this process a member, and runs its partitions.
pub struct Keeper<R> {
    shared: Arc<Shared<R>>,
    owners: Store,
    lease: Duration,
    /// The text of this member's entry, for people.
    label: String,
    member: Option<Membership>,
    /// When the last renewal began that succeeded.
    renewed: Instant,
    entries: Entries,
    running: HashMap<u32, Running>,
}

/// The entry of this process.
#[derive(Debug)]
struct Membership {
    id: String,
    revision: u64,
}

/// A partition that runs.
struct Running {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// How an entry was written.
enum Written {
    /// With this revision.
    As(u64),
    /// Another one was written meanwhile.
    Refused,
}

impl<R: Records> Keeper<R> {
    /// A process that is no member yet. Its leases end after `lease` without a renewal.
    #[must_use]
    pub fn new(shared: Arc<Shared<R>>, lease: Duration, label: String) -> Self {
        let owners = shared.streams.owners.clone();
        let (entries, running) = (Entries::default(), HashMap::new());
        Self { shared, owners, lease, label, member: None, renewed: Instant::now(), entries, running }
    }

    /// Takes part until it is stopped. Then it gives up its partitions, so that others need not wait for the end of a lease.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let mut tick = interval(self.lease / TICKS);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut changes: Option<Watch> = None;
        loop {
            if changes.is_none() {
                changes = match self.owners.watch_with_history(">").await {
                    Ok(changes) => Some(changes),
                    Err(error) => {
                        let error = Unavailable::of(error);
                        let fault = format!("the entries of processes are not read, which is tried again: {error}");
                        self.shared.applier.told().fault(ENTRIES, &fault);
                        None
                    }
                };
                self.entries.begin_again();
            }
            let change = async {
                match &mut changes {
                    Some(changes) => changes.next().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = partition::stopped(&mut stop) => break,
                change = change => match change {
                    Some(Ok(entry)) => {
                        self.shared.applier.told().works(ENTRIES);
                        self.entries.read(&entry);
                    }
                    // It begins again, with what is there then.
                    _ => {
                        changes = None;
                        sleep(self.lease / TICKS).await;
                    }
                },
                _ = tick.tick() => {
                    // NATS may be away. The next tick tries again, and reads what became of this one.
                    match self.look().await {
                        Ok(()) => self.shared.applier.told().works(LOOK),
                        Err(error) => {
                            let fault = format!("the process takes no part, which is tried again: {error}");
                            self.shared.applier.told().fault(LOOK, &fault);
                        }
                    }
                }
            }
        }
        self.leave().await;
    }

    /// Renews, and does what has to be done about partitions.
    async fn look(&mut self) -> Result<(), Unavailable> {
        self.renew().await?;
        let Some(id) = self.member.as_ref().map(|member| member.id.clone()) else { return Ok(()) };
        self.restart(&id).await?;
        let view = self.entries.view(self.shared.streams.partitions, Instant::now());
        // Entries come in the order in which they were written: before this process sees its own, it does not know the others.
        if !view.members.iter().any(|member| member.id == id) {
            return Ok(());
        }
        let steps = placement::steps(&view, &id, self.lease);
        for (member, revision) in steps.remove {
            let key = member_key(&member);
            match self.owners.delete_expect_revision(&key, Some(revision)).await {
                Ok(()) => {
                    eprintln!("removed the member {member}, which has not renewed its lease");
                    self.entries.forget(&key);
                }
                // It has renewed, or another member was faster.
                Err(_) => self.read(&key).await?,
            }
        }
        self.take(&id, steps.take).await?;
        for partition in steps.give {
            if let Some(running) = self.running.get(&partition) {
                running.stop.send_replace(true);
            }
        }
        // With many guests it takes long, and must not keep the lease from being renewed: the next look does the rest.
        timeout(self.lease / TICKS, self.shared.applier.note_versions()).await.unwrap_or(Ok(()))?;
        self.tidy().await
    }

    /// Takes partitions whose entries still have these revisions, and runs them.
    async fn take(&mut self, id: &str, partitions: Vec<(u32, u64)>) -> Result<(), Unavailable> {
        let take = |(partition, revision): (u32, u64)| {
            let owners = self.owners.clone();
            async move { (partition, owners.update(partition_key(partition), id.to_owned().into(), revision).await) }
        };
        let taken: Vec<_> = stream::iter(partitions).map(take).buffer_unordered(TOGETHER).collect().await;
        let mut failed = Ok(());
        for (partition, taken) in taken {
            let key = partition_key(partition);
            match taken {
                Ok(epoch) => {
                    self.entries.wrote(&key, epoch, id);
                    self.start(partition, epoch);
                }
                // Another process was faster.
                Err(error) if error.kind() == UpdateErrorKind::WrongLastRevision => self.read(&key).await?,
                // If it was written all the same, it is read, and runs then.
                Err(error) => failed = Err(Unavailable::of(error)),
            }
        }
        failed
    }

    /// Removes the marks of members that were removed long ago, so that they do not add up.
    async fn tidy(&mut self) -> Result<(), Unavailable> {
        for id in self.entries.removed_before(self.lease * KEPT, Instant::now()) {
            let key = member_key(&id);
            let subject = format!("$KV.{}.{key}", self.owners.name);
            self.owners.stream.purge().filter(subject).await.map_err(Unavailable::of)?;
            self.entries.forget(&key);
        }
        Ok(())
    }

    /// Becomes a member, or stays one.
    async fn renew(&mut self) -> Result<(), Unavailable> {
        let began = Instant::now();
        let (id, revision) = match &self.member {
            Some(member) => (member.id.clone(), member.revision),
            None => (new_id(), 0),
        };
        let key = member_key(&id);
        let label = self.label.clone();
        let revision = match self.write(&key, &label, revision).await? {
            Written::As(revision) => Some(revision),
            // An earlier attempt may have been written without an answer: nobody else writes this entry, but others may remove it.
            Written::Refused => match self.owners.entry(&key).await.map_err(Unavailable::of)? {
                Some(entry) if entry.operation == Operation::Put => Some(entry.revision),
                _ => None,
            },
        };
        match revision {
            Some(revision) => {
                if self.member.is_none() {
                    eprintln!("member {id} of {}", self.shared.nats.prefix);
                }
                if began.duration_since(self.renewed) > self.lease / 2 {
                    // It was cut off, and so may others have been: they get the time that they would have had.
                    self.entries.begin_again();
                }
                self.renewed = began;
                self.member = Some(Membership { id, revision });
                self.shared.lease.renewed(began, self.lease);
            }
            None => {
                eprintln!("the lease of the member {id} has ended: others took its partitions");
                self.shared.lease.end();
                self.member = None;
                // Whatever they have begun is refused, or is what the others find.
                self.running.drain().for_each(|(_, running)| running.task.abort());
            }
        }
        Ok(())
    }

    /// Runs what this member owns and does not run: the answer to taking it was lost, or it has ended. Gives up what was stopped.
    async fn restart(&mut self, id: &str) -> Result<(), Unavailable> {
        for partition in 0..self.shared.streams.partitions {
            let Some(revision) = self.entries.owned(partition, id) else {
                if let Some(running) = self.running.remove(&partition) {
                    running.task.abort();
                }
                continue;
            };
            match self.running.get(&partition) {
                Some(running) if !running.task.is_finished() => {}
                Some(running) if *running.stop.borrow() => {
                    self.running.remove(&partition);
                    self.write(&partition_key(partition), "", revision).await?;
                }
                _ => self.start(partition, revision),
            }
        }
        Ok(())
    }

    fn start(&mut self, partition: u32, epoch: u64) {
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(partition::run(Arc::clone(&self.shared), partition, epoch, stopped));
        self.running.insert(partition, Running { stop, task });
    }

    /// Gives everything up.
    async fn leave(mut self) {
        for running in self.running.values() {
            running.stop.send_replace(true);
        }
        for (_, running) in self.running.drain() {
            // A fault in it was printed.
            let _ = running.task.await;
        }
        if let Some(Membership { id, revision }) = self.member.take() {
            let key = member_key(&id);
            // If NATS is away, others find out by themselves. Partitions are free once their owner is gone.
            let _ = timeout(LAST, self.owners.delete_expect_revision(&key, Some(revision))).await;
            let _ = timeout(LAST, self.shared.nats.client.flush()).await;
        }
    }

    /// Writes an entry in the place of the one with this revision.
    async fn write(&mut self, key: &str, value: &str, revision: u64) -> Result<Written, Unavailable> {
        match self.owners.update(key, value.to_owned().into(), revision).await {
            Ok(revision) => {
                self.entries.wrote(key, revision, value);
                Ok(Written::As(revision))
            }
            Err(error) if error.kind() == UpdateErrorKind::WrongLastRevision => {
                self.read(key).await?;
                Ok(Written::Refused)
            }
            Err(error) => Err(Unavailable::of(error)),
        }
    }

    /// Reads an entry that another one has written.
    async fn read(&mut self, key: &str) -> Result<(), Unavailable> {
        match self.owners.entry(key).await.map_err(Unavailable::of)? {
            Some(entry) => self.entries.read(&entry),
            None => self.entries.forget(key),
        }
        Ok(())
    }
}

impl<R> Drop for Keeper<R> {
    fn drop(&mut self) {
        self.running.values().for_each(|running| running.task.abort());
    }
}

/// An id that no other process has.
fn new_id() -> String {
    let mut bytes = [0; 8];
    // Without randomness two processes could have one id, and the entry of one would be refused.
    match getrandom::fill(&mut bytes) {
        Ok(()) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        Err(_) => format!("process-{}", std::process::id()),
    }
}
