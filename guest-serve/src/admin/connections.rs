//! The connections of the administration.

use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::serve::Listener;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio_io_timeout::TimeoutStream;

/// How long a client may take for the head of a request, and for reading a response.
const PATIENCE: Duration = Duration::from_secs(10);

/// Serves connections, and knows which of them are open.
#[derive(Debug)]
pub struct Connections {
    http: http1::Builder,
    router: Router,
    open: GracefulShutdown,
}

impl Connections {
    /// Connections that reach these routes.
    #[must_use]
    pub fn new(router: Router) -> Self {
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(PATIENCE);
        Self { http, router, open: GracefulShutdown::new() }
    }

    /// Takes connections and serves each in a task of its own, until this is dropped.
    pub async fn take_all(&self, mut listener: TcpListener) -> Infallible {
        loop {
            // axum's, which waits where the system has no room for another connection.
            let (stream, _address) = Listener::accept(&mut listener).await;
            let service = TowerToHyperService::new(self.router.clone());
            let mut stream = TimeoutStream::new(stream);
            stream.set_write_timeout(Some(PATIENCE));
            let connection = self.http.serve_connection(TokioIo::new(Box::pin(stream)), service);
            let connection = self.open.watch(connection);
            tokio::spawn(async move {
                // Errors here are the client's: it closed the connection, took too long, or did not send HTTP.
                let _ = connection.await;
            });
        }
    }

    /// Lets the requests that run end, and waits until no connection is open.
    pub async fn close(self) {
        self.open.shutdown().await;
    }
}
