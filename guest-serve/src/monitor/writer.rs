//! The thread that writes logs and events.

use std::collections::HashMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, SyncSender};
use std::thread::JoinHandle;

use super::event;
use super::ring::Ring;
use crate::error::ServeError;
use crate::folder::GuestName;

/// Jobs that wait for the disk, and bytes of their text. Those beyond are dropped.
const WAITING: usize = 4096;
const WAITING_BYTES: usize = 8 << 20;

/// Files of logs that are open at a time.
const OPEN: usize = 256;

/// Names below the server's own folder.
const LOGS: &str = "logs";
const EVENTS: &str = "events";

/// Something to write.
#[derive(Debug)]
pub(super) enum Job {
    /// Lines of a guest's log, each with its end.
    Log(GuestName, String),
    /// An event, without the end of its line.
    Event(String),
    /// The thread ends: everything before it is written.
    Close,
}

impl Job {
    fn bytes(&self) -> usize {
        match self {
            Self::Log(_, text) | Self::Event(text) => text.len(),
            Self::Close => 0,
        }
    }
}

/// The end of the queue that takes jobs. Without a thread it drops them.
#[derive(Debug, Clone, Default)]
pub(super) struct Sender {
    queue: Option<(SyncSender<Job>, Arc<Waiting>)>,
}

/// The state of the queue beside its jobs.
#[derive(Debug, Default)]
struct Waiting {
    bytes: AtomicUsize,
    /// Jobs that were dropped and are not told yet.
    dropped: AtomicU64,
}

impl Sender {
    /// Has a job done, unless too many wait.
    pub(super) fn send(&self, job: Job) {
        let Some((queue, waiting)) = &self.queue else { return };
        let bytes = job.bytes();
        let fits = waiting.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes <= WAITING_BYTES;
        if !fits || queue.try_send(job).is_err() {
            waiting.bytes.fetch_sub(bytes, Ordering::Relaxed);
            waiting.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The thread that writes logs and events.
#[derive(Debug)]
pub struct Writer {
    queue: SyncSender<Job>,
    thread: JoinHandle<()>,
}

impl Writer {
    /// Where the log of a guest is, below the server's own folder.
    #[must_use]
    pub fn log(own: &Path, guest: &GuestName) -> PathBuf {
        own.join(LOGS).join(guest.as_str())
    }

    /// Where the events are, below the server's own folder.
    #[must_use]
    pub fn events(own: &Path) -> PathBuf {
        own.join(EVENTS)
    }

    pub(super) fn start(own: &Path, size: u64) -> Result<(Sender, Self), ServeError> {
        let logs = own.join(LOGS);
        fs::create_dir_all(&logs).map_err(ServeError::io("make the folder", &logs))?;
        let path = Self::events(own);
        let events = Ring::open(&path, size).map_err(ServeError::io("write", &path))?;
        let (queue, jobs) = mpsc::sync_channel::<Job>(WAITING);
        let waiting = Arc::<Waiting>::default();
        let mut files =
            Files { own: own.to_owned(), size, events, logs: HashMap::new(), waiting: Arc::clone(&waiting) };
        let thread = std::thread::Builder::new().name("serve-logs".to_owned()).spawn(move || {
            for job in jobs {
                files.waiting.bytes.fetch_sub(job.bytes(), Ordering::Relaxed);
                match job {
                    Job::Log(guest, lines) => files.log(&guest, &lines),
                    Job::Event(line) => files.event(&line),
                    Job::Close => break,
                }
                files.tell_dropped();
            }
        });
        let thread = thread.map_err(|source| ServeError::System { what: "start a thread for logs", source })?;
        Ok((Sender { queue: Some((queue.clone(), waiting)) }, Self { queue, thread }))
    }

    /// Waits until everything is written that was recorded before.
    pub fn close(self) {
        // It fails only if the thread has ended.
        let _ = self.queue.send(Job::Close);
        let _ = self.thread.join();
    }
}

struct Files {
    own: PathBuf,
    size: u64,
    events: Ring,
    logs: HashMap<GuestName, Ring>,
    waiting: Arc<Waiting>,
}

impl Files {
    fn log(&mut self, guest: &GuestName, lines: &str) {
        if self.logs.len() >= OPEN && !self.logs.contains_key(guest) {
            self.logs.clear();
        }
        let written = match self.logs.entry(guest.clone()) {
            std::collections::hash_map::Entry::Occupied(mut ring) => ring.get_mut().write(lines),
            std::collections::hash_map::Entry::Vacant(free) => {
                Ring::open(&Writer::log(&self.own, guest), self.size).and_then(|ring| free.insert(ring).write(lines))
            }
        };
        // The disk may be full: the next line tries again, with the file opened anew.
        if written.is_err() {
            self.logs.remove(guest);
            self.waiting.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn event(&mut self, line: &str) {
        let line = format!("{line}\n");
        // Nobody may read standard error, and the disk may be full: serving goes on.
        let _ = std::io::stderr().write_all(line.as_bytes());
        let _ = self.events.write(&line);
    }

    /// Says that something was dropped, once it can be said.
    fn tell_dropped(&mut self) {
        let dropped = self.waiting.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            let rest = serde_json::json!({"entries": dropped});
            self.event(&event::line(&event::now(), "event", "dropped", &rest));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_disk_cannot_take_is_dropped_and_counted() {
        let (queue, jobs) = mpsc::sync_channel(3);
        let waiting = Arc::<Waiting>::default();
        let sender = Sender { queue: Some((queue, Arc::clone(&waiting))) };
        let state = || (waiting.bytes.load(Ordering::Relaxed), waiting.dropped.load(Ordering::Relaxed));
        sender.send(Job::Event("x".repeat(WAITING_BYTES)));
        assert_eq!(state(), (WAITING_BYTES, 0));
        sender.send(Job::Event("x".to_owned()));
        assert_eq!(state(), (WAITING_BYTES, 1), "too many bytes");
        waiting.bytes.fetch_sub(jobs.recv().unwrap().bytes(), Ordering::Relaxed);
        (0..5).for_each(|_| sender.send(Job::Event("x".to_owned())));
        assert_eq!(state(), (3, 3), "too many jobs");
        drop(jobs);
        sender.send(Job::Event("x".to_owned()));
        assert_eq!(state(), (3, 4), "the thread has ended");
        Sender::default().send(Job::Event("x".to_owned()));
    }
}
