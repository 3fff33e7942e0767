//! The thread that looks at the folder again and again.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::catalog::{Catalog, Look};
use crate::error::ServeError;

/// Between two looks. A change is deployed at the second look after it.
const INTERVAL: Duration = Duration::from_millis(400);

/// The thread.
#[derive(Debug)]
pub(super) struct Watching {
    stop: Sender<()>,
    thread: JoinHandle<()>,
}

impl Watching {
    pub(super) fn start(catalog: &Catalog) -> Result<Self, ServeError> {
        let catalog = catalog.clone();
        let (stop, stopped) = mpsc::channel();
        let thread = std::thread::Builder::new().name("serve-watch".to_owned()).spawn(move || {
            while stopped.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
                catalog.look(Look::Settled);
            }
        });
        let thread = thread.map_err(|source| ServeError::System { what: "start a thread for the folder", source })?;
        Ok(Self { stop, thread })
    }

    /// Looks no more, and waits for the end of a look.
    pub(super) fn stop(self) {
        drop(self.stop);
        let _ = self.thread.join();
    }
}
