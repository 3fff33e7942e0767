//! The body of a response while its guest writes it.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use hyper::body::{Body, Bytes, Frame};
use tokio::sync::mpsc;

/// A part of a body.
#[derive(Debug)]
pub(super) enum Part {
    Bytes(Bytes),
    /// It is whole. A body without this part is cut off.
    End,
}

/// The body of a response while its guest writes it.
#[derive(Debug)]
pub struct StreamBody {
    parts: mpsc::Receiver<Part>,
    has_ended: bool,
    /// Whether it is cut off, and what there was of it goes out first.
    is_cut: bool,
}

/// A body that is cut off, as its call failed. The server closes the connection, so that the client notices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the guest did not end its response")]
pub struct Aborted;

impl StreamBody {
    /// A body, and where its parts come from. One part waits, besides those that are sent.
    pub(super) fn new() -> (mpsc::Sender<Part>, Self) {
        let (sender, parts) = mpsc::channel(1);
        (sender, Self { parts, has_ended: false, is_cut: false })
    }
}

impl Body for StreamBody {
    type Data = Bytes;
    type Error = Aborted;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Aborted>>> {
        if self.has_ended {
            return Poll::Ready(None);
        }
        let part = ready!(self.parts.poll_recv(cx));
        Poll::Ready(match part {
            Some(Part::Bytes(bytes)) => Some(Ok(Frame::data(bytes))),
            Some(Part::End) => {
                self.has_ended = true;
                None
            }
            // The connection drops what it has not sent when it sees the error, and sends it when there is nothing more to take.
            None if !self.is_cut => {
                self.is_cut = true;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            None => {
                self.has_ended = true;
                Some(Err(Aborted))
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn a_body_that_did_not_end_is_an_error() {
        let (sender, body) = StreamBody::new();
        sender.send(Part::Bytes(Bytes::from_static(b"a"))).await.unwrap();
        let collected = tokio::spawn(body.collect());
        sender.send(Part::Bytes(Bytes::from_static(b"b"))).await.unwrap();
        sender.send(Part::End).await.unwrap();
        assert_eq!(collected.await.unwrap().unwrap().to_bytes(), "ab");
        let (sender, body) = StreamBody::new();
        sender.send(Part::Bytes(Bytes::from_static(b"a"))).await.unwrap();
        drop(sender);
        assert_eq!(body.collect().await.unwrap_err(), Aborted);
    }
}
