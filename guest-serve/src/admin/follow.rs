//! A body without end: the lines of a log as they come.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Bytes;
use hyper::body::{Body, Frame};
use tokio::sync::{mpsc, watch};

use crate::monitor::ring::RingReader;

/// How often the log is looked at.
const INTERVAL: Duration = Duration::from_millis(200);

/// The lines of a log: those that there are, and those that come.
#[derive(Debug)]
pub(super) struct Follow {
    lines: mpsc::Receiver<Bytes>,
}

impl Follow {
    /// Follows a log of which `lines` were read, until the client goes or the server stops.
    pub(super) fn start(lines: String, mut reader: RingReader, mut stopping: watch::Receiver<bool>) -> Self {
        let (sender, receiver) = mpsc::channel(1);
        tokio::spawn(async move {
            let mut lines = lines;
            loop {
                if !lines.is_empty() && sender.send(lines.into()).await.is_err() {
                    return;
                }
                tokio::select! {
                    () = tokio::time::sleep(INTERVAL) => {}
                    () = sender.closed() => return,
                    _ = stopping.wait_for(|stopping| *stopping) => return,
                }
                match reader.read() {
                    Ok(read) => lines = read,
                    // The response ends; the client may ask again.
                    Err(_) => return,
                }
            }
        });
        Self { lines: receiver }
    }
}

impl Body for Follow {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.lines.poll_recv(cx).map(|lines| lines.map(|lines| Ok(Frame::data(lines))))
    }
}
