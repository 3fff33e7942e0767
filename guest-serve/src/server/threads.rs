//! The threads that serve requests of clients.

use std::net::TcpListener;
use std::time::Duration;

use guest_host::EngineConfig;

use crate::error::ServeError;
use crate::registry::Registry;

/// Options of the threads.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Requests")]
pub struct ThreadOptions {}

/// Threads that serve requests until they are stopped.
#[derive(Debug)]
pub struct Threads {}

impl ThreadOptions {
    /// The engine that the threads need: how memory of instances is allocated, and how exact deadlines are.
    #[must_use]
    pub fn engine(&self) -> EngineConfig {
        EngineConfig::default()
    }
}

impl Threads {
    /// Starts threads that take connections of `listener` and serve the guests of `registry`.
    ///
    /// # Errors
    /// [`ServeError::System`] if no thread can be made.
    pub fn start(listener: TcpListener, registry: &Registry, options: &ThreadOptions) -> Result<Self, ServeError> {
        let _ = (listener, registry, options);
        Ok(Self {})
    }

    /// Takes no more connections, and closes those without a request. Requests that run go on.
    pub fn close(&self) {}

    /// Waits until no request runs, at most so long, and says whether none does. [`Threads::close`] comes before.
    #[must_use]
    pub fn wait(&self, longest: Duration) -> bool {
        let _ = longest;
        true
    }
}
