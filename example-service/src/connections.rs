//! The connections of clients: taken, served over HTTP/1.1, and closed.

use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::serve::Listener;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio_io_timeout::TimeoutStream;

/// Serves connections, and knows which of them are open.
#[derive(Debug)]
pub(crate) struct Connections {
    http: http1::Builder,
    send_time: Duration,
    router: Router,
    open: GracefulShutdown,
}

impl Connections {
    /// Connections that reach these routes. One whose client takes longer than `head_time` for the head of a request, or
    /// for beginning one, is closed, and so is one whose client reads nothing of an answer for `send_time`.
    pub(crate) fn new(router: Router, head_time: Duration, send_time: Duration) -> Self {
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(head_time);
        Self { http, send_time, router, open: GracefulShutdown::new() }
    }

    /// Takes connections and serves each in a task of its own, until this is dropped.
    pub(crate) async fn take_all(&self, listener: &mut TcpListener) -> Infallible {
        loop {
            // axum's, which waits where the system has no room for another connection.
            let (stream, _address) = Listener::accept(listener).await;
            self.serve(stream);
        }
    }

    fn serve(&self, stream: TcpStream) {
        let service = TowerToHyperService::new(self.router.clone());
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(self.send_time));
        let connection = self.http.serve_connection(TokioIo::new(Box::pin(stream)), service);
        let connection = self.open.watch(connection);
        tokio::spawn(async move {
            // Errors here are the client's: it closed the connection, took too long, or did not send HTTP.
            let _ = connection.await;
        });
    }

    /// Lets the requests that run end, and waits until no connection is open.
    pub(crate) async fn close(self) {
        self.open.shutdown().await;
    }
}
