//! The thread that writes logs and events.

use std::collections::HashMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, SyncSender};
use std::thread::JoinHandle;

use super::event;
use super::ring::Ring;
use crate::error::ServeError;
use crate::folder::GuestName;

/// Jobs that wait for the disk. Those beyond are dropped.
const WAITING: usize = 4096;

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
    /// Everything before it is written; the other end is told.
    Close,
}

/// The end of the queue that takes jobs. Without a thread it drops them.
#[derive(Debug, Clone, Default)]
pub(super) struct Sender {
    queue: Option<(SyncSender<Job>, Arc<AtomicU64>)>,
}

impl Sender {
    /// Has a job done, unless too many wait.
    pub(super) fn send(&self, job: Job) {
        if let Some((queue, dropped)) = &self.queue
            && queue.try_send(job).is_err()
        {
            dropped.fetch_add(1, Ordering::Relaxed);
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
        let (queue, jobs) = mpsc::sync_channel(WAITING);
        let dropped = Arc::new(AtomicU64::new(0));
        let mut files =
            Files { own: own.to_owned(), size, events, logs: HashMap::new(), dropped: Arc::clone(&dropped) };
        let thread = std::thread::Builder::new().name("serve-logs".to_owned()).spawn(move || {
            for job in jobs {
                match job {
                    Job::Log(guest, lines) => files.log(&guest, &lines),
                    Job::Event(line) => files.event(&line),
                    Job::Close => break,
                }
                files.tell_dropped();
            }
        });
        let thread = thread.map_err(|source| ServeError::System { what: "start a thread for logs", source })?;
        Ok((Sender { queue: Some((queue.clone(), dropped)) }, Self { queue, thread }))
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
    dropped: Arc<AtomicU64>,
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
            self.dropped.fetch_add(1, Ordering::Relaxed);
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
        let dropped = self.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            let rest = serde_json::json!({"entries": dropped});
            self.event(&event::line(&event::now(), "event", "dropped", &rest));
        }
    }
}
