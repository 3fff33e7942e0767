//! The signals that ask the process to stop: SIGTERM and Ctrl-C.

/// The signals, from when this is made.
#[derive(Debug)]
pub struct Signals {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    /// The signals from now on.
    ///
    /// # Errors
    /// If the system does not give them.
    pub fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Ends when the next of them comes.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

#[cfg(not(unix))]
impl Signals {
    /// The signals from now on.
    ///
    /// # Errors
    /// None here.
    pub fn new() -> std::io::Result<Self> {
        Ok(Self {})
    }

    /// Ends when Ctrl-C is pressed.
    pub async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            // There is no such signal here: the process is ended otherwise.
            std::future::pending::<()>().await;
        }
    }
}
