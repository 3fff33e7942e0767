//! The thread that looks at the folder again and again.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::catalog::{Catalog, Look};
use crate::error::ServeError;

/// Between two looks, at least. A change is deployed at the second look after it.
const INTERVAL: Duration = Duration::from_millis(400);

/// How much longer the thread waits than it looks, so that a folder of thousands of files takes a tenth of a core at most.
const REST: u32 = 10;

/// Between two looks, at most: a look that compiled something took long.
const LONGEST: Duration = Duration::from_secs(5);

/// The thread.
#[derive(Debug)]
pub struct Watching {
    stop: Sender<()>,
    thread: JoinHandle<()>,
}

impl Watching {
    /// Starts the thread.
    ///
    /// # Errors
    /// [`ServeError::System`] if the system has no thread.
    pub fn start(catalog: &Catalog) -> Result<Self, ServeError> {
        let catalog = catalog.clone();
        let (stop, stopped) = mpsc::channel();
        let thread = std::thread::Builder::new().name("serve-watch".to_owned()).spawn(move || {
            let mut wait = INTERVAL;
            while stopped.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
                let begun = Instant::now();
                catalog.look(Look::Settled);
                wait = (begun.elapsed() * REST).clamp(INTERVAL, LONGEST);
            }
        });
        let thread = thread.map_err(|source| ServeError::System { what: "start a thread for the folder", source })?;
        Ok(Self { stop, thread })
    }

    /// Looks no more, and waits for the end of a look.
    pub fn stop(self) {
        drop(self.stop);
        let _ = self.thread.join();
    }
}
